"""An event as ROS messages in CDR, without ROS: its samples as they came, and the TransientEvent.

The samples of a source differ in stamp and values only, so all its messages are laid out at once as
one array; that is far cheaper than one object a message.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from tao_lora_ros.preservation.event_record import EventRecord, StoreError
from tao_lora_ros.preservation.outlier_buffer import RawSamples
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.source import SourceConfig

TRANSIENT_EVENT = "tao_lora_ros/msg/TransientEvent"
EVENTS_TOPIC = "/tao_lora/events"
_OWN_TYPES = ("RawSamples", "TransientEvent")
_END = 1  # TransientEvent.END
KINDS = ("unknown", "impulsive", "sustained")  # of TransientEvent
_SECOND = 1_000_000_000


@cache
def message_types() -> Any:
    """Type store of rosbags with this package's messages.

    Raises:
        StoreError: the package's .msg files are not found.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    folder = _message_folder()
    types: dict[str, Any] = {}
    for name in _OWN_TYPES:
        text = (folder / f"{name}.msg").read_text("utf-8")
        types |= get_types_from_msg(text, f"tao_lora_ros/msg/{name}")
    store.register(types)
    return store


def _message_folder() -> Path:
    """Where the .msg files lie: `msg/` of the source tree or the share folder of a prefix."""
    here = Path(__file__).parents
    for folder in [base / sub for base in here for sub in ("msg", "share/tao_lora_ros/msg")]:
        if all((folder / f"{name}.msg").is_file() for name in _OWN_TYPES):
            return folder
    raise StoreError(f"{Path(__file__).parent}: no message definitions near: reinstall the package")


def topic_of(raw: RawSamples) -> str:
    """The topic of a source: its name in the root namespace."""
    return "/" + raw.source.lstrip("/")


def message_type(raw: RawSamples) -> str:
    """Message type of a source, told by its channels.

    Raises:
        StoreError: no known type has these channels.
    """
    for msgtype in (IMU, WRENCH):
        if raw.channels == SourceConfig(raw.source, msgtype).channels:
            return msgtype
    raise StoreError(f"source '{raw.source}': no message has channels {', '.join(raw.channels)}")


def sample_messages(raw: RawSamples) -> NDArray[np.uint8]:
    """CDR bytes [n, size] of a source's samples, as `message_type` of it."""
    doubles = _imu_doubles(raw.values) if message_type(raw) == IMU else raw.values
    frame = raw.frame_id.encode() + b"\0"
    padded = len(frame) + (-12 - len(frame)) % 8  # doubles align to 8, counted past the first 4
    layout = [
        ("encapsulation", "u1", 4),
        ("seconds", "<i4"),
        ("nanoseconds", "<u4"),
        ("length", "<u4"),
        ("frame", f"S{padded}"),
        ("doubles", "<f8", doubles.shape[1]),
    ]
    messages = np.zeros(len(doubles), dtype=layout)
    messages["encapsulation"] = 0, 1, 0, 0  # plain CDR, little endian
    messages["seconds"], messages["nanoseconds"] = np.divmod(raw.stamps_ns, _SECOND)
    messages["length"] = len(frame)
    messages["frame"] = frame
    messages["doubles"] = doubles
    return messages.view(np.uint8).reshape(len(doubles), messages.itemsize)


def _imu_doubles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """All 37 doubles of an Imu: orientation 4 + 9, rate 3 + 9, acceleration 3 + 9."""
    doubles = np.zeros((len(values), 37))
    doubles[:, 3] = 1.0  # no rotation
    doubles[:, 4] = -1.0  # orientation not reported (sensor_msgs/Imu)
    for at, part in ((13, values[:, 3:]), (25, values[:, :3])):
        absent = np.isnan(part[:, 0])
        doubles[:, at : at + 3] = np.where(absent[:, None], 0.0, part)
        doubles[absent, at + 3] = -1.0
    return doubles


def event_message(record: EventRecord) -> bytes:
    """CDR of the TransientEvent of phase END: what the node published."""
    types = message_types().types
    message = types[TRANSIENT_EVENT](
        header=types["std_msgs/msg/Header"](_time(record.onset_ns), record.frame_id),
        sequence=record.sequence,
        phase=_END,
        onset=_time(record.onset_ns),
        peak=_time(record.peak_ns),
        end=_time(record.end_ns),
        peak_score=record.peak_score,
        channels=[name for name, _ in record.channels],
        shares=np.array([share for _, share in record.channels], dtype=np.float32),
        kind=record.kind,
        regime_change=record.regime_change,
        label=record.label,
        probability=record.probability,
        raw=[_raw_message(raw) for raw in record.raw],
    )
    return bytes(message_types().serialize_cdr(message, TRANSIENT_EVENT))


def _raw_message(raw: RawSamples) -> Any:
    return message_types().types["tao_lora_ros/msg/RawSamples"](
        source=raw.source,
        frame_id=raw.frame_id,
        channels=list(raw.channels),
        stamps=[_time(stamp) for stamp in raw.stamps_ns.tolist()],
        values=raw.values.ravel(),
    )


def _time(stamp_ns: int) -> Any:
    return message_types().types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, _SECOND))


def record_from(message: Any) -> EventRecord:
    """Undo `event_message`, from the message as rosbags reads it; shares come back as FP32."""
    return EventRecord(
        sequence=message.sequence,
        frame_id=message.header.frame_id,
        onset_ns=_stamp(message.onset),
        peak_ns=_stamp(message.peak),
        end_ns=_stamp(message.end),
        peak_score=message.peak_score,
        channels=tuple(zip(message.channels, message.shares.tolist(), strict=True)),
        kind=message.kind,
        regime_change=message.regime_change,
        label=message.label,
        probability=message.probability,
        raw=tuple(_raw_from(raw) for raw in message.raw),
    )


def _raw_from(message: Any) -> RawSamples:
    return RawSamples(
        source=message.source,
        frame_id=message.frame_id,
        channels=tuple(message.channels),
        stamps_ns=np.array([_stamp(stamp) for stamp in message.stamps], dtype=np.int64),
        values=np.asarray(message.values, np.float64).reshape(-1, len(message.channels)),
    )


def _stamp(time: Any) -> int:
    return int(time.sec) * _SECOND + int(time.nanosec)
