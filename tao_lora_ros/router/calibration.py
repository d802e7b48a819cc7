"""Thresholds from steady recordings and a target false-alarm rate; nobody tunes them by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.router.analyzer import Calibration, VarianceAnalyzer
from tao_lora_ros.signal.source import unit_of

SCALES = (1, 2, 4)
MEMORIES_S = (0.032, 0.128, 1.0)
COVARIANCE_S = 2.0
START_S = 0.2
LEAK_S = 1.0
BLOCK_S = 0.25
LEAST_BLOCKS = 8
# What counts as the tail: the start of a motion makes it heavier than the bulk lets expect.
TAIL_SHARE = 0.01
KEPT_BLOCKS = 14_400  # an hour
# Changes below these are under the resolution of common sensors (m/s², rad/s, N, Nm).
_RESOLUTION = {"m/s^2": 2e-3, "rad/s": 2e-4, "N": 1e-2, "Nm": 5e-4}


class CalibrationError(ValueError):
    """The recording does not serve; the text says what is missing."""


def uncalibrated(channels: Iterable[str], rate_hz: float) -> Calibration:
    """A calibration with thresholds of 1, to compute log-ratios with."""
    return Calibration(
        scales=SCALES,
        thresholds=(1.0,) * len(SCALES),
        memories=tuple(round(memory * rate_hz) for memory in MEMORIES_S),
        covariance_rows=round(COVARIANCE_S * rate_hz),
        start_rows=round(START_S * rate_hz),
        leak_rows=round(LEAK_S * rate_hz),
        floors=tuple(_RESOLUTION[unit_of(channel)] for channel in channels),
        alarms_per_hour=float("nan"),
    )


class BlockMaxima:
    """Largest log-ratios of each block of `BLOCK_S` seconds, of the newest `KEPT_BLOCKS` blocks."""

    def __init__(self, rate_hz: float) -> None:
        self._block_rows = round(BLOCK_S * rate_hz)
        self._blocks: deque[NDArray[np.float64]] = deque(maxlen=KEPT_BLOCKS)
        self._largest: NDArray[np.float64] | None = None
        self._rows = 0

    def clear(self) -> None:
        """Forget all blocks."""
        self._blocks.clear()
        self.cut()

    def push(self, log_ratios: NDArray[np.float64]) -> None:
        """Take one row's log-ratios, [scales]."""
        before = self._largest
        self._largest = log_ratios if before is None else np.maximum(before, log_ratios)
        self._rows += 1
        if self._rows == self._block_rows:
            self._blocks.append(self._largest)
            self.cut()

    def cut(self) -> None:
        """Begin a new block: what comes next does not join on to what was."""
        self._largest, self._rows = None, 0

    @property
    def values(self) -> NDArray[np.float64]:
        """The maxima, float64 [blocks, scales], oldest first."""
        return np.array(self._blocks) if self._blocks else np.zeros((0, 0))


def maxima_of(
    recordings: Iterable[Iterable[NDArray[np.float64]]], calibration: Calibration, rate_hz: float
) -> BlockMaxima:
    """Block maxima of steady recordings, each a run of rows float64 [C]."""
    maxima = BlockMaxima(rate_hz)
    for rows in recordings:
        analyzer = VarianceAnalyzer(calibration)
        maxima.cut()
        for values in rows:
            analyzer.update(values, frozen=False)
            if analyzer.ready:
                maxima.push(analyzer.log_ratios)
    return maxima


def calibrated(
    calibration: Calibration, maxima: NDArray[np.float64], alarms_per_hour: float
) -> Calibration:
    """Set each scale's threshold so that steady motion alarms at the target rate.

    Peaks over threshold with an exponential tail (Coles 2001, An Introduction to Statistical
    Modeling of Extreme Values, chapter 4, shape 0); the threshold is the return level for the
    target rate, shared evenly among the scales.

    Args:
        calibration: what to keep but the thresholds.
        maxima: block maxima of steady motion, [blocks, scales].
        alarms_per_hour: target false-alarm rate of all scales together.

    Raises:
        CalibrationError: fewer than `LEAST_BLOCKS` blocks, or no motion to learn from.
    """
    if len(maxima) < LEAST_BLOCKS:
        raise CalibrationError(
            f"{len(maxima) * BLOCK_S:g} s of steady motion with a baseline; "
            f"at least {LEAST_BLOCKS * BLOCK_S:g} s are needed"
        )
    blocks_per_alarm = 3600.0 / BLOCK_S / (alarms_per_hour / len(calibration.scales))
    thresholds = return_levels(maxima, blocks_per_alarm)
    if not (thresholds > 0).all():
        raise CalibrationError("the signals never vary: a sensor is stuck or silent")
    return replace(
        calibration,
        thresholds=tuple(float(round(level, 4)) for level in thresholds),
        alarms_per_hour=alarms_per_hour,
    )


def return_levels(maxima: NDArray[np.float64], blocks: float) -> NDArray[np.float64]:
    """Level that one block in `blocks` exceeds, per column of maxima [blocks, scales]."""
    ordered = np.sort(maxima, axis=0)
    count = max(round(TAIL_SHARE * len(ordered)), min(12, len(ordered) // 2))
    level = ordered[-count - 1]
    mean_excess = (ordered[-count:] - level).mean(axis=0)
    return level + mean_excess * np.log(blocks * count / len(ordered))
