"""What the review page shows of an event: its raw signals, and pictures of stored cameras."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from tao_lora_ros.messages.texts import error_line
from tao_lora_ros.preservation.event_record import EventRecord, StoreError
from tao_lora_ros.preservation.message_types import message_types
from tao_lora_ros.preservation.parquet import Row
from tao_lora_ros.report.event_plot import event_run
from tao_lora_ros.report.run_data import run_data

_IMAGE, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_CAMERAS = _IMAGE, _COMPRESSED
_CHANNELS = {"mono8": 1, "rgb8": 3, "bgr8": 3}
_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
_LISTED = (
    *("number", "kind", "label", "labelled_by", "model_label", "probability", "peak_score"),
    *("duration", "peak_force", "impulse", "peak_torque", "acceleration_change", "mean_load"),
    *("channels", "regime_change"),
)


def listed(row: Row) -> dict[str, Any]:
    """What the list says of an event; JavaScript's numbers take no nanoseconds of our time."""
    return {name: row[name] for name in _LISTED} | {"onset_ms": row["onset_ns"] / 1e6}


def details(record: EventRecord) -> dict[str, Any]:
    """The event as the page draws a run, from its onset on; when each camera's pictures came."""
    return run_data(event_run(record.event)) | {
        "cameras": [
            {
                "topic": topic.name,
                "times_ms": ((m.times_ns - record.event.onset_ns) * 1e-6).tolist(),
            }
            for topic, m in record.received
            if topic.msgtype in _CAMERAS
        ],
    }


def picture(record: EventRecord, topic: str, number: int) -> tuple[str, bytes]:
    """One picture of a camera's topic, as its media type and a file's bytes.

    Raises:
        StoreError: there is no such picture, or it is none that a browser shows: an Image of
            rgb8, bgr8 or mono8, a CompressedImage of JPEG or PNG.
    """
    for found, messages in record.received:
        if found.name == topic and found.msgtype in _CAMERAS and 0 <= number < len(messages.data):
            return _shown(found.msgtype, messages.data[number])
    raise StoreError(f"no picture {number} of {topic}")


def _shown(msgtype: str, data: bytes) -> tuple[str, bytes]:
    try:
        message: Any = message_types().deserialize_cdr(data, msgtype)
    except Exception as error:  # rosbags raises whatever its parsing of damaged bytes stumbled on
        raise StoreError(f"a damaged picture: {error_line(error)}") from error
    if msgtype == _IMAGE:
        return "image/png", _png(message)
    content = bytes(message.data)
    for magic, kind in _MAGIC.items():
        if content.startswith(magic):
            return kind, content
    raise StoreError("not a picture of JPEG or PNG")


def _png(image: Any) -> bytes:
    """An Image as a PNG file (RFC 2083).

    Raises:
        StoreError: another encoding, or its sizes do not fit its bytes.
    """
    depth = _CHANNELS.get(image.encoding)
    if depth is None:
        raise StoreError(f"a picture of {image.encoding!r}, expected {', '.join(_CHANNELS)}")
    height, row = int(image.height), int(image.width) * depth
    if not 0 < row <= image.step or height * image.step > len(image.data):
        raise StoreError("a picture whose sizes do not fit its bytes")
    pixels = np.asarray(image.data[: height * image.step]).reshape(height, image.step)[:, :row]
    if image.encoding == "bgr8":
        pixels = pixels.reshape(height, -1, 3)[:, :, ::-1].reshape(height, row)
    lines = np.hstack([np.zeros((height, 1), np.uint8), pixels]).tobytes()  # 0: no filter
    head = struct.pack(">IIBBBBB", image.width, height, 8, 0 if depth == 1 else 2, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
