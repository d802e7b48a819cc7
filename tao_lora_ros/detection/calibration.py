"""All that the analyzer needs, from steady recordings and a target false-alarm rate.

Nobody tunes a threshold by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.analyzer import Calibration, log_ratios, new_analyzer
from tao_lora_ros.detection.glitch_filter import MEMORY_S, resolutions
from tao_lora_ros.detection.innovation import LAGS
from tao_lora_ros.messages.errors import TaoLoraError

SCALES = (1, 3)
MEMORIES_S = (0.012, 0.048, MEMORY_S)
COVARIANCE_S = 2.0
START_S = 0.2
LEAK_S = 0.5
BLOCK_S = 0.05
LEAST_BLOCKS = 40
# What counts as the tail: few, as the starts of motions make it heavier than more would let expect.
PEAKS = 12
# That the true level lies below the one that is set.
CONFIDENCE = 0.95
KEPT_S = 600.0
_LEAST_COVARIANCE = 50  # rows
_LEAST_START = 5
_DIGITS = 8  # significant ones of the autocovariance


class CalibrationError(TaoLoraError):
    """The recording does not serve; the text says what is missing."""


class SteadyRows:
    """The newest `KEPT_S` seconds of rows, as the glitch filter gives them out: to calibrate on."""

    def __init__(self, rate_hz: float, channels: int) -> None:
        self._ring = np.empty((round(KEPT_S * rate_hz), channels))  # takes memory as it fills
        self._count = 0

    def clear(self) -> None:
        """Forget all rows."""
        self._count = 0

    def push(self, values: NDArray[np.float64]) -> None:
        """Take a row, float64 [C]."""
        self._ring[self._count % len(self._ring)] = values
        self._count += 1

    @property
    def values(self) -> NDArray[np.float64]:
        """The rows, float64 [n, C], oldest first."""
        at = self._count % len(self._ring)
        full = self._count >= len(self._ring)
        return np.concatenate((self._ring[at:], self._ring[:at])) if full else self._ring[:at]


def uncalibrated(channels: Iterable[str], rate_hz: float) -> Calibration:
    """What is known before the first recording; thresholds of 1.

    At a low rate all takes some rows at least, however long that is.
    """
    floors = resolutions(channels)
    memories: list[int] = []
    for memory_s in MEMORIES_S:
        memories.append(max(round(memory_s * rate_hz), 1 + max(memories, default=0)))
    return Calibration(
        scales=SCALES,
        thresholds=(1.0,) * len(SCALES),
        memories=tuple(memories),
        covariance_rows=max(round(COVARIANCE_S * rate_hz), _LEAST_COVARIANCE),
        start_rows=max(round(START_S * rate_hz), _LEAST_START),
        leak_rows=max(round(LEAK_S * rate_hz), 1),
        floors=floors,
        autocovariance=(((0.0,) * len(floors),) * len(floors),) * (LAGS + 1),
        alarms_per_hour=float("nan"),
    )


def calibrated(
    calibration: Calibration,
    recordings: Sequence[NDArray[np.float64]],
    rate_hz: float,
    alarms_per_hour: float,
) -> tuple[Calibration, NDArray[np.float64]]:
    """Set covariance and thresholds so that steady motion alarms at the target rate.

    Each threshold is the return level (see `return_levels`) for the target rate, which all scales
    share evenly.

    Args:
        calibration: what to keep of: scales, memories, floors.
        recordings: steady motion as the glitch filter gives it out, each float64 [n, C].
        rate_hz: of the rows.
        alarms_per_hour: target false-alarm rate of all scales together.

    Returns:
        The calibration, and the block maxima that its thresholds were fitted to.

    Raises:
        CalibrationError: fewer than `LEAST_BLOCKS` blocks, or no motion to learn from.
    """
    known = replace(
        calibration, autocovariance=_autocovariance(recordings, len(calibration.floors))
    )
    maxima = block_maxima(recordings, known, rate_hz)
    if len(maxima) < LEAST_BLOCKS:
        raise CalibrationError(
            f"{len(maxima) * block_s(rate_hz):g} s of steady motion with a baseline; "
            f"at least {LEAST_BLOCKS * block_s(rate_hz):g} s are needed"
        )
    blocks_per_alarm = 3600.0 / block_s(rate_hz) / (alarms_per_hour / len(calibration.scales))
    thresholds = return_levels(maxima, blocks_per_alarm)
    if not (thresholds > 0).all():
        raise CalibrationError("the signals never vary: a sensor is stuck or silent")
    rounded = tuple(float(round(level, 4)) for level in thresholds)
    return replace(known, thresholds=rounded, alarms_per_hour=alarms_per_hour), maxima


def _autocovariance(
    recordings: Sequence[NDArray[np.float64]], channels: int
) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Of the changes from row to row, at lags 0 to LAGS; a missing change counts as none.

    Every lag is divided by the number of changes, not of products: only so is the matrix of all
    lags positive semidefinite (Brockwell and Davis 1991, Time Series, section 7.2).
    """
    sums, count = np.zeros((LAGS + 1, channels, channels)), 0
    for rows in recordings:
        changes = np.nan_to_num(np.diff(rows, axis=0))
        count += len(changes)
        for lag in range(LAGS + 1):
            sums[lag] += changes[lag:].T @ changes[: max(len(changes) - lag, 0)]
    means = sums / max(count, 1)
    return tuple(
        tuple(tuple(float(f"{value:.{_DIGITS}g}") for value in row) for row in lag) for lag in means
    )


