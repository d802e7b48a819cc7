"""Message types of an event's bag, without ROS, and what a TransientEvent says."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from tao_lora_ros.preservation.event_record import EventRecord, StoreError, Topic
from tao_lora_ros.preservation.outlier_buffer import RawMessages, RawSamples

_OWN_TYPES = ("RawSamples", "TransientEvent")
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


def record_from(
    data: bytes, topic: Topic, received: tuple[tuple[Topic, RawMessages], ...]
) -> EventRecord:
    """The record of a TransientEvent in CDR; shares and probability are FP32 there."""
    message = message_types().deserialize_cdr(data, topic.msgtype)
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
        topic=topic,
        message=data,
        received=received,
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
