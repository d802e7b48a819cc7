"""What all detectors share, and the one rule that sets their thresholds on steady motion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.benchmarks.scenes import RATE_HZ, Scene
from tao_lora_ros.benchmarks.score import Detections
from tao_lora_ros.router.calibration import BLOCK_S, return_levels


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
    """The router's rule for any statistic: peaks over threshold of steady motion's block maxima.

    Args:
        statistics: one array [n, k] a recording, k statistics that alarm each on its own.
        alarms_per_hour: target of all k together, shared evenly.

    Returns:
        The level of each, [k].
    """
    block = round(BLOCK_S * RATE_HZ)
    maxima = [
        values[: len(values) // block * block].reshape(-1, block, values.shape[1]).max(axis=1)
        for values in statistics
    ]
    columns = maxima[0].shape[1]
    blocks_per_alarm = 3600.0 / BLOCK_S / (alarms_per_hour / columns)
    return return_levels(np.concatenate(maxima), blocks_per_alarm)


def strictest(
    alarms: Callable[[float], int], allowed: float, low: float, high: float, steps: int = 12
) -> float:
    """Smallest parameter, by bisection, that raises no more than the allowed alarms.

    For detectors that have a parameter but no statistic; more of it must mean fewer alarms.
    Gives `high` where nothing up to it is enough.
    """
    for _ in range(steps):
        middle = 0.5 * (low + high)
        if alarms(middle) <= allowed:
            high = middle
        else:
            low = middle
    return high


def begins(alarming: NDArray[np.bool_], hold_rows: int) -> NDArray[np.int64]:
    """Rows at which an alarm begins: those that alarm after `hold_rows` that did not."""
    rows = np.flatnonzero(alarming)
    return rows[np.diff(rows, prepend=-hold_rows - 1) > hold_rows]
