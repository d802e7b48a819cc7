"""The smallest blow that is found nine times of ten, by planting blows into a recording itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.router import RouterConfig
from tao_lora_ros.signal.source import unit_of

Array = NDArray[np.float64]

FOUND = 0.9
# A blow as it comes through a sensor's filter, in rows; its peak is its size.
SHAPE = np.array([1.0, -0.6, 0.3, -0.1])
_HIT_ROWS = 8  # from the first row on
_APART_S = 1.0
_BLOWS = 100
_SMALLEST, _LARGEST = 1e-3, 1e5
_STEPS = 14  # of halving between them, by their logarithm: to 0.1 %
_UNITS = ("m/s^2", "N", "Nm")


def smallest_blows(
    calibration: Calibration,
    config: RouterConfig,
    recordings: Sequence[Array],
    channels: Sequence[str],
    rate_hz: float,
) -> dict[str, float]:
    """The size from which on blows are found `FOUND` of the time, by unit; none: not at all.

    Blows of random directions, one a second, fall on the channels of each level (see `level`): an
    accelerometer's, a force sensor's.

    Args:
        calibration: with its thresholds.
        config: the router's.
        recordings: steady rows, each [n, C], NaN where something is left out.
        channels: their names.
        rate_hz: of the rows.
    """
    blows = list(_blows(recordings, rate_hz))
    sizes: dict[str, float] = {}
    for level in calibration.level_channels:
        unit = unit_of(channels[level[0]])
        low, high = np.log(_SMALLEST), np.log(_LARGEST)
        if unit not in _UNITS or not blows or not _varies(recordings, level):
            continue
        if _share(calibration, config, blows, level, _LARGEST) < FOUND:
            continue
        for _ in range(_STEPS):
            middle = (low + high) / 2
            enough = _share(calibration, config, blows, level, float(np.exp(middle))) >= FOUND
            low, high = (low, middle) if enough else (middle, high)
        sizes[unit] = min(float(np.exp(high)), sizes.get(unit, np.inf))
    return sizes


def _varies(recordings: Sequence[Array], level: Sequence[int]) -> bool:
    """Whether channels ever change; what does not is no sensor that a blow would show in."""
    return any((np.abs(np.diff(rows[:, list(level)], axis=0)) > 0.0).any() for rows in recordings)


def _blows(recordings: Sequence[Array], rate_hz: float) -> Iterator[tuple[Array, list[int]]]:
    """Rows, and those at which a blow is to begin; `_BLOWS` altogether."""
    apart = max(round(_APART_S * rate_hz), 2 * _HIT_ROWS)
    left = _BLOWS
    for rows in recordings:
        rows = rows[: (left + 2) * apart]
        at = [
            row
            for row in range(apart, len(rows) - _HIT_ROWS, apart)
            if not np.isnan(rows[row - 1 : row + _HIT_ROWS]).all(axis=1).any()
        ]
        if at:
            yield rows, at
        left -= len(at)
        if left <= 0:
            return


def _share(
    calibration: Calibration,
    config: RouterConfig,
    blows: Sequence[tuple[Array, list[int]]],
    level: Sequence[int],
    size: float,
) -> float:
    """How many of the blows are found."""
    rng = np.random.default_rng(0)
    hits: list[bool] = []
    for rows, at in blows:
        struck = rows.copy()
        for row in at:
            direction = rng.normal(size=len(level))
            direction *= size / np.linalg.norm(direction)
            struck[row : row + len(SHAPE), list(level)] += SHAPE[:, None] * direction
        detector = Detector(calibration, config)
        steps = [piece["transient"] for piece, _, _ in detector.run(np.arange(len(rows)), struck)]
        transient = np.concatenate(steps)
        hits += [bool(transient[row : row + _HIT_ROWS].any()) for row in at]
    return float(np.mean(hits))
