"""Sliding window over rows: O(1) a row, and the newest T rows always in one piece."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class SlidingWindow:
    """The newest `length` rows of `channels` values.

    Every row is written twice, `length` rows apart, so that the window is a plain slice and never
    has to be put together.

    >>> window = SlidingWindow(length=3, channels=1)
    >>> for time_ns, value in ((10, 1.0), (20, 2.0), (30, 3.0), (40, 4.0)):
    ...     window.push(time_ns, np.array([value]))
    >>> window.full, window.times_ns.tolist(), window.values.ravel().tolist()
    (True, [20, 30, 40], [2.0, 3.0, 4.0])
    """

    def __init__(self, length: int, channels: int) -> None:
        self._length = length
        self._rows = np.full((2 * length, channels), np.nan)
        self._times_ns = np.zeros(2 * length, dtype=np.int64)
        self._count = 0

    def push(self, time_ns: int, values: NDArray[np.float64]) -> None:
        """Add one row, float64 [C]."""
        at = self._count % self._length
        self._rows[at] = self._rows[at + self._length] = values
        self._times_ns[at] = self._times_ns[at + self._length] = time_ns
        self._count += 1

    @property
    def full(self) -> bool:
        """Whether `length` rows have come."""
        return self._count >= self._length

    @property
    def values(self) -> NDArray[np.float64]:
        """The window, float64 [T, C], oldest row first; a view that the next push changes."""
        at = self._count % self._length
        return self._rows[at : at + self._length]

    @property
    def times_ns(self) -> NDArray[np.int64]:
        """Grid times of the window's rows, int64 [T]; a view likewise."""
        at = self._count % self._length
        return self._times_ns[at : at + self._length]

    def clear(self) -> None:
        """Forget all rows."""
        self._rows.fill(np.nan)
        self._count = 0