def block_s(rate_hz: float) -> float:
    """Seconds of a block: about `BLOCK_S`, of whole rows."""
    return _block_rows(rate_hz) / rate_hz


def _block_rows(rate_hz: float) -> int:
    return max(round(BLOCK_S * rate_hz), 1)


def block_maxima(
    recordings: Iterable[NDArray[np.float64]], calibration: Calibration, rate_hz: float
) -> NDArray[np.float64]:
    """Largest log-ratios of each block of `block_s` seconds with a baseline, [blocks, scales].

    Args:
        recordings: settled rows, each float64 [n, C]; no block reaches from one into the next.
        calibration: its covariance is used, its thresholds are not.
        rate_hz: of the rows.
    """
    length, scales = _block_rows(rate_hz), len(calibration.scales)
    maxima = [np.empty((0, scales))]
    for rows in recordings:
        ratios = np.empty((len(rows), scales))
        count = log_ratios(new_analyzer(calibration), rows, ratios) // length
        maxima.append(ratios[: count * length].reshape(count, length, scales).max(axis=1))
    return np.concatenate(maxima)


def return_levels(
    maxima: NDArray[np.float64], blocks: float, confidence: float = CONFIDENCE
) -> NDArray[np.float64]:
    """Level that one block in `blocks` exceeds, or less than one; per column of maxima [n, k].

    Peaks over threshold with an exponential tail (Coles 2001, An Introduction to Statistical
    Modeling of Extreme Values, chapter 4, shape 0), fitted to the `PEAKS` largest. How far these
    exceed the next one is known only roughly: twice their sum over the true mean is chi-squared
    with 2 `PEAKS` degrees of freedom (Lawless 2003, Statistical Models and Methods for Lifetime
    Data, section 4.1), which bounds the mean from above. So the fewer peaks there are, the stricter
    is the level.

    Args:
        maxima: of n blocks of steady motion, at least two.
        blocks: how many to expect for one exceedance.
        confidence: with which the level is not too low.
    """
    ordered = np.sort(maxima, axis=0)
    count = min(PEAKS, len(ordered) // 2)
    level = ordered[-count - 1]
    bound = 2.0 * (ordered[-count:] - level).sum(axis=0) / _chi_squared(1.0 - confidence, 2 * count)
    return np.asarray(level + bound * np.log(blocks * count / len(ordered)))


def _chi_squared(probability: float, degrees: int) -> float:
    """Quantile by Wilson and Hilferty (1931): a cube root of it is all but normal."""
    spread = 2.0 / (9.0 * degrees)
    return degrees * (1.0 - spread + NormalDist().inv_cdf(probability) * spread**0.5) ** 3
