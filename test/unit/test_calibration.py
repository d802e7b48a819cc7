"""Thresholds meet the target rate on data that they were not set on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.calibration import (
    KEPT_S,
    SCALES,
    CalibrationError,
    SteadyRows,
    calibrated,
    statistics,
    uncalibrated,
)
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.innovation import prior
from tao_lora_ros.detection.router import Change, RouterConfig
from tao_lora_ros.detection.tail import NEVER

CHANNELS = ("imu.accel_x", "imu.accel_y", "imu.gyro_z", "ft.force_x", "ft.force_y", "ft.torque_z")
RATE_HZ = 500.0
STD = np.array([0.05, 0.05, 0.005, 0.2, 0.2, 0.01])
BASE = uncalibrated(CHANNELS, RATE_HZ)


def noise(seconds: float, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 1, (round(seconds * RATE_HZ), 6)) * STD


def calibrate(recordings: Sequence[NDArray[np.float64]], alarms_per_hour: float) -> Calibration:
    return calibrated(BASE, recordings, RATE_HZ, alarms_per_hour)[0]


def onsets(calibration: Calibration, rows: NDArray[np.float64]) -> int:
    detector = Detector(calibration, RouterConfig(0.7, hold_rows=32, max_transient_rows=1000))
    times_ns = np.arange(len(rows)) * 2_000_000
    return sum(change is Change.ONSET for _, change, _ in detector.run(times_ns, rows))


def test_the_false_alarm_rate_is_near_the_target_on_fresh_data() -> None:
    """Gaussian tails are lighter than exponential, so it is below rather than above."""
    target_per_hour = 240.0
    found = sum(
        onsets(calibrate([noise(120, seed)], target_per_hour), noise(120, 100 + seed))
        for seed in range(8)
    )
    assert 0.4 * target_per_hour <= found * 3600 / (8 * 120) <= 1.5 * target_per_hour


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
    assert base.thresholds == (NEVER,) * len(SCALES)


def test_all_but_thresholds_and_covariance_is_kept() -> None:
    calibration = calibrate([noise(10, 1)], 1.0)
    for name in ("scales", "memories", "covariance_rows", "start_rows", "leak_rows", "floors"):
        assert getattr(calibration, name) == getattr(BASE, name), name


def test_recordings_are_learned_apart() -> None:
    """A seam between them is no jump; in one recording it would be."""
    moved = noise(30, 1) + 100 * STD
    _, apart = calibrated(BASE, [noise(30, 2), moved], RATE_HZ, 1.0)
    _, joined = calibrated(BASE, [np.concatenate((noise(30, 2), moved))], RATE_HZ, 1.0)
    assert apart.moments == ()
    assert [moment.first <= 15_000 < moment.end for moment in joined.moments] == [True]


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
    for count in counts:  # added together
        begin = int(kept.values[-1, 0]) + 1 if len(kept.values) else 0
        kept.extend(np.array(pushed[begin : begin + count]).reshape(-1, 2))
    np.testing.assert_array_equal(kept.values, np.array(pushed[-50:]).reshape(-1, 2))
    kept.clear()
    assert len(kept.values) == 0


def test_more_motion_of_a_kind_never_blunts() -> None:
    """Thresholds of ten minutes are on average no higher than those of one, or of ten seconds."""
    lengths = (10, 60, 600)
    means = []
    for seconds in lengths:
        seeds = range(3 if seconds == 600 else 12)
        found = [calibrate([noise(seconds, seed)], 1.0) for seed in seeds]
        means.append(np.mean([c.thresholds + c.level_thresholds for c in found], axis=0))
    assert (means[1] <= means[0] + 0.05).all()
    assert (means[2] <= means[1] + 0.05).all()


def tap(rows: NDArray[np.float64], second: float, size: float) -> None:
    """Add a blow that every channel sees, in standard deviations."""
    at = round(second * RATE_HZ)
    rows[at : at + 4] += size * np.array([1.0, -0.6, 0.3, -0.1])[:, None] * STD


@given(
    sizes=st.lists(st.sampled_from([8.0, 15.0, 50.0, 1e3, 1e6]), min_size=1, max_size=3),
    seed=st.integers(0, 3),
)
@settings(max_examples=15, deadline=None)
def test_a_few_blows_hardly_move_the_thresholds_and_are_named(
    sizes: list[float], seed: int
) -> None:
    clean, _ = calibrated(BASE, [noise(120, seed)], RATE_HZ, 1.0)
    rows = noise(120, seed)
    for i, size in enumerate(sizes):
        tap(rows, 20.0 + 30.0 * i, size)
    spoilt, found = calibrated(BASE, [rows], RATE_HZ, 1.0)
    for name in ("thresholds", "level_thresholds"):
        np.testing.assert_allclose(getattr(spoilt, name), getattr(clean, name), rtol=0.1)
    begins = [moment.first / RATE_HZ for moment in found.moments]
    large = [20.0 + 30.0 * i for i, size in enumerate(sizes) if size > 10.0]
    for second in large:
        assert any(abs(begin - second) < 0.2 for begin in begins)


def test_one_overflowed_sample_is_left_out_and_named_with_its_channels() -> None:
    clean = calibrate([noise(20, 2), noise(60, 1)], 1.0)
    for size in (100.0, 32768.0, 1e9):
        rows = noise(60, 1)
        rows[10_000, 3:5] += size
        spoilt, found = calibrated(BASE, [noise(20, 2), rows], RATE_HZ, 1.0)
        (moment,) = found.moments
        assert moment.recording == 1
        assert moment.first <= 10_000 < moment.end
        assert {channel for channel, _ in moment.sizes[:2]} == {3, 4}
        assert moment.sizes[0][1] == pytest.approx(size, rel=0.01)
        assert found.left_out_s == pytest.approx((moment.end - moment.first) / RATE_HZ)
        np.testing.assert_allclose(spoilt.thresholds, clean.thresholds, rtol=0.1)


def test_clean_motion_has_no_moments() -> None:
    for seed in range(8):
        _, found = calibrated(BASE, [noise(60, seed)], RATE_HZ, 1.0)
        assert found.moments == ()
        assert found.left_out_s == 0.0
        assert 59.0 < found.used_s < 60.0


def test_a_recording_full_of_blows_is_refused_unless_it_has_to_be_taken() -> None:
    rng = np.random.default_rng(3)
    rows = noise(60, 1)
    second = 2.0
    while second < 58.0:
        tap(rows, second, rng.uniform(5.0, 60.0))
        second += rng.uniform(0.3, 1.5)
    with pytest.raises(CalibrationError, match="record steady motion alone"):
        calibrate([rows], 1.0)
    forced, _ = calibrated(BASE, [rows], RATE_HZ, 1.0, force=True)
    assert min(forced.thresholds) > 0


def test_a_coarse_sensor_that_has_to_be_taken_alarms_at_no_step_of_one_count() -> None:
    rng = np.random.default_rng(5)
    counts = np.full((round(120 * RATE_HZ), len(CHANNELS)), 20)
    for row in rng.choice(len(counts), 60, replace=False):
        counts[row:, rng.integers(len(CHANNELS))] += rng.choice((-1, 1))
    rows = 10.0 * STD * counts
    with pytest.raises(CalibrationError, match="steps that are coarser"):
        calibrate([rows], 1.0)
    forced, found = calibrated(BASE, [rows], RATE_HZ, 1.0, force=True)
    for k, threshold in enumerate(forced.all_thresholds):
        assert found.statistics[0][:, k].max() < threshold < 100.0


def test_recent_means_count_as_far_as_nearly_all_of_steady_motion_has_them() -> None:
    """What thresholds are set on is what the analyzer gives by the calibration that is made."""
    rows = noise(60, 1) * (1.0 + (np.arange(round(60 * RATE_HZ)) % 5000 < 100))[:, None]
    calibration, found = calibrated(BASE, [rows], RATE_HZ, 1.0)
    assert all(1.0 <= most < 10.0 for most in calibration.level_means)
    (values,), (means,) = statistics([rows], calibration)
    np.testing.assert_allclose(values, found.statistics[0], atol=0.01)
    known = values[:, 0] > -np.inf
    exceeded = (means[known, len(SCALES) :] > calibration.level_means).mean(axis=0)
    np.testing.assert_allclose(exceeded, 0.01, atol=0.002)


def test_silent_channels_are_left_to_the_others() -> None:
    rows = noise(30, 1)
    rows[:, 3:] = np.nan
    calibration = calibrate([rows], 1.0)
    assert max(calibration.thresholds) < 5.0
    assert calibration.level_thresholds[1] == NEVER


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


@pytest.mark.parametrize("step", [0.5, 0.1, 20.0])
def test_steps_that_are_coarser_than_the_noise_are_named_not_taken_for_blows(step: float) -> None:
    """A cell of one axis with hysteresis: it rests, and then is a step further."""
    names = ("cell.force_z",)
    rng, rows = np.random.default_rng(1), np.zeros((6000, 1))
    rows[np.sort(rng.choice(6000, 60, replace=False)), 0] = step * rng.choice((-1.0, 1.0), 60)
    start = uncalibrated(names, 100.0)
    with pytest.raises(CalibrationError, match="coarser than its noise"):
        calibrated(start, [10.0 + rows.cumsum(axis=0)], 100.0, 1.0)
    calibrated(start, [rng.normal(0.0, step, (6000, 1))], 100.0, 1.0)
