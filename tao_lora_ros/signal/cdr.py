"""Decode the CDR bytes of `sensor_msgs/Imu` and of wrenches and forces without ROS.

A raw subscription and a bag hand out the same bytes, so the live node and the replay share this
decoder. The layout follows the OMG CDR encoding (DDS-XTypes 1.3, section 7.4.1, plain CDR): four
bytes of encapsulation, then fields aligned to their size, counted from byte 4.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.stamps import SECOND_NS, joined

_STAMP_AT, _STRING_AT, _TEXT_AT = 4, 12, 16
LAST_STAMP_NS = (1 << 31) * SECOND_NS  # a stamp's seconds are an int32
_UNIT = 0.1  # that a quaternion's size may be off 1
_NOT_REPORTED = (float("nan"),) * 3

IMU = "sensor_msgs/msg/Imu"
WRENCH = "geometry_msgs/msg/WrenchStamped"
BARE_WRENCH = "geometry_msgs/msg/Wrench"
FORCE = "geometry_msgs/msg/Vector3Stamped"
JOINT_STATE = "sensor_msgs/msg/JointState"


class DecodeError(ValueError):
    """The bytes are not a message of the expected type; the text says why."""

    kind = "undecodable"


class Sample(NamedTuple):
    """One decoded message.

    `values` is float64 [6]: linear acceleration (m/s²) and angular velocity (rad/s) of an Imu, or
    force (N) and torque (Nm) of a wrench; of a JointState float64 [joints]: efforts (Nm, or N where
    a joint slides). A part that the sender does not report is NaN; `magnitude` is the sum of the
    magnitudes of what it does report, so NaN or infinite where one of these is.
    """

    stamp_ns: int
    frame_id: str
    values: NDArray[np.float64]
    magnitude: float


class Form(NamedTuple):
    """Where the values of a message are, and what others have to share that are read alike.

    Words are the 8 bytes each from byte 4 on, in little-endian order; the first is the stamp.

    Args:
        frame_id: their frame.
        length: of the message in bytes.
        words: those that have to be equal: place, mask and value, uint64 [n, 3].
        columns: words that hold the values, -1 for what is not reported, int64 [channels].
    """

    frame_id: str
    length: int
    words: NDArray[np.uint64]
    columns: NDArray[np.int64]


class Layout:
    """How the bytes of one byte order are read."""

    def __init__(self, order: str) -> None:
        self.header = struct.Struct(order + "iII")
        self.count = struct.Struct(order + "I")
        self.double = np.dtype(order + "f8")
        # orientation 4 + 9, angular velocity 3 + 9, linear acceleration 3 + 9 doubles
        self.imu = struct.Struct(order + "104x4d64x4d64x")
        self.orientation = struct.Struct(order + "5d")
        self.wrench = struct.Struct(order + "6d")
        self.force = struct.Struct(order + "3d")


_LAYOUTS = {b"\0\0": Layout(">"), b"\0\1": Layout("<")}


def _layout(data: bytes) -> Layout:
    layout = _LAYOUTS.get(bytes(data[:2]))
    if layout is None:
        raise DecodeError(f"encapsulation 0x{data[0]:02x}{data[1]:02x} is not plain CDR")
    return layout


def read_header(data: bytes) -> tuple[Layout, int, str, int]:
    """Return the layout, the stamp (ns), the frame id and where that ends."""
    if len(data) < _TEXT_AT:
        raise DecodeError(f"{len(data)} bytes are too few for a stamped message")
    layout = _layout(data)
    seconds, nanoseconds, length = layout.header.unpack_from(data, _STAMP_AT)
    if seconds < 0 or nanoseconds >= SECOND_NS:
        raise DecodeError(f"stamp {seconds} s {nanoseconds} ns is out of range")
    end = _TEXT_AT + length
    if length == 0 or end > len(data) or data[end - 1] != 0:
        raise DecodeError(f"frame id of {length} bytes does not fit {len(data)} bytes")
    try:
        frame_id = str(data[_TEXT_AT : end - 1], "utf-8")
    except UnicodeDecodeError as error:
        raise DecodeError(f"frame id is not UTF-8: {error.reason}") from None
    return layout, joined(seconds, nanoseconds), frame_id, end


def _doubles(data: bytes, end: int, layout: struct.Struct) -> tuple[float, ...]:
    """Read doubles after what ends at `end`."""
    offset = end + (_STAMP_AT - end) % 8
    try:
        return layout.unpack_from(data, offset)
    except struct.error:
        raise DecodeError(f"{len(data)} bytes, expected {offset + layout.size}") from None


def decode_imu(data: bytes) -> Sample:
    """Decode an Imu: acceleration then angular velocity, NaN where covariance[0] is -1 (REP-145).

    Raises:
        DecodeError: the bytes are cut short or are not such a message.
    """
    layout, stamp_ns, frame_id, offset = read_header(data)
    doubles = _doubles(data, offset, layout.imu)
    gyro, accel = doubles[:3], doubles[4:7]
    magnitude = 0.0
    if doubles[7] == -1.0:
        accel = _NOT_REPORTED
    else:
        magnitude += sum(map(abs, accel))
    if doubles[3] == -1.0:
        gyro = _NOT_REPORTED
    else:
        magnitude += sum(map(abs, gyro))
    return Sample(stamp_ns, frame_id, np.array(accel + gyro), magnitude)


def upward_of(data: bytes) -> NDArray[np.float64] | None:
    """Where up is, [3], in the frame of an Imu, by its orientation; None where it reports none.

    One of all zeros, or not turned at all, is what a driver has that knows none.

    Raises:
        DecodeError: the bytes are cut short or are not such a message.
    """
    layout, _, _, offset = read_header(data)
    x, y, z, w, said = _doubles(data, offset, layout.orientation)
    size = float(np.sqrt(x * x + y * y + z * z + w * w))
    if said == -1.0 or not abs(size - 1.0) < _UNIT or not (x or y or z):
        return None
    return np.array([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)])


def decode_wrench(data: bytes) -> Sample:
    """Decode a WrenchStamped: force then torque.

    Raises:
        DecodeError: the bytes are cut short or are not such a message.
    """
    layout, stamp_ns, frame_id, offset = read_header(data)
    doubles = _doubles(data, offset, layout.wrench)
    return Sample(stamp_ns, frame_id, np.array(doubles), sum(map(abs, doubles)))


def decode_force(data: bytes) -> Sample:
    """Decode a Vector3Stamped: a force; the torque counts as not reported.

    Raises:
        DecodeError: the bytes are cut short or are not such a message.
    """
    layout, stamp_ns, frame_id, offset = read_header(data)
    force = _doubles(data, offset, layout.force)
    return Sample(stamp_ns, frame_id, np.array(force + _NOT_REPORTED), sum(map(abs, force)))


def decode_bare_wrench(data: bytes, received_ns: int) -> Sample:
    """Decode a Wrench: force then torque, in no frame, stamped by whoever received it.

    Raises:
        DecodeError: the bytes are cut short or are not such a message, or no message can be
            stamped so.
    """
    if len(data) < _STAMP_AT:
        raise DecodeError(f"{len(data)} bytes are too few for a message")
    doubles = _doubles(data, _STAMP_AT, _layout(data).wrench)
    if not 0 <= received_ns < LAST_STAMP_NS:  # a bag may hold any
        raise DecodeError(f"stamp {received_ns} ns is out of range")
    return Sample(received_ns, "", np.array(doubles), sum(map(abs, doubles)))


# Words from the first double on: of each value, and of what is -1 where it is not reported.
_PLACES = {
    IMU: ((25, 26, 27, 13, 14, 15), (28, 28, 28, 16, 16, 16)),
    WRENCH: ((0, 1, 2, 3, 4, 5), ()),
    FORCE: ((0, 1, 2, -1, -1, -1), ()),
}


def form_of(msgtype: str, data: bytes, part: slice) -> Form | None:
    """The form of a message of which a part of the channels is read; None: one has to look.

    Raises:
        DecodeError: the bytes are not such a message.
    """
    if msgtype not in _PLACES or data[:2] != b"\0\1":
        return None
    places, flags = _PLACES[msgtype]
    _, _, frame_id, end = read_header(data)
    words = np.zeros(-(-(len(data) - _STAMP_AT) // 8), "<u8")
    words.view(np.uint8)[: len(data) - _STAMP_AT] = np.frombuffer(data, np.uint8)[_STAMP_AT:]
    fixed = np.zeros_like(words)
    fixed.view(np.uint8)[_STRING_AT - _STAMP_AT : end - _STAMP_AT] = 0xFF
    first = (end + (_STAMP_AT - end) % 8 - _STAMP_AT) // 8
    columns = np.array([first + place if place >= 0 else -1 for place in places])
    for column, flag in zip(range(len(places)), flags, strict=False):
        fixed[first + flag] = np.iinfo(np.uint64).max
        if words.view("<f8")[first + flag] == -1.0:
            columns[column] = -1
    at = np.flatnonzero(fixed)
    checks = np.array([at, fixed[at], words[at] & fixed[at]], np.uint64).T
    return Form(frame_id, len(data), checks, columns[part])


DECODERS: dict[str, Callable[[bytes], Sample]] = {
    IMU: decode_imu,
    WRENCH: decode_wrench,
    FORCE: decode_force,
}
