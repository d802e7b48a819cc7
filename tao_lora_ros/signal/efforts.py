"""Decode efforts of chosen joints from the CDR bytes of `sensor_msgs/JointState`, without ROS."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.cdr import DecodeError, Layout, Sample, read_header

# What sequences and strings hold follows their count; doubles are aligned to 8 from byte 4 on.
_BODY_AT = 4
# How long a joint's effort holds where the messages after it leave that joint out.
HOLD_NS = 50_000_000


class EffortError(DecodeError):
    """A JointState has no efforts; the text names the field."""

    kind = "no_effort"


class ForeignError(DecodeError):
    """A JointState has none of the joints that are to be read: it is another device's."""

    kind = "other_joints"


class EffortDecoder:
    """Decodes a JointState: the efforts of some joints, in this order, whatever the message's.

    A joint that a message leaves out keeps its effort for `HOLD_NS`, as drivers publish an arm in
    several messages; then it is not reported (NaN).

    Args:
        joints: their names.
    """

    def __init__(self, joints: tuple[str, ...]) -> None:
        self._joints = joints
        self._names = b""  # as the last message had them, with their count
        self._count = 0
        self._places: list[int] = []  # in the message, of those joints that it has
        self._ours: list[int] = []  # those joints, by their place among ours
        self._whole = False
        self._efforts = np.full(len(joints), np.nan)
        self._stamps_ns = np.zeros(len(joints), np.int64)  # of each effort

    def __call__(self, data: bytes) -> Sample:
        """Decode one message.

        Raises:
            DecodeError: the bytes are cut short or are not such a message; `EffortError` where it
                has no efforts, `ForeignError` where it has none of the joints.
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
        if not self._whole:
            values = self._filled(stamp_ns, values)
        return Sample(stamp_ns, frame_id, values, float(np.abs(values).sum()))

    def _filled(self, stamp_ns: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The efforts of all joints, of which the message has some."""
        self._efforts[self._ours] = values
        self._stamps_ns[self._ours] = stamp_ns
        fresh = np.abs(stamp_ns - self._stamps_ns) <= HOLD_NS
        return np.where(fresh, self._efforts, np.nan)

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
        self._ours = [i for i, joint in enumerate(self._joints) if joint in names]
        if not self._ours:
            there = ", ".join(names) or "none"
            raise ForeignError(f"name lacks {', '.join(self._joints)}; there are: {there}")
        self._places = [names.index(self._joints[i]) for i in self._ours]
        self._whole = len(self._ours) == len(self._joints)
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
