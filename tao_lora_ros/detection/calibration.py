"""All that the analyzer needs, from steady recordings and a target false-alarm rate.

Nobody tunes a threshold by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection import moments, tail
from tao_lora_ros.detection.analyzer import log_ratios
from tao_lora_ros.detection.analyzer_state import Calibration, new_analyzer
from tao_lora_ros.detection.bearing import AIR_S, borne_loads, load_channels
from tao_lora_ros.detection.blocks import blocks_of
from tao_lora_ros.detection.findings import Findings
from tao_lora_ros.detection.glitch_filter import MEMORY_S, resolutions
from tao_lora_ros.detection.innovation import LAGS, autocovariance_of
from tao_lora_ros.detection.level import SHARE, level_channels
from tao_lora_ros.messages.errors import TaoLoraError

SCALES = (1, 3)
MEMORIES_S = (0.012, 0.048, MEMORY_S)
COVARIANCE_S = 2.0
START_S = 0.2
LEAK_S = 0.5
LEVEL_S = 10.0
LEAST_S = 2.0
ROUNDS = 8  # of looking for what does not belong
MOST_LEFT_OUT = 0.2  # of a recording
USUAL = 0.99  # share of steady motion whose recent means count in full
LEAST_THRESHOLD = 0.1  # of a level: the score is a ratio to it
# In log-energy, that a threshold is raised by for what a recording cannot tell: a twentieth of a
# blow's amplitude.
MOST_RAISED = 2.0 * float(np.log(1.05))
KEPT_S = 600.0
_LEAST_COVARIANCE = 50  # rows
_LEAST_START = 5


class CalibrationError(TaoLoraError):
    """The recording does not serve; the text says what is missing."""


class NotSteadyError(CalibrationError):
    """Too much of it is no steady motion; who insists may have it taken all the same."""


class SteadyRows:
    """The newest `KEPT_S` seconds of rows, as the glitch filter gives them out: to calibrate on."""

    def __init__(self, rate_hz: float, channels: int) -> None:
        self._ring = np.empty((round(KEPT_S * rate_hz), channels))  # takes memory as it fills
        self._count = 0

    def clear(self) -> None:
        """Forget all rows."""
        self._count = 0

    def extend(self, values: NDArray[np.float64]) -> None:
        """Take rows, float64 [n, C]."""
        at = self._count % len(self._ring)
        end, self._count = at + len(values), self._count + len(values)
        if (over := end - len(self._ring)) <= 0:
            self._ring[at:end] = values
            return
        self._ring[at:], self._ring[:over] = values[:-over], values[-over:]

    @property
    def values(self) -> NDArray[np.float64]:
        """The rows, float64 [n, C], oldest first."""
        at = self._count % len(self._ring)
        full = self._count >= len(self._ring)
        return np.concatenate((self._ring[at:], self._ring[:at])) if full else self._ring[:at]


def uncalibrated(channels: Iterable[str], rate_hz: float) -> Calibration:
    """What is known before the first recording; thresholds that nothing reaches.

    At a low rate all takes some rows at least, however long that is.
    """
    names = tuple(channels)
    floors = resolutions(names)
    memories: list[int] = []
    for memory_s in MEMORIES_S:
        memories.append(max(round(memory_s * rate_hz), 1 + max(memories, default=0)))
    return Calibration(
        scales=SCALES,
        thresholds=(tail.NEVER,) * len(SCALES),
        memories=tuple(memories),
        covariance_rows=max(round(COVARIANCE_S * rate_hz), _LEAST_COVARIANCE),
        start_rows=max(round(START_S * rate_hz), _LEAST_START),
        leak_rows=max(round(LEAK_S * rate_hz), 1),
        floors=floors,
        autocovariance=(((0.0,) * len(floors),) * len(floors),) * (LAGS + 1),
        alarms_per_hour=float("nan"),
        level_channels=level_channels(names),
        level_rows=max(round(LEVEL_S * rate_hz), 1),
        load_channels=load_channels(names),
        air_rows=max(round(AIR_S * rate_hz), 1),
    )


def calibrated(
    calibration: Calibration,
    recordings: Sequence[NDArray[np.float64]],
    rate_hz: float,
    alarms_per_hour: float,
    force: bool = False,
) -> tuple[Calibration, Findings]:
    """Set covariance and thresholds so that steady motion alarms at the target rate.

    What does not belong to steady motion is found by the statistics themselves, left out, and the
    rest taken anew, until nothing more is found. The thresholds are `tail.thresholds`.

    Args:
        calibration: what to keep of: scales, memories, floors, levels.
        recordings: steady motion as the glitch filter gives it out, each float64 [n, C].
        rate_hz: of the rows.
        alarms_per_hour: target false-alarm rate of all statistics together.
        force: take also what is mostly no steady motion.

    Returns:
        The calibration, and what it was made of.

    Raises:
        CalibrationError: less than `LEAST_S` seconds are left, there is no motion to learn from, or
            too much of it is not steady.
    """
    known, values, spans = _steady(calibration, recordings, rate_hz, force)
    seconds = sum(np.count_nonzero(part[:, 0] > -np.inf) for part in values) / rate_hz
    if seconds < LEAST_S:
        raise CalibrationError(
            f"{seconds:g} s of steady motion with a baseline; at least {LEAST_S:g} s are needed"
        )
    levels, expected = tail.thresholds(values, rate_hz, alarms_per_hour, MOST_RAISED)
    steps = tail.above_steps(tail.join(values, rate_hz), tail.cluster_rows(rate_hz), seconds)
    levels = np.where(steps > -np.inf, steps, levels)
    scales = len(known.scales)
    if not ((levels[:scales] > 0) & (levels[:scales] < tail.NEVER)).all():
        raise CalibrationError("the signals never vary: a sensor is stuck or silent")
    rounded = tuple(float(round(max(level, LEAST_THRESHOLD), 4)) for level in levels)
    usual = np.sqrt(np.diag(np.array(known.autocovariance[0])))
    left_out = sum(end - first for _, first, end in spans) / rate_hz
    kept = moments.without(recordings, spans)
    blocks = blocks_of(values, rate_hz)
    return replace(
        known,
        thresholds=rounded[:scales],
        level_thresholds=rounded[scales:],
        borne_loads=borne_loads(kept, known.load_channels, known.air_rows),
        peaks=blocks.rows,
        peaks_s=round(blocks.seconds, 3),
        alarms_per_hour=alarms_per_hour,
    ), Findings(
        values,
        tuple(moments.measured(span, recordings, usual, rate_hz) for span in spans),
        seconds,
        left_out,
        expected,
    )


def _steady(
    calibration: Calibration,
    recordings: Sequence[NDArray[np.float64]],
    rate_hz: float,
    force: bool,
) -> tuple[Calibration, list[NDArray[np.float64]], list[tuple[int, int, int]]]:
    """The covariance and the statistics of what belongs, and the spans of what does not."""
    spans: list[tuple[int, int, int]] = []
    for last in [False] * ROUNDS + [True]:
        kept = moments.without(recordings, spans)
        autocovariance = autocovariance_of(kept, calibration.floors)
        known, values = _followed(replace(calibration, autocovariance=autocovariance), kept)
        if last or not any((part > -np.inf).any() for part in values):
            break
        found = moments.moments(values, recordings, rate_hz)
        if not found:
            break
        spans = moments.merged([*spans, *found])
    if not force:
        _check_steady([part[:, : len(known.scales)] for part in values], spans, rate_hz)
    return known, values, spans


def _followed(
    calibration: Calibration, recordings: Sequence[NDArray[np.float64]]
) -> tuple[Calibration, list[NDArray[np.float64]]]:
    """The calibration with what recent means count at the most, and the statistics by that."""
    first = len(calibration.scales)
    values, means = statistics(recordings, replace(calibration, level_means=()))
    found = [mean[one[:, 0] > -np.inf, first:] for one, mean in zip(values, means, strict=True)]
    if not sum(map(len, found)):
        return calibration, values
    most = np.maximum(np.quantile(np.concatenate(found), USUAL, axis=0), 1.0).round(4)
    for one, mean in zip(values, means, strict=True):
        one[:, first:] += SHARE * np.log(np.maximum(mean[:, first:] / most, 1.0))
    return replace(calibration, level_means=tuple(most.tolist())), values


def _check_steady(
    ratios: Sequence[NDArray[np.float64]], spans: list[tuple[int, int, int]], rate_hz: float
) -> None:
    rows = max(sum(map(len, ratios)), 1)
    left_out = sum(end - first for _, first, end in spans) / rows
    share = moments.eventful(ratios, rate_hz)
    heavy = moments.heaviness(ratios, rate_hz)
    if np.isinf(heavy):
        raise CalibrationError(
            "a sensor moves in steps that are coarser than its noise: whether a step is a blow "
            "nobody can tell; let its driver report it finer, leave its source out, or --insist, "
            "which puts thresholds above one step"
        )
    if heavy > moments.HEAVIEST:
        raise NotSteadyError(
            f"blows or contacts again and again in {rows / rate_hz:.0f} s (the largest hundredth "
            f"is {heavy:.1f} times as far out as steady motion's): record steady motion alone"
        )
    if share <= moments.MOST and left_out <= MOST_LEFT_OUT:
        return
    raise NotSteadyError(
        f"blows or contacts in {max(share, left_out):.0%} of {rows / rate_hz:.0f} s: "
        "record steady motion alone"
    )


def statistics(
    recordings: Iterable[NDArray[np.float64]], calibration: Calibration
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """All statistics of settled rows, [n, calibration.statistics] a recording; -inf: none yet.

    Args:
        recordings: settled rows, each float64 [n, C].
        calibration: its covariance is used, its thresholds are not.

    Returns:
        The statistics, and the recent means that they were held against, likewise.
    """
    values, means = [], []
    for rows in recordings:
        values.append(np.empty((len(rows), calibration.statistics)))
        means.append(np.empty_like(values[-1]))
        log_ratios(new_analyzer(calibration), rows, values[-1], means[-1])
    return values, means
