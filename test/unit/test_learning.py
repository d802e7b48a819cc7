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
from tao_lora_ros.detection.learner import LONGEST_S, UP, Learner
from tao_lora_ros.detection.learning import LearningConfig
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
    assert raised is not None
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


@pytest.mark.parametrize("on", [True, False])
def test_jolts_below_the_threshold_that_the_calibration_had_not_are_unlike_it(on: bool) -> None:
    """Its energy is as before, most of its 120 jolts are no events."""
    start, rows = calibrate(noise(300, 1)), noise(300, 2)
    rows[6000::200] += 0.16
    subject = Detector(start, CONFIG, replace(LEARNS, on=on), RATE_HZ)
    run(subject, rows[:6000])
    assert subject.unlike is None
    assert run(subject, rows[6000:]) < 60
    assert subject.unlike is not None
    assert "large peaks within" in subject.unlike.how
    subject.clear()
    assert subject.unlike is not None
    subject.recalibrate(start)
    assert subject.unlike is None


def test_contacts_alone_make_no_motion_unlike_nor_does_a_calmer_one() -> None:
    start, rows = calibrate(noise(300, 1)), noise(900, 2)
    rows[30_000:] *= 0.3
    for at in range(200, 30_000, 700):
        rows[at : at + 4] += 3.0
    subject = Detector(start, CONFIG, LEARNS, RATE_HZ)
    assert run(subject, rows) > 30
    assert subject.unlike is None


def test_a_recording_is_like_itself_though_its_jolts_come_together() -> None:
    rows = noise(400, 1)
    rows[20_000:22_000:50] += 0.16
    start = calibrate(rows)
    for first in (19_900, 0):
        subject = Detector(start, CONFIG, LEARNS, RATE_HZ)
        run(subject, rows[first:])
        assert subject.unlike is None


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1])
def test_rest_after_motion_leaves_thresholds_as_they_are(share: float) -> None:
    """An hour at rest is no motion, however long it is."""
    start = calibrate(noise(120, 1), alarms_per_hour=30.0)
    detector = Detector(start, CONFIG, LEARNS, RATE_HZ)
    for seed in range(10):
        run(detector, noise(360, 10 + seed) * share)
    assert detector.learner.seconds == 0
    assert detector.calibration == start


def test_time_counts_as_far_as_it_is_as_lively() -> None:
    """A minute that moves a quarter of the time is worth about a quarter of a minute."""
    detector = Detector(calibrate(noise(120, 1)), CONFIG, LEARNS, RATE_HZ)
    for seed in range(40):
        rows = noise(60, 10 + seed)
        rows[1500:] *= 0.02
        run(detector, rows)
        detector.clear()  # or the step to rest and back were events
    learner = detector.learner
    assert 0.05 * learner.seconds < learner.comparable_s < 0.5 * learner.seconds


def test_of_more_than_a_day_the_newer_half_is_kept_and_events_go_on_to_count() -> None:
    def day(learner: Learner, seed: int, events: int) -> Calibration:
        rng = np.random.default_rng(seed)
        for _ in range(24):
            blocks = Blocks(rng.gumbel(0.0, 0.4, (36_000, 3)), np.arange(36_000), 3600.0)
            now = learner.learn(blocks, events)
        assert now is not None
        return now

    start = calibrate(noise(60, 1))
    calm, struck = Learner(start), Learner(start)
    assert day(calm, 1, events=0) == day(struck, 1, events=0)
    assert calm.seconds == LONGEST_S
    lower, higher = day(calm, 2, events=0), day(struck, 2, events=2)
    assert LONGEST_S / 2 <= calm.seconds == struck.seconds <= LONGEST_S
    assert np.all(np.array(higher.all_thresholds) >= lower.all_thresholds)
    assert sum(higher.all_thresholds) > sum(lower.all_thresholds)


def test_off_and_on_again_goes_on_where_it_was() -> None:
    detector = learned(calibrate(noise(60, 1)), noise(200, 2))
    before = detector.learner.seconds
    detector.learn(False)
    run(detector, noise(200, 3))
    assert detector.learner.seconds == before > 0
    detector.learn(True)
    run(detector, noise(200, 4))
    assert detector.learner.seconds == 2 * before


def test_off_and_on_again_forgets_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds that are too low rise by the events there are."""
    counted: list[int] = []
    detector = Detector(calibrate(noise(60, 1)), CONFIG, LEARNS, RATE_HZ)
    struck = noise(20, 2)
    struck[1000:1010] += 5.0
    assert run(detector, struck) == 1
    detector.learn(False)
    detector.learn(True)
    monkeypatch.setattr(Learner, "learn", lambda _, blocks, events, sizes: counted.append(events))
    run(detector, noise(150, 3))
    assert counted[0] == 1


def test_blocks_are_what_they_were_kept_as() -> None:
    start = calibrate(noise(120, 1))
    blocks = blocks_from(start.peaks, start.statistics, start.peaks_s)
    assert blocks.rows == start.peaks
    assert len(blocks.joined(blocks).largest().values) < 2 * len(blocks.values)


def struck(rows: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """With blows every ten seconds, in usual deviations."""
    for number, size in enumerate(sizes):
        at = 1000 * number + 500
        rows[at : at + 4] += 0.05 * size * np.array([[1.0], [-0.6], [0.3], [-0.1]])
    return rows


def test_events_just_above_thresholds_raise_them_and_those_of_all_sizes_do_not() -> None:
    """Motion that is rougher than the calibration's now and then, and contacts."""
    start, rng = calibrate(noise(60, 1)), np.random.default_rng(8)
    calm = learned(start, noise(900, 2)).calibration
    rough = learned(start, struck(noise(900, 2), rng.uniform(8.0, 12.0, 89))).calibration
    blows = learned(start, struck(noise(900, 2), np.geomspace(8.0, 800.0, 89))).calibration
    assert sum(rough.all_thresholds) > sum(calm.all_thresholds) + 1.0
    assert sum(blows.all_thresholds) < sum(calm.all_thresholds) + 0.3
