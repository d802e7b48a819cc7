"""Slow covariance of all channels, and how far a row lies outside of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS = 16
SHRINKAGE = 0.05


class StreamingCovariance:
    """Exponentially weighted covariance about zero of rows [C].

    Old rows fade by the weight of every new one, so rounding errors fade with them and cannot pile
    up over hours. Until `memory_rows` have come, every row has an equal part. Rows are gathered and
    taken in by blocks, one matrix product each.

    The inverse is that of the covariance with `SHRINKAGE` of its diagonal and the channels' floors
    added: an estimate from few rows has too small eigenvalues (Ledoit and Wolf 2004).

    Args:
        memory_rows: rows after which a row's weight has fallen by e.
        floors: standard deviation of each channel's resolution, [C].
    """

    def __init__(self, memory_rows: int, floors: NDArray[np.float64]) -> None:
        self._memory = memory_rows
        self._floor = np.diag(floors**2)
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        channels = len(self._floor)
        self._count = 0
        self._covariance = np.zeros((channels, channels))
        self._block = np.zeros((BLOCK_ROWS, channels))
        self._present = np.zeros((BLOCK_ROWS, channels), dtype=bool)
        self._weights = np.zeros(BLOCK_ROWS)
        self._filled = 0
        self._inverse = np.linalg.inv(self._floor)
        self.deviations = np.sqrt(np.diagonal(self._floor))  # standard deviations, [C]

    def push(self, row: NDArray[np.float64], weight: float) -> None:
        """Add a row, float64 [C], with a weight from 0 (ignored) to 1.

        A channel that is NaN keeps its variance and forgets what it had in common with the others.
        """
        self._count += 1
        self._present[self._filled] = present = ~np.isnan(row)
        self._block[self._filled] = np.where(present, row, 0.0)
        self._weights[self._filled] = weight / min(self._count, self._memory)
        self._filled += 1
        if self._filled == BLOCK_ROWS:
            self._take_in()

    def _take_in(self) -> None:
        # Row by row, C' = (1 - w) C + w x xᵀ; so a row's part is what the later ones leave of it.
        left = np.cumprod(1.0 - self._weights[::-1])[::-1]
        parts = self._weights * np.append(left[1:], 1.0)
        kept = np.prod(np.where(self._present, 1.0 - self._weights[:, None], 1.0), axis=0)
        variances = np.diagonal(self._covariance) * (kept - left[0])
        self._covariance *= left[0]
        self._covariance += (self._block.T * parts) @ self._block + np.diag(variances)
        self._filled = 0
        variances = np.diagonal(self._covariance)
        self._inverse = np.linalg.inv(
            self._covariance + np.diag(SHRINKAGE * variances) + self._floor
        )
        self.deviations = np.sqrt(variances + np.diagonal(self._floor))

    @property
    def value(self) -> NDArray[np.float64]:
        """Covariance of the rows that were taken in, float64 [C, C]."""
        return self._covariance

    def squared_distance(self, row: NDArray[np.float64]) -> float:
        """Squared Mahalanobis distance of a row, float64 [C], from zero."""
        return float(row @ self._inverse @ row)
