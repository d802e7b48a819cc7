"""Sliding window over rows: O(1) a row, and the newest T rows always in one piece."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SPARE = 1024  # rows that are added before the window moves back to the beginning


class SlidingWindow:
    """The newest `length` rows of `channels` values.

    Rows are written one after the other into a longer array, so that every window is a plain slice
    and never has to be put together; once the array is full the newest go to its beginning.

    >>> window = SlidingWindow(length=3, channels=1)
    >>> window.extend(np.array([10, 20, 30, 40]), np.array([[1.0], [2.0], [3.0], [4.0]]))
    >>> window.full, window.times_ns.tolist(), window.values.ravel().tolist()
    (True, [20, 30, 40], [2.0, 3.0, 4.0])
    >>> window.ago(1)[1].ravel().tolist()  # as it was one row ago
    [1.0, 2.0, 3.0]
    """

    def __init__(self, length: int, channels: int) -> None:
        self._length = length
        self._rows = np.full((length + _SPARE, channels), np.nan)
        self._times_ns = np.zeros(length + _SPARE, dtype=np.int64)
        self._end = length
        self.count = 0  # rows that have come

    def extend(self, times_ns: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Add rows, float64 [n, C]."""
        count = len(values)
        if self._end + count > len(self._rows):
            self._move(count)
        new = slice(self._end, self._end + count)
        self._rows[new], self._times_ns[new] = values, times_ns
        self._end += count
        self.count += count

    def _move(self, count: int) -> None:
        """Have place for so many more behind the newest window."""
        kept = slice(self._end - self._length, self._end)
        rows, times_ns = self._rows[kept].copy(), self._times_ns[kept].copy()
        if (needed := self._length + count) > len(self._rows):
            self._rows = np.full((needed, rows.shape[1]), np.nan)
            self._times_ns = np.zeros(needed, dtype=np.int64)
        self._rows[: self._length], self._times_ns[: self._length] = rows, times_ns
        self._end = self._length

    @property
    def full(self) -> bool:
        """Whether `length` rows have come."""
        return self.count >= self._length

    def ago(self, rows: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Times and values as they were so many rows ago, of those that were added together."""
        part = slice(self._end - rows - self._length, self._end - rows)
        return self._times_ns[part], self._rows[part]

    @property
    def values(self) -> NDArray[np.float64]:
        """The window, float64 [T, C], oldest row first; a view that later rows change."""
        return self.ago(0)[1]

    @property
    def times_ns(self) -> NDArray[np.int64]:
        """Grid times of the window's rows, int64 [T]; a view likewise."""
        return self.ago(0)[0]

    def clear(self) -> None:
        """Forget all rows."""
        self._rows.fill(np.nan)
        self._end, self.count = self._length, 0
