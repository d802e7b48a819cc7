"""Decode the CDR bytes of `sensor_msgs/Imu` and `geometry_msgs/WrenchStamped` without ROS.

A raw subscription and a bag hand out the same bytes, so the live node and the replay share this
decoder. The layout follows the OMG CDR encoding (DDS-XTypes 1.3, section 7.4.1, plain CDR): four
bytes of encapsulation, then fields aligned to their size, counted from byte 4.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_HEADER_BYTES = 4
_STRING_AT = _HEADER_BYTES + 8
_NANOSECONDS = 1_000_000_000

IMU = "sensor_msgs/msg/Imu"
WRENCH = "geometry_msgs/msg/WrenchStamped"


class DecodeError(ValueError):
    """The bytes are not a message of the expected type; the text says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One decoded message.

    `values` is float64 [6]: linear acceleration (m/s²) and angular velocity (rad/s) of an Imu, or
    force (N) and torque (Nm) of a wrench. A part that the sender does not report is NaN;
    `finite` says whether all that it does report is.
    """

    stamp_ns: int
    frame_id: str
    values: NDArray[np.float64]
    finite: bool


def _header(data: bytes) -> tuple[str, int, str, int]:
    """Return byte order, stamp (ns), frame id and the offset of the first double."""
    if len(data) < _STRING_AT + 4:
        raise DecodeError(f"{len(data)} bytes are too few for a stamped message")
    if data[0] != 0 or data[1] not in (0, 1):
        raise DecodeError(f"encapsulation 0x{data[0]:02x}{data[1]:02x} is not plain CDR")
    order = "<" if data[1] else ">"
    seconds, nanoseconds, length = struct.unpack_from(order + "iII", data, _HEADER_BYTES)
    if seconds < 0 or nanoseconds >= _NANOSECONDS:
        raise DecodeError(f"stamp {seconds} s {nanoseconds} ns is out of range")
    start, end = _STRING_AT + 4, _STRING_AT + 4 + length
    if length == 0 or end > len(data) or data[end - 1] != 0:
        raise DecodeError(f"frame id of {length} bytes does not fit {len(data)} bytes")
    try:
        frame_id = bytes(data[start : end - 1]).decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"frame id is not UTF-8: {error.reason}") from None
    offset = end + (_HEADER_BYTES - end) % 8
    return order, seconds * _NANOSECONDS + nanoseconds, frame_id, offset


def _doubles(data: bytes, count: int) -> tuple[int, str, NDArray[np.float64]]:
    order, stamp_ns, frame_id, offset = _header(data)
    if len(data) < offset + 8 * count:
        raise DecodeError(f"{len(data)} bytes, expected {offset + 8 * count}")
    return stamp_ns, frame_id, np.frombuffer(data, order + "f8", count, offset)


def decode_imu(data: bytes) -> Sample:
    """Decode an Imu: acceleration then angular velocity, NaN where covariance[0] is -1 (REP-145).

    Raises:
        DecodeError: the bytes are cut short or are not such a message.
    """
    stamp_ns, frame_id, fields = _doubles(data, 37)
    # orientation 4 + 9, angular velocity 3 + 9, linear acceleration 3 + 9
    values = np.concatenate((fields[25:28], fields[13:16]), dtype=np.float64)
    missing = np.repeat((fields[28] == -1.0, fields[16] == -1.0), 3)
    finite = bool((np.isfinite(values) | missing).all())
    values[missing] = np.nan
    return Sample(stamp_ns, frame_id, values, finite)


def decode_wrench(data: bytes) -> Sample:
    """Decode a WrenchStamped: force then torque.

    Raises:
        DecodeError: the bytes are cut short or are not such a message.
    """
    stamp_ns, frame_id, fields = _doubles(data, 6)
    return Sample(stamp_ns, frame_id, fields.astype(np.float64), bool(np.isfinite(fields).all()))


DECODERS: dict[str, Callable[[bytes], Sample]] = {IMU: decode_imu, WRENCH: decode_wrench}
