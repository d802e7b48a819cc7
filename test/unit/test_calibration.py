"""Thresholds meet the target rate on data that they were not set on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from tao_lora_ros.router.analyzer import Calibration
from tao_lora_ros.router.calibration import (
    KEPT_BLOCKS,
    SCALES,
    BlockMaxima,
    CalibrationError,
    calibrated,
    maxima_of,
    return_levels,
    uncalibrated,
)

CHANNELS = ("imu.accel_x", "imu.accel_y", "imu.gyro_z", "ft.force_x", "ft.force_y", "ft.torque_z")
RATE_HZ = 500.0
STD = np.array([0.05, 0.05, 0.005, 0.2, 0.2, 0.01])
BASE = uncalibrated(CHANNELS, RATE_HZ)


def noise(seconds: float, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 1, (round(seconds * RATE_HZ), 6)) * STD


def calibrate(recordings: Iterable[NDArray[np.float64]], alarms_per_hour: float) -> Calibration:
    return calibrated(BASE, maxima_of(recordings, BASE, RATE_HZ).values, alarms_per_hour)


def test_the_false_alarm_rate_is_near_the_target_on_fresh_data() -> None:
    target_per_hour = 480.0  # 4 in half a minute, so that a short test sees some
    calibration = calibrate([noise(30, 1)], target_per_hour)
    fresh = maxima_of([noise(30, 2)], calibration, RATE_HZ).values
    alarms = (fresh >= calibration.thresholds).any(axis=1).sum()
    assert target_per_hour / 6 <= alarms * 120 <= target_per_hour * 6


def test_a_lower_rate_sets_higher_thresholds() -> None:
    often, seldom = (calibrate([noise(10, 1)], rate) for rate in (60.0, 1.0))
    assert all(a > b for a, b in zip(seldom.thresholds, often.thresholds, strict=True))
    assert (seldom.alarms_per_hour, often.alarms_per_hour) == (1.0, 60.0)


def test_short_windows_need_higher_thresholds() -> None:
    thresholds = calibrate([noise(10, 3)], 1.0).thresholds
    assert list(thresholds) == sorted(thresholds, reverse=True)


def test_memories_are_in_rows_of_the_rate() -> None:
    base = uncalibrated(CHANNELS, 1000.0)
    assert base.memories == (32, 128, 1000)
    assert (base.start_rows, base.leak_rows, base.covariance_rows) == (200, 1000, 2000)
    assert base.floors == (2e-3, 2e-3, 2e-4, 1e-2, 1e-2, 5e-4)
    assert base.thresholds == (1.0,) * len(SCALES)


def test_all_but_the_thresholds_is_kept() -> None:
    calibration = calibrate([noise(10, 1)], 1.0)
    for name in ("scales", "memories", "covariance_rows", "start_rows", "leak_rows", "floors"):
        assert getattr(calibration, name) == getattr(BASE, name), name


def test_recordings_are_learned_apart() -> None:
    loud, quiet = noise(10, 1) * 100, noise(10, 2)
    apart = calibrate([quiet, loud], 1.0)
    joined = calibrate([np.concatenate((quiet, loud))], 1.0)
    assert max(apart.thresholds) < max(joined.thresholds)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 1.0, 2.1])
def test_a_recording_that_is_too_short_is_refused(seconds: float) -> None:
    with pytest.raises(CalibrationError, match="at least 2 s are needed"):
        calibrate([noise(seconds, 1)], 1.0)


def test_no_recording_is_refused() -> None:
    with pytest.raises(CalibrationError, match="0 s of steady motion"):
        calibrate([], 1.0)


def test_a_recording_without_values_is_refused() -> None:
    with pytest.raises(CalibrationError, match="0 s of steady motion"):
        calibrate([np.full((5000, 6), np.nan)], 1.0)


def test_a_recording_that_never_varies_is_refused() -> None:
    with pytest.raises(CalibrationError, match="never vary: a sensor is stuck or silent"):
        calibrate([np.zeros((5000, 6))], 1.0)


def test_blocks_are_the_largest_of_a_quarter_second() -> None:
    maxima = BlockMaxima(RATE_HZ)
    ratios = np.random.default_rng(1).normal(size=(125 * 3 + 60, 2))
    for row in ratios:
        maxima.push(row)
    np.testing.assert_array_equal(maxima.values, ratios[:375].reshape(3, 125, 2).max(axis=1))


def test_a_cut_throws_the_block_under_way_away() -> None:
    maxima = BlockMaxima(RATE_HZ)
    maxima.push(np.array([100.0]))
    maxima.cut()
    for _ in range(125):
        maxima.push(np.array([1.0]))
    assert maxima.values.tolist() == [[1.0]]


def test_the_newest_hour_is_kept() -> None:
    maxima = BlockMaxima(4.0)  # a block a row
    for i in range(KEPT_BLOCKS + 5):
        maxima.push(np.array([float(i)]))
    assert maxima.values[:, 0].tolist() == list(range(5, KEPT_BLOCKS + 5))


def test_return_levels_of_an_exponential_tail() -> None:
    maxima = np.random.default_rng(1).exponential(2.0, (20_000, 1))
    for blocks in (100.0, 10_000.0):
        assert return_levels(maxima, blocks)[0] == pytest.approx(2.0 * np.log(blocks), rel=0.08)
