"""Thresholds from steady recordings and a target false-alarm rate; nobody tunes them by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.router.analyzer import Calibration, VarianceAnalyzer
from tao_lora_ros.signal.source import unit_of

SCALES = (1, 2, 4, 8)
MEMORIES_S = (0.032, 0.128, 1.0)
COVARIANCE_S = 2.0
START_S = 0.2
LEAK_S = 1.0
BLOCK_S = 0.25
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


def calibrate(
    recordings: Iterable[Iterable[NDArray[np.float64]]],
    channels: Iterable[str],
    rate_hz: float,
    alarms_per_hour: float,
) -> Calibration:
    """Set each scale's threshold so that steady motion alarms at the target rate.

    Peaks over threshold with an exponential tail (Coles 2001, An Introduction to Statistical
    Modeling of Extreme Values, chapter 4, shape 0), on the maxima of blocks of `BLOCK_S` seconds;
    the threshold is the return level for the target rate, shared evenly among the scales.

    Args:
        recordings: steady recordings, each a run of rows float64 [C].
        channels: channel names.
        rate_hz: grid rate of the rows.
        alarms_per_hour: target false-alarm rate of all scales together.

    Raises:
        CalibrationError: fewer than 8 blocks of steady motion.
    """
    base = uncalibrated(channels, rate_hz)
    block = round(BLOCK_S * rate_hz)
    maxima: list[NDArray[np.float64]] = []
    for rows in recordings:
        ratios = log_ratios(rows, base)
        usable = len(ratios) // block * block
        maxima.extend(ratios[:usable].reshape(-1, block, len(SCALES)).max(axis=1))
    if len(maxima) < 8:
        raise CalibrationError(
            f"{len(maxima) * BLOCK_S:g} s of steady motion after the baseline's start; "
            f"at least {8 * BLOCK_S:g} s are needed"
        )
    blocks_per_alarm = 3600.0 / BLOCK_S / (alarms_per_hour / len(SCALES))
    thresholds = _return_level(np.array(maxima), blocks_per_alarm)
    return replace(
        base,
        thresholds=tuple(float(round(level, 4)) for level in thresholds),
        alarms_per_hour=alarms_per_hour,
    )


def log_ratios(
    rows: Iterable[NDArray[np.float64]], calibration: Calibration
) -> NDArray[np.float64]:
    """Log-ratio of each scale, [rows, scales], from the first row with a baseline on."""
    analyzer = VarianceAnalyzer(calibration)
    ratios = []
    for values in rows:
        analyzer.update(values, frozen=False)
        if analyzer.ready:
            ratios.append(analyzer.log_ratios)
    return np.array(ratios).reshape(-1, len(calibration.scales))


def _return_level(maxima: NDArray[np.float64], blocks: float) -> NDArray[np.float64]:
    """Level that one block in `blocks` exceeds, per column of maxima [blocks, scales]."""
    ordered = np.sort(maxima, axis=0)
    count = max(len(ordered) // 20, min(12, len(ordered) // 2))
    level = ordered[-count - 1]
    mean_excess = (ordered[-count:] - level).mean(axis=0)
    return level + mean_excess * np.log(blocks * count / len(ordered))
