"""Scoring of detections, the shared calibration rule, and the shape of the results."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark import events
from benchmark.detectors import begins, strictest, thresholds
from benchmark.filters import _filled
from benchmark.kuka import plant
from benchmark.our_detector import TaoLora
from benchmark.scenes import RATE_HZ, Scene
from benchmark.score import (
    Detections,
    detection_metrics,
    f1,
    match,
    outcome,
    size_metrics,
    steady_metrics,
    unexplained,
)
from tao_lora_ros.benchmarks.results import Measurement, read_results, table, write_results

NONE = np.empty((0, 2))
times = st.lists(st.integers(0, 300), max_size=7, unique=True).map(
    lambda numbers: np.array(sorted(numbers)) * 1e-2
)


def scene(impacts_s=(), ignored_s=NONE, sigmas=None, seconds=4.0, rows=None) -> Scene:
    count = round(seconds * RATE_HZ)
    rows = np.zeros((count, 12)) if rows is None else rows
    return Scene(
        "test",
        np.arange(count) / RATE_HZ,
        rows,
        rows,
        np.array(impacts_s, float),
        np.array(sigmas if sigmas is not None else [10.0] * len(impacts_s), float),
        np.asarray(ignored_s, float),
    )


def at(*alarms_s, events_s=None, transient=None) -> Detections:
    alarms = np.array(alarms_s, float)
    return Detections(alarms, alarms if events_s is None else np.array(events_s), transient)


def values(rows: list[Measurement]) -> dict[str, float]:
    return {row.metric: row.value for row in rows}


def most_pairs(onsets: list[float], events: list[float], tolerance: float) -> int:
    """By trying everything."""
    if not onsets:
        return 0
    best = most_pairs(onsets[1:], events, tolerance)
    for i, event in enumerate(events):
        if abs(event - onsets[0]) <= tolerance:
            rest = most_pairs(onsets[1:], events[:i] + events[i + 1 :], tolerance)
            best = max(best, 1 + rest)
    return best


@given(times, times, st.integers(0, 40))
def test_matching_is_one_to_one_within_reach_and_none_better_exists(onsets, events, tolerance):
    reach = tolerance * 1e-2 + 1e-6
    matches = match(onsets, events, reach)
    used = matches[matches >= 0]
    assert len(set(used.tolist())) == len(used)
    assert (np.abs(events[used] - onsets[matches >= 0]) <= reach).all()
    assert len(used) == most_pairs(onsets.tolist(), events.tolist(), reach)


@given(times, times)
def test_every_event_is_matched_or_unexplained(onsets, events):
    matches = match(onsets, events, 0.05)
    loose = unexplained(events, matches, NONE)
    assert sorted([*matches[matches >= 0].tolist(), *loose.tolist()]) == list(range(len(events)))


def test_other_contact_neither_rewards_nor_punishes():
    contact = [(1.0, 2.0)]
    result = outcome(scene([1.5, 3.0], contact), at(1.2, 1.51, 1.8, 3.01, 3.5))
    assert result.matches[0].tolist() == [1, 3]  # an impact inside contact still counts
    assert result.false.tolist() == [1, 1]  # 3.5 alone


def test_tighter_tolerance_turns_a_late_hit_into_a_miss_and_a_false_detection():
    measured = values(detection_metrics("x", "y", [outcome(scene([1.0]), at(1.03))]))
    assert measured["f1_50ms"] == 1.0
    assert measured["f1_20ms"] == 0.0
    assert measured["delay_median_ms"] == pytest.approx(30.0)
    assert "duty" not in measured  # never said by a detector without a route


def test_delay_is_the_alarms_and_matching_the_reported_times():
    result = outcome(scene([1.0, 2.0]), at(2.04, 1.3, events_s=[2.01, 1.01]))
    assert result.delays_s == pytest.approx([0.3, 0.04])
    assert result.onset_errors_s == pytest.approx([0.01, 0.01])


def test_scores_add_up_over_scenes():
    first = outcome(scene([1.0, 2.0]), at(1.0))
    second = outcome(scene([1.0]), at(1.0, 3.0))
    measured = values(detection_metrics("x", "y", [first, second]))
    assert measured["f1_50ms"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert measured["recall_50ms"] == pytest.approx(2 / 3)
    assert measured["false_detections"] == 1


def test_impacts_are_told_apart_by_size():
    result = outcome(scene([1.0, 2.0, 3.0], sigmas=[5.0, 9.9, 10.0]), at(1.002, 3.004))
    measured = values(size_metrics("x", "y", [result], 5.0, 10.0))
    assert measured["impacts"] == 2
    assert measured["recall_50ms"] == 0.5
    assert measured["delay_median_ms"] == pytest.approx(2.0)


@pytest.mark.parametrize(("first_s", "flagged"), [(0.998, False), (1.008, True), (1.012, False)])
def test_an_impact_is_flagged_by_a_transient_row_within_ten_milliseconds(first_s, flagged):
    transient = np.zeros(round(4.0 * RATE_HZ), bool)
    transient[round(first_s * RATE_HZ)] = True
    measured = values(detection_metrics("x", "y", [outcome(scene([1.0]), at(transient=transient))]))
    assert measured["recall_10ms"] == flagged
    assert measured["duty"] == pytest.approx(1 / len(transient))


def test_false_alarms_are_counted_by_the_hour():
    outcomes = [outcome(scene(seconds=36.0), at(1.0, 5.0)), outcome(scene(seconds=36.0), at())]
    measured = values(steady_metrics("x", "y", outcomes))
    assert measured["hours"] == pytest.approx(0.02)
    assert measured["false_alarms_per_hour"] == pytest.approx(100.0)


def test_nothing_to_find_and_nothing_found_has_no_f1():
    assert np.isnan(f1(np.zeros(0, bool), 0))
    assert f1(np.zeros(0, bool), 1) == 0.0


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 6))
def test_alarms_begin_after_a_hold_without(alarming, hold):
    expected, quiet = [], hold
    for row, alarm in enumerate(alarming):
        if alarm and quiet >= hold:
            expected.append(row)
        quiet = 0 if alarm else quiet + 1
    assert begins(np.array(alarming, bool), hold).tolist() == expected


def test_thresholds_keep_to_the_target_rate_on_other_data():
    rng = np.random.default_rng(0)
    hour = round(3600 * RATE_HZ)
    alarms = []
    for _ in range(10):
        levels = thresholds([rng.exponential(size=(hour // 4, 2))], alarms_per_hour=20.0)
        alarms.append((rng.exponential(size=(hour, 2)) > levels).any(axis=1).sum())
    assert 10 <= np.mean(alarms) <= 30


def test_a_parameter_is_set_as_the_statistic_behind_it_would_be():
    values = np.random.default_rng(0).exponential(size=(2, round(100 * RATE_HZ)))
    found = strictest(lambda parameter: list(values >= parameter), 100.0, 10.0)
    exact = thresholds([piece[:, None] for piece in values], 10.0)[0]
    assert found == pytest.approx(exact, rel=0.05)


def test_a_detector_that_never_alarms_in_steady_motion_gets_the_least_parameter():
    assert strictest(lambda parameter: [np.zeros(1000, bool)], 7.0, 1.0) == 0.0


def test_gaps_take_the_value_before_and_at_the_start_the_one_after():
    rows = np.array([[np.nan, 1.0], [2.0, np.nan], [np.nan, np.nan], [3.0, 4.0]])
    assert _filled(rows).tolist() == [[2.0, 1.0], [2.0, 1.0], [2.0, 1.0], [3.0, 4.0]]


def test_a_tap_is_planted_at_its_scale_and_time():
    calm = scene()
    snippet = np.zeros((50, 12))
    snippet[6] = 8.0  # the onset's row
    struck = plant(calm, [(1.0, snippet), (2.0, snippet)], 0.25)
    assert struck.impacts_s.tolist() == [1.0, 2.0]
    assert np.flatnonzero(struck.rows[:, 0]).tolist() == [500, 1000]
    assert struck.rows[500, 0] == 2.0
    assert not calm.rows.any()


def test_ours_finds_a_blow_that_it_was_not_calibrated_on():
    rng = np.random.default_rng(1)
    steady = [scene(seconds=8.0, rows=rng.normal(size=(4000, 12)))]
    rows = rng.normal(size=(2000, 12))
    rows[1000:1010, 6:9] += 40.0 * np.array([1, -1] * 5)[:, None]
    ours = TaoLora()
    ours.calibrate(steady, alarms_per_hour=1.0)
    result = outcome(scene([2.0], rows=rows), ours.detect(scene([2.0], rows=rows)))
    assert result.matches.tolist() == [[0], [0]]
    assert result.flagged.all()


def test_results_are_read_back_as_written_and_tabled_with_ours_first(tmp_path):
    rows = [
        Measurement("peer", "a", "f1_50ms", 0.5, ""),
        Measurement("tao-lora", "a", "f1_50ms", 1.0, ""),
        Measurement("peer", "a", "delay_median_ms", float("nan"), "ms"),
    ]
    file = tmp_path / "new" / "events.json"
    write_results(file, "make bench PART=events", ("numpy", "no-such-package"), rows)
    again = read_results(file)
    assert again[:2] == rows[:2]
    assert np.isnan(again[2].value)
    assert table(again).splitlines() == [
        "| a | f1_50ms | delay_median_ms [ms] |",
        "|---|--:|--:|",
        "| tao-lora | 1 | – |",
        "| peer | 0.5 | – |",
    ]


def test_ours_is_timed_both_ways_on_the_first_rows_of_a_scene() -> None:
    rows = np.random.default_rng(1).normal(size=(6000, 12))
    ours = TaoLora()
    ours.calibrate([scene(seconds=12.0, rows=rows)], 1.0)
    measured = values(events._cpu_times([ours], scene(seconds=12.0, rows=rows)))
    assert measured.keys() == {"us_per_sample", "us_per_sample_row_by_row"}
    assert min(measured.values()) > 0.0
