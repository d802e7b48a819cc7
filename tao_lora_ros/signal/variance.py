"""Variance of the newest n rows of every channel, for several n at once, O(1) a row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class SlidingVariance:
    """Exact sample variance over several window lengths.

    Sums of x and x² in float64, taken about a reference near the data so that a large offset
    (gravity) does not cancel digits (Chan, Golub, LeVeque 1983). Every pass of the ring the sums
    are rebuilt from the samples that it holds, so rounding errors cannot pile up over hours.

    Args:
        lengths: window lengths in rows, each at least 2.
        channels: number of channels.
    """

    def __init__(self, lengths: tuple[int, ...], channels: int) -> None:
        self._lengths = np.array(lengths)
        self._size = int(self._lengths.max())
        self._channels = channels
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        shape = (len(self._lengths), self._channels)
        self._ring = np.zeros((self._size, self._channels))
        self._at = 0
        self._sum = np.zeros(shape)
        self._square_sum = np.zeros(shape)
        self._valid = np.zeros(self._channels, dtype=np.int64)
        self._reference = np.zeros(self._channels)

    def push(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add a row, float64 [C]; return variances, float64 [lengths, C].

        A channel's variance is NaN until that many rows in a row were present; a NaN starts it anew.
        """
        present = ~np.isnan(values)
        fresh = present & (self._valid == 0)
        self._valid = np.where(present, self._valid + 1, 0)
        if fresh.any() or not present.all():
            self._restart(fresh, present, values)
        shifted = np.where(present, values - self._reference, 0.0)
        leaving = self._ring[(self._at - self._lengths) % self._size]
        self._ring[self._at] = shifted
        self._sum += shifted - leaving
        self._square_sum += shifted * shifted - leaving * leaving
        self._at = (self._at + 1) % self._size
        if self._at == 0:
            self._rebuild()
        return self.current

    @property
    def current(self) -> NDArray[np.float64]:
        """Variances of the newest rows, float64 [lengths, C]."""
        n = self._lengths[:, None]
        variance = (self._square_sum - self._sum * self._sum / n) / (n - 1)
        return np.where(self._valid >= n, np.maximum(variance, 0.0), np.nan)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean over the longest window, float64 [C]; NaN until it is full."""
        longest = self._lengths.argmax()
        mean = self._reference + self._sum[longest] / self._size
        return np.where(self._valid >= self._size, mean, np.nan)

    def _restart(self, fresh: NDArray, present: NDArray, values: NDArray[np.float64]) -> None:
        clear = fresh | ~present
        self._ring[:, clear] = self._sum[:, clear] = self._square_sum[:, clear] = 0.0
        self._reference[fresh] = values[fresh]

    def _rebuild(self) -> None:
        """Sum the ring afresh, about the mean of what it holds."""
        mean = np.where(self._valid >= self._size, self._ring.mean(axis=0), 0.0)
        self._ring -= mean
        self._reference += mean
        for i, length in enumerate(self._lengths):
            newest = self._ring[self._size - length :]
            self._sum[i] = newest.sum(axis=0)
            self._square_sum[i] = (newest * newest).sum(axis=0)
