"""Pictures of cameras as an event's bag holds them."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from event_records import MS, T0

from tao_lora_ros.messages.raw_data import RawMessages
from tao_lora_ros.preservation.event_record import Topic
from tao_lora_ros.preservation.message_types import message_types

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
TIMES_NS = T0 + np.array([-10, 5, 15], np.int64) * MS
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def _header(types: Any) -> Any:
    stamp = types["builtin_interfaces/msg/Time"](0, 0)
    return types["std_msgs/msg/Header"](stamp, "camera")


def image(encoding: str = "bgr8", width: int = 4, height: int = 3, step: int = 16) -> bytes:
    """An Image with three rows of `step` bytes, that begins with 10, 20, 30."""
    types = message_types().types
    pixels = np.arange(3 * step, dtype=np.uint8)
    pixels[:3] = 10, 20, 30
    message = types[IMAGE](_header(types), height, width, encoding, 0, step, pixels)
    return bytes(message_types().serialize_cdr(message, IMAGE))


def camera() -> tuple[Topic, RawMessages]:
    """Three pictures, the second the first after the onset."""
    return Topic("/camera/image raw?", IMAGE), RawMessages(TIMES_NS, (image(),) * 3)


def compressed(data: bytes = PNG) -> tuple[Topic, RawMessages]:
    """One PNG."""
    types = message_types().types
    message = types[COMPRESSED](_header(types), "png", np.frombuffer(data, np.uint8))
    content = bytes(message_types().serialize_cdr(message, COMPRESSED))
    return Topic("/thumb", COMPRESSED), RawMessages(TIMES_NS[:1], (content,))
