"""Largest values of steady motion in blocks of a tenth of a second: all that a tail needs to know.

Blocks are numbered, and those that are neighbours have numbers that are. Only those that may be
among the peaks of a tail are kept, so that hours of motion are a few hundred blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.covariance import Array
from tao_lora_ros.detection.tail import cluster_rows, wanted_peaks

# Peaks of neighbouring blocks are one: blocks are as long as peaks have to be apart.
APART = 2
_SPARE = 4  # kept, in terms of the peaks of a tail: peaks of the same cluster, and what is left out
_DIGITS = 4


class Blocks(NamedTuple):
    """The largest values of k statistics in n blocks, and how much motion they come from.

    Args:
        values: [n, k].
        numbers: of the blocks, [n], ascending.
        seconds: of motion, of which these blocks are the largest.
    """

    values: Array
    numbers: NDArray[np.int64]
    seconds: float

    def joined(self, other: Blocks) -> Blocks:
        """Both, the other's blocks after ours."""
        after = self.numbers[-1] + APART if len(self.numbers) else 0
        return Blocks(
            np.concatenate((self.values, other.values)),
            np.concatenate((self.numbers, other.numbers + after)),
            self.seconds + other.seconds,
        )

    def without(self, left_out: NDArray[np.int64]) -> Blocks:
        """All but those of some numbers and their neighbours."""
        near = (np.abs(self.numbers[:, None] - left_out) < APART).any(axis=1)
        return Blocks(self.values[~near], self.numbers[~near], self.seconds)

    def largest(self) -> Blocks:
        """Those that may be among the peaks of a tail, rounded."""
        if len(self.values) > self._most:
            least = -np.partition(-self.values, self._most, axis=0)[self._most]
            kept = (self.values > least).any(axis=1)
            return Blocks(self.values[kept], self.numbers[kept], self.seconds)
        return self

    @property
    def _most(self) -> int:
        return _SPARE * wanted_peaks(self.seconds)

    @property
    def least_large(self) -> Array:
        """The value of each statistic that as many blocks have at least as are kept of it, [k]."""
        largest: Array = np.sort(self.values, axis=0)[-self._most :]
        return largest.min(axis=0, initial=np.inf)

    @property
    def newer_half(self) -> Blocks:
        """What came last, about half of the motion."""
        middle = int(self.numbers[-1]) // 2
        kept = self.numbers > middle
        return Blocks(self.values[kept], self.numbers[kept] - middle, self.seconds / 2.0)

    @property
    def apart(self) -> Array:
        """The values with a row of -inf between blocks that are no neighbours."""
        breaks = np.flatnonzero(np.diff(self.numbers) > 1) + 1
        return np.insert(self.values, breaks, -np.inf, axis=0)

    @property
    def rows(self) -> tuple[tuple[float, ...], ...]:
        """Number and values of each block, as a calibration keeps them."""
        return tuple(
            (int(number), *(round(float(value), _DIGITS) for value in values))
            for number, values in zip(self.numbers, self.values, strict=True)
        )


def blocks_from(rows: Sequence[Sequence[float]], statistics: int, seconds: float) -> Blocks:
    """What `Blocks.rows` was made of."""
    table = np.array(rows, np.float64).reshape(-1, 1 + statistics)
    return Blocks(table[:, 1:], table[:, 0].astype(np.int64), seconds)


def blocks_of(recordings: Sequence[Array], rate_hz: float) -> Blocks:
    """Those of recorded statistics, each [n, k], -inf where there is none."""
    length, found = cluster_rows(rate_hz), []
    for one in recordings:
        count = len(one) // length
        values = one[: count * length].reshape(count, length, one.shape[1]).max(axis=1)
        known = np.flatnonzero(values[:, 0] > -np.inf)
        found.append(Blocks(values[known], known, len(known) * length / rate_hz))
    together = found[0]
    for blocks in found[1:]:
        together = together.joined(blocks)
    return together.largest()
