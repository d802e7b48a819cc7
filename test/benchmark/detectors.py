"""What all detectors share, and the one rule that sets their thresholds on steady motion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmark.scenes import RATE_HZ, Scene
from benchmark.score import Detections
from tao_lora_ros.detection import tail

_DOWN, _LEAST = 0.7, 1e-5  # from one parameter to the next; where to give up, of the largest
_PARAMETERS = 32


class Detector(Protocol):
    """Finds onsets, after it was calibrated.

    `name` is the benchmark's subject, `needs` the packages that must be installed.
    """

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> tuple[str, ...]: ...

    def calibrate(self, steady: Sequence[Scene], alarms_per_hour: float) -> None:
        """Set the threshold to a rate of false alarms in steady motion."""

    def detect(self, scene: Scene) -> Detections:
        """Find the onsets in a scene."""


def thresholds(
    statistics: Iterable[NDArray[np.float64]], alarms_per_hour: float
) -> NDArray[np.float64]:
    """The router's rule for any statistics, see `tail.thresholds`.

    Args:
        statistics: one array [n, k] a recording, k statistics that alarm each on its own.
        alarms_per_hour: target of all k together.

    Returns:
        The level of each, [k].
    """
    return tail.thresholds(list(statistics), RATE_HZ, alarms_per_hour)[0]


def strictest(
    alarms: Callable[[float], Sequence[NDArray[np.bool_]]],
    largest: float,
    alarms_per_hour: float,
) -> float:
    """The same rule for a detector that has a parameter but no statistic.

    The parameter is taken for the statistic: a block's maximum is the largest parameter with which
    it still alarms, of some between the one with which nothing does and the one with which there
    are peaks enough.

    Args:
        alarms: the rows that alarm with a parameter, [n] a recording; more of it means fewer.
        largest: parameter to begin with.
        alarms_per_hour: target.
    """

    def alarming(parameter: float) -> NDArray[np.bool_]:
        return np.concatenate([_block_maxima(rows[:, None]) for rows in alarms(parameter)])

    silent = low = largest
    blocks = alarming(low)
    enough = 2 * tail.wanted_peaks(len(blocks) * tail.CLUSTER_S)
    while blocks.sum() <= min(enough, len(blocks) // 2) and low > largest * _LEAST:
        silent = silent if blocks.any() else low
        low *= _DOWN
        blocks = alarming(low)
    maxima = np.zeros(blocks.shape)
    for parameter in np.linspace(low, silent, _PARAMETERS):
        maxima = np.maximum(maxima, alarming(float(parameter)) * parameter)
    (level,), _ = tail.thresholds([maxima], 1.0 / tail.CLUSTER_S, alarms_per_hour)
    return float(level) if level < tail.NEVER else 0.0  # it never alarms


def _block_maxima(values: NDArray) -> NDArray:
    """Of values [n, k], [blocks, k]."""
    block = round(tail.CLUSTER_S * RATE_HZ)
    blocks = len(values) // block
    return np.asarray(values[: blocks * block].reshape(blocks, block, -1).max(axis=1))


def begins(alarming: NDArray[np.bool_], hold_rows: int) -> NDArray[np.int64]:
    """Rows at which an alarm begins: those that alarm after `hold_rows` that did not."""
    rows = np.flatnonzero(alarming)
    return rows[np.diff(rows, prepend=-hold_rows - 1) > hold_rows]
