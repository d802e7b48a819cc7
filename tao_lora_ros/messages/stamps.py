"""Stamps in nanoseconds, and the seconds and nanoseconds of a ROS Time."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

SECOND_NS = 1_000_000_000


def split(stamp_ns: int) -> tuple[int, int]:
    """Seconds and nanoseconds of a stamp or a duration."""
    return divmod(stamp_ns, SECOND_NS)


def split_all(stamps_ns: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Seconds [n] and nanoseconds [n] of stamps int64 [n]."""
    return np.divmod(stamps_ns, SECOND_NS)


def joined(seconds: int, nanoseconds: int) -> int:
    """The stamp of these seconds and nanoseconds."""
    return int(seconds) * SECOND_NS + int(nanoseconds)


def moment_of(stamp_ns: int) -> datetime:
    """The second that a stamp is in, UTC."""
    return datetime.fromtimestamp(stamp_ns // SECOND_NS, timezone.utc)


def stamp_of(time: Any) -> int:
    """The stamp of a Time message, of rclpy or of rosbags."""
    return joined(time.sec, time.nanosec)
