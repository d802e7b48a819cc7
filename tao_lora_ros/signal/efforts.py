"""Decode efforts of chosen joints from the CDR bytes of `sensor_msgs/JointState`, without ROS."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.cdr import DecodeError, Layout, Sample, read_header

# What sequences and strings hold follows their count; doubles are aligned to 8 from byte 4 on.
_BODY_AT = 4


class EffortError(DecodeError):
    """A JointState lacks efforts that are to be read; the text names the joints or the field."""

    kind = "no_effort"


class EffortDecoder:
    """Decodes a JointState: the efforts of some joints, in this order, whatever the message's.

    Args:
        joints: their names.
    """

    def __init__(self, joints: tuple[str, ...]) -> None:
        self._joints = joints
        self._names = b""  # as the last message had them, with their count
        self._count = 0
        self._places: list[int] = []

    def __call__(self, data: bytes) -> Sample:
        """Decode one message.

        Raises:
            DecodeError: the bytes are cut short or are not such a message; `EffortError` where it
                lacks one of the joints or its effort.
        """
        layout, stamp_ns, frame_id, end = read_header(data)
        at = end + -end % 4
        # The names hardly ever change, so they are looked at again only where the bytes do.
        if not self._names or data[at : at + len(self._names)] != self._names:
            self._read_names(data, at, layout)
        at += len(self._names)
        for _ in ("position", "velocity"):
            _, at = _sequence(data, at, layout)
        efforts, _ = _sequence(data, at, layout)
        if len(efforts) != self._count:
            raise EffortError(f"effort has {len(efforts)} entries, name has {self._count}")
        values = efforts[self._places].astype(np.float64, copy=False)
        return Sample(stamp_ns, frame_id, values, float(np.abs(values).sum()))

    def _read_names(self, data: bytes, begin: int, layout: Layout) -> None:
        self._names = b""
        count, at = _number(data, begin, layout)
        names = []
        for _ in range(count):
            length, text_at = _number(data, at, layout)
            at = text_at + length
            if length == 0 or at > len(data):
                raise DecodeError(f"name of {length} bytes does not fit {len(data)} bytes")
            names.append(str(data[text_at : at - 1], "utf-8", "replace"))
        if missing := [joint for joint in self._joints if joint not in names]:
            there = ", ".join(names) or "none"
            raise EffortError(f"name lacks {', '.join(missing)}; there are: {there}")
        self._places = [names.index(joint) for joint in self._joints]
        self._count = count
        self._names = bytes(data[begin:at])


def _number(data: bytes, at: int, layout: Layout) -> tuple[int, int]:
    """Read an unsigned number after what ends at `at`; returns where it ends too."""
    at += -at % 4
    try:
        return layout.count.unpack_from(data, at)[0], at + 4
    except struct.error:
        raise DecodeError(f"{len(data)} bytes, expected {at + 4} and more") from None


def _sequence(data: bytes, at: int, layout: Layout) -> tuple[NDArray[np.float64], int]:
    """Read a sequence of doubles after what ends at `at`; returns where it ends too."""
    count, at = _number(data, at, layout)
    if count:
        at += (_BODY_AT - at) % 8
    end = at + 8 * count
    if end > len(data):
        raise DecodeError(f"{len(data)} bytes, expected {end} and more")
    return np.frombuffer(data, layout.double, count, at), end
