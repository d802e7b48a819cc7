"""Steady motion while running sharpens; events, faults and what is odd do not make it deaf."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.blocks import Blocks, blocks_from
from tao_lora_ros.detection.calibration import calibrated, uncalibrated
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.learning import LONGEST_S, UP, Learner, LearningConfig
from tao_lora_ros.detection.router import Change, RouterConfig

RATE_HZ = 100.0
CHANNELS = ("imu.accel_x", "imu.accel_y", "imu.accel_z")
CONFIG = RouterConfig(off_score=0.7, hold_rows=7, max_transient_rows=200)
LEARNS = LearningConfig(on=True, before_rows=100, after_rows=100)


def noise(seconds: float, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 0.05, (round(seconds * RATE_HZ), 3))


def calibrate(rows: NDArray[np.float64], alarms_per_hour: float = 1.0) -> Calibration:
    return calibrated(uncalibrated(CHANNELS, RATE_HZ), [rows], RATE_HZ, alarms_per_hour)[0]


def times_ns(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.arange(len(rows)) * 10_000_000


def run(detector: Detector, rows: NDArray[np.float64]) -> int:
    """How many transients begin."""
    return sum(change is Change.ONSET for _, change, _ in detector.run(times_ns(rows), rows))


def learned(start: Calibration, rows: NDArray[np.float64]) -> Detector:
    detector = Detector(start, CONFIG, LEARNS, RATE_HZ)
    run(detector, rows)
    return detector


def test_thresholds_go_to_those_of_a_long_calibration() -> None:
    wanted = np.array(calibrate(noise(3600, 99)).all_thresholds)
    before, after = [], []
    for seed in range(4):
        start = calibrate(noise(20, seed))
        now = learned(start, noise(1800, 50 + seed)).calibration
        before.append(start.all_thresholds - wanted)
        after.append(now.all_thresholds - wanted)
    assert np.std(after) < 0.6 * np.std(before)
    assert abs(np.mean(after)) < 0.15


def test_a_row_alone_and_a_row_among_many_learn_the_same() -> None:
    start, rows = calibrate(noise(20, 1)), noise(200, 2)
    rows[7000:7004] += 2.0
    alone = Detector(start, CONFIG, LEARNS, RATE_HZ)
    steps = [alone.push(int(t), row) for t, row in zip(times_ns(rows), rows, strict=True)]
    together = Detector(start, CONFIG, LEARNS, RATE_HZ)
    scores = [piece["score"] for piece, _, _ in together.run(times_ns(rows), rows)]
    assert alone.learner.seconds > 0
    assert alone.calibration == together.calibration != start
    assert [step.score for step in steps] == np.concatenate(scores).tolist()


def test_frequent_contacts_are_not_learned() -> None:
    start, rows = calibrate(noise(60, 1)), noise(600, 2)
    for at in range(200, len(rows) - 10, 150):
        rows[at : at + 4] += 3.0
    detector = learned(start, rows)
    assert detector.learner.seconds == 0
    assert detector.calibration == start


def test_what_is_odd_is_left_out_and_nothing_raises_thresholds_without_bound() -> None:
    start, rows = calibrate(noise(60, 1)), noise(300, 2)
    clean = learned(start, rows).calibration
    quiet = replace(start, thresholds=(50.0,) * 2, level_thresholds=(50.0,))  # sees no event
    rows[9000:9004] += 1.0
    spoilt = learned(quiet, rows)
    bound = 50.0 - 2 * np.log(10.0)
    assert spoilt.calibration.all_thresholds == pytest.approx((bound,) * 3, abs=1e-3)
    most = max(value for _, *values in spoilt.calibration.peaks for value in values)
    assert most < max(value for _, *values in clean.peaks for value in values) + 0.5
    rough = Blocks(np.full((600, 3), 30.0) + noise(6, 3) * 100, np.arange(600), 60.0)
    raised = Learner(start).learn(rough, 0)
    assert raised.all_thresholds == pytest.approx(
        np.array(start.all_thresholds) + 2 * np.log(UP), abs=1e-3
    )


def test_a_fault_leaves_the_last_while_out() -> None:
    start = calibrate(noise(60, 1))
    detector = Detector(start, CONFIG, LEARNS, RATE_HZ)
    for seed in range(40):  # 10 s each: 9 to be learned, but for what waits
        run(detector, noise(10, seed))
        detector.interrupt()
    faulty = detector.learner.seconds
    assert faulty == pytest.approx(300, abs=60)
    assert learned(start, noise(400, 1)).learner.seconds > faulty


def test_off_and_without_peaks_nothing_is_learned() -> None:
    start = calibrate(noise(20, 1))
    off = Detector(start, CONFIG)
    run(off, noise(200, 2))
    assert off.calibration == start
    old = replace(start, peaks=(), peaks_s=0.0)
    assert learned(old, noise(200, 2)).calibration == old


def test_a_day_is_enough() -> None:
    learner = Learner(calibrate(noise(20, 1)))
    day = Blocks(np.zeros((1, 3)), np.zeros(1, np.int64), LONGEST_S)
    learner.learn(day, 0)
    assert learner.done


def test_blocks_are_what_they_were_kept_as() -> None:
    start = calibrate(noise(120, 1))
    blocks = blocks_from(start.peaks, start.statistics, start.peaks_s)
    assert blocks.rows == start.peaks
    assert len(blocks.joined(blocks).largest().values) < 2 * len(blocks.values)
