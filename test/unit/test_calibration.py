"""Thresholds meet the target rate on data that they were not set on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tao_lora_ros.detection.analyzer import Calibration, log_ratios, new_analyzer
from tao_lora_ros.detection.calibration import (
    KEPT_S,
    SCALES,
    CalibrationError,
    SteadyRows,
    block_maxima,
    calibrated,
    return_levels,
    uncalibrated,
)
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.innovation import prior
from tao_lora_ros.detection.router import Change, RouterConfig

CHANNELS = ("imu.accel_x", "imu.accel_y", "imu.gyro_z", "ft.force_x", "ft.force_y", "ft.torque_z")
RATE_HZ = 500.0
STD = np.array([0.05, 0.05, 0.005, 0.2, 0.2, 0.01])
BASE = uncalibrated(CHANNELS, RATE_HZ)


def noise(seconds: float, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 1, (round(seconds * RATE_HZ), 6)) * STD


def calibrate(recordings: Sequence[NDArray[np.float64]], alarms_per_hour: float) -> Calibration:
    return calibrated(BASE, recordings, RATE_HZ, alarms_per_hour)[0]


def test_the_false_alarm_rate_is_below_the_target_on_fresh_data_and_not_far() -> None:
    target_per_hour = 480.0  # 4 in half a minute, so that a short test sees some
    rates = []
    for seed in range(10):
        calibration = calibrate([noise(30, seed)], target_per_hour)
        fresh = block_maxima([noise(60, 100 + seed)], calibration, RATE_HZ)
        rates.append((fresh >= calibration.thresholds).any(axis=1).sum() * 60)
    assert np.median(rates) <= target_per_hour
    assert np.mean(rates) >= target_per_hour / 20


def test_a_lower_rate_sets_higher_thresholds() -> None:
    often, seldom = (calibrate([noise(10, 1)], rate) for rate in (60.0, 1.0))
    assert all(a > b for a, b in zip(seldom.thresholds, often.thresholds, strict=True))
    assert (seldom.alarms_per_hour, often.alarms_per_hour) == (1.0, 60.0)


def test_short_windows_need_higher_thresholds() -> None:
    thresholds = np.mean([calibrate([noise(20, s)], 1.0).thresholds for s in range(8)], axis=0)
    assert list(thresholds) == sorted(thresholds, reverse=True)


def test_memories_are_in_rows_of_the_rate() -> None:
    base = uncalibrated(CHANNELS, 1000.0)
    assert base.memories == (12, 48, 192)
    assert (base.start_rows, base.leak_rows, base.covariance_rows) == (200, 500, 2000)
    assert base.floors == (2e-3, 2e-3, 2e-4, 1e-2, 1e-2, 5e-4)
    assert base.thresholds == (1.0,) * len(SCALES)


def test_all_but_thresholds_and_covariance_is_kept() -> None:
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


def test_blocks_are_the_largest_of_a_twentieth_second_and_reach_over_no_seam() -> None:
    pieces = [noise(4, 1), noise(0.1, 2), noise(3.3, 3)]
    expected = []
    for rows in pieces:
        ratios = np.empty((len(rows), len(SCALES)))
        count = log_ratios(new_analyzer(BASE), rows, ratios) // 25
        expected += [ratios[25 * i : 25 * (i + 1)].max(axis=0) for i in range(count)]
    np.testing.assert_array_equal(block_maxima(pieces, BASE, RATE_HZ), expected)


def test_the_autocovariance_is_that_of_the_changes_of_all_recordings() -> None:
    pieces = [noise(5, 1), noise(6, 2) * 3]
    changes = [np.diff(rows, axis=0) for rows in pieces]
    count = sum(map(len, changes))
    known = calibrate(pieces, 1.0).autocovariance
    for lag, matrix in enumerate(known):
        expected = sum(d[lag:].T @ d[: len(d) - lag] for d in changes) / count
        np.testing.assert_allclose(matrix, expected, rtol=1e-6, atol=1e-12)


def test_missing_channels_leave_a_prior_that_is_positive_definite() -> None:
    gaps = noise(10, 1)
    gaps[::7, 1] = np.nan
    gaps[:, 4] = np.nan
    known = calibrate([gaps], 1.0)
    np.linalg.cholesky(prior(known.autocovariance, known.floors))


@given(counts=st.lists(st.integers(0, 40), max_size=8))
def test_the_newest_rows_are_kept_in_order(counts: list[int]) -> None:
    kept = SteadyRows(50 / KEPT_S, 2)  # fifty rows
    pushed = [np.array([i, -i], float) for i in range(sum(counts))]
    for row in pushed:
        kept.push(row)
    np.testing.assert_array_equal(kept.values, np.array(pushed[-50:]).reshape(-1, 2))
    kept.clear()
    assert len(kept.values) == 0


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
def test_return_levels_of_an_exponential_tail_are_low_as_seldom_as_said(confidence: float) -> None:
    maxima = np.random.default_rng(1).exponential(2.0, (1500, 4000))
    for blocks in (10_000.0, 100_000.0):
        true = 2.0 * np.log(blocks)
        enough = (return_levels(maxima, blocks, confidence) >= true).mean()
        assert enough == pytest.approx(confidence, abs=0.05)


def test_fewer_blocks_set_a_stricter_level() -> None:
    maxima = np.random.default_rng(2).exponential(2.0, (16, 500))
    few, fewer = (return_levels(maxima[:count], 10_000.0).mean() for count in (16, 8))
    assert fewer > few > 2.0 * np.log(10_000.0)


@pytest.mark.parametrize("rate_hz", [1.0, 5.0, 20.0, 41.0, 100.0])
def test_slow_rows_are_calibrated_too(rate_hz: float) -> None:
    g = np.random.default_rng(4)
    calm, struck = (g.normal(0, 1, (2000, 6)) * STD for _ in range(2))
    calibration, _ = calibrated(uncalibrated(CHANNELS, rate_hz), [calm], rate_hz, 1.0)
    memories = calibration.memories
    assert memories[0] >= 1
    assert list(memories) == sorted(set(memories))
    struck[1500] += 100 * STD
    detector = Detector(calibration, RouterConfig(0.5, hold_rows=2, max_transient_rows=50))
    steps = [detector.push(round(1e9 * i / rate_hz), row) for i, row in enumerate(struck)]
    assert [i for i, step in enumerate(steps) if step.change is Change.ONSET] == [1500]
