"""Thresholds meet the target rate on data that they were not set on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tao_lora_ros.router.calibration import (
    SCALES,
    CalibrationError,
    calibrate,
    log_ratios,
    uncalibrated,
)

CHANNELS = ("imu.accel_x", "imu.accel_y", "imu.gyro_z", "ft.force_x", "ft.force_y", "ft.torque_z")
RATE_HZ = 500.0
STD = np.array([0.05, 0.05, 0.005, 0.2, 0.2, 0.01])


def noise(seconds: float, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 1, (round(seconds * RATE_HZ), 6)) * STD


def alarms(ratios: NDArray[np.float64], thresholds: tuple[float, ...]) -> int:
    """Blocks of a quarter of a second in which some scale is above its threshold."""
    above = (ratios >= thresholds).any(axis=1)
    return int(above[: len(above) // 125 * 125].reshape(-1, 125).any(axis=1).sum())


def test_the_false_alarm_rate_is_near_the_target_on_fresh_data() -> None:
    target_per_hour = 240.0  # 4 a minute, so that a short test sees some
    calibration = calibrate([noise(60, 1)], CHANNELS, RATE_HZ, target_per_hour)
    ratios = log_ratios(noise(60, 2), calibration)
    per_hour = alarms(ratios, calibration.thresholds) * 60
    assert target_per_hour / 6 <= per_hour <= target_per_hour * 6


def test_a_lower_rate_sets_higher_thresholds() -> None:
    recording = noise(20, 1)
    often = calibrate([recording], CHANNELS, RATE_HZ, 60.0)
    seldom = calibrate([recording], CHANNELS, RATE_HZ, 1.0)
    assert all(a > b for a, b in zip(seldom.thresholds, often.thresholds, strict=True))
    assert (seldom.alarms_per_hour, often.alarms_per_hour) == (1.0, 60.0)


def test_short_windows_need_higher_thresholds() -> None:
    thresholds = calibrate([noise(20, 3)], CHANNELS, RATE_HZ, 1.0).thresholds
    assert list(thresholds) == sorted(thresholds, reverse=True)


def test_memories_are_in_rows_of_the_rate() -> None:
    base = uncalibrated(CHANNELS, 1000.0)
    assert base.baselines == (32, 128, 1000)
    assert (base.start_rows, base.leak_rows) == (200, 1000)
    assert base.floors == (2e-3, 2e-3, 2e-4, 1e-2, 1e-2, 5e-4)
    assert base.thresholds == (1.0,) * len(SCALES)


def test_recordings_are_learned_apart() -> None:
    loud, quiet = noise(10, 1) * 100, noise(10, 2)
    apart = calibrate([quiet, loud], CHANNELS, RATE_HZ, 1.0)
    joined = calibrate([np.concatenate((quiet, loud))], CHANNELS, RATE_HZ, 1.0)
    assert max(apart.thresholds) < max(joined.thresholds)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 1.0, 2.1])
def test_a_recording_that_is_too_short_is_refused(seconds: float) -> None:
    with pytest.raises(CalibrationError, match="at least 2 s are needed"):
        calibrate([noise(seconds, 1)], CHANNELS, RATE_HZ, 1.0)


def test_no_recording_is_refused() -> None:
    with pytest.raises(CalibrationError, match="0 s of steady motion"):
        calibrate([], CHANNELS, RATE_HZ, 1.0)


def test_a_recording_without_values_is_refused() -> None:
    with pytest.raises(CalibrationError, match="0 s of steady motion"):
        calibrate([np.full((5000, 6), np.nan)], CHANNELS, RATE_HZ, 1.0)


def test_two_seconds_after_the_baselines_start_are_enough() -> None:
    calibration = calibrate([noise(2.4, 1)], CHANNELS, RATE_HZ, 1.0)
    assert all(np.isfinite(calibration.thresholds))


def test_a_silent_recording_gives_thresholds_above_zero() -> None:
    calibration = calibrate([np.zeros((5000, 6))], CHANNELS, RATE_HZ, 1.0)
    assert min(calibration.thresholds) > 0.0


def test_log_ratios_begin_where_the_baseline_does() -> None:
    base = uncalibrated(CHANNELS, RATE_HZ)
    ratios = log_ratios(noise(2, 1), base)
    # the longest scale has its first variance at row 16, delayed by 16 rows, then learns 100
    assert len(ratios) == 1000 - (16 + 16 + 100 - 2)
    assert np.abs(ratios.mean()) < 1.5
