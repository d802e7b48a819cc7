"""A transient is dated back to its first outlying row, and its channels share what drove it."""

from __future__ import annotations

import numpy as np
import pytest

from tao_lora_ros.router.analyzer import Analysis
from tao_lora_ros.router.transients import ONSET_DEVIATION, TransientTracker

OFF = 0.7


def analysis(
    deviation: float = 0.5, score: float = 0.1, rho: tuple[float, ...] = (0.0, 0.0), scale: int = 4
) -> Analysis:
    return Analysis(score, scale, np.array(rho), np.array([0.0, deviation]))


ALARM = analysis(9.0, 1.5, (3.0, 1.0))


def tracked(deviations: list[float], longest: int = 8) -> TransientTracker:
    """A tracker that saw these rows at 0, 10, 20, ... ns."""
    tracker = TransientTracker(longest)
    for i, deviation in enumerate(deviations):
        tracker.observe(10 * i, analysis(deviation), OFF)
    return tracker


def test_the_onset_is_the_first_outlying_row_of_the_alarming_window() -> None:
    tracker = tracked([9.0, 1.0, 1.0, 5.0, 1.0])
    tracker.observe(50, ALARM, OFF)
    transient = tracker.begin(50, ALARM)
    assert transient.onset_ns == 30  # the row at 0 is older than 4 rows
    assert transient.peak_ns == 50
    assert transient.peak_score == 1.5
    assert transient.end_ns == 0


def test_without_an_outlying_row_the_onset_is_the_alarm() -> None:
    tracker = tracked([1.0, 1.0, 3.9])
    quiet = analysis(ONSET_DEVIATION, 1.1, (1.0, 0.0))
    tracker.observe(30, quiet, OFF)
    assert tracker.begin(30, quiet).onset_ns == 30


def test_the_peak_lies_in_the_window_or_after_and_never_before_the_onset() -> None:
    tracker = tracked([1.0, 20.0, 6.0])
    tracker.observe(30, ALARM, OFF)
    transient = tracker.begin(30, ALARM)
    assert (transient.onset_ns, transient.peak_ns) == (10, 10)
    tracker.observe(40, analysis(19.0, 1.2), OFF)
    assert transient.peak_ns == 10
    tracker.observe(50, analysis(21.0, 1.2), OFF)
    assert transient.peak_ns == 50


def test_the_window_is_the_one_of_the_alarming_scale() -> None:
    long = analysis(9.0, 1.5, (3.0, 1.0), scale=8)
    tracker = tracked([1.0, 9.0, 1.0, 1.0, 1.0, 1.0])
    tracker.observe(60, long, OFF)
    assert tracker.begin(60, long).onset_ns == 10


def test_shares_are_the_positive_log_ratios_at_the_highest_score() -> None:
    tracker = tracked([1.0])
    first = analysis(9.0, 1.5, (3.0, -1.0))
    tracker.observe(10, first, OFF)
    transient = tracker.begin(10, first)
    np.testing.assert_array_equal(transient.shares, [1.0, 0.0])
    tracker.observe(20, analysis(1.0, 2.5, (1.0, 3.0)), OFF)
    np.testing.assert_array_equal(transient.shares, [0.25, 0.75])
    tracker.observe(30, analysis(1.0, 2.0, (1.0, 0.0)), OFF)
    np.testing.assert_array_equal(transient.shares, [0.25, 0.75])
    assert transient.peak_score == 2.5


def test_the_end_is_the_last_row_that_was_loud() -> None:
    tracker = tracked([1.0])
    tracker.observe(10, ALARM, OFF)
    tracker.begin(10, ALARM)
    for time_ns, score in ((20, 0.9), (30, 0.7), (40, 0.69), (50, 0.1)):
        tracker.observe(time_ns, analysis(1.0, score, (1.0, 0.0)), OFF)
    transient = tracker.end()
    assert transient.end_ns == 30
    assert tracker.current is None


def test_the_end_is_not_before_the_peak() -> None:
    tracker = tracked([1.0])
    tracker.observe(10, ALARM, OFF)
    tracker.begin(10, ALARM)
    tracker.observe(20, analysis(30.0, 0.1), OFF)
    assert tracker.end().end_ns == 20


def test_sequences_go_on_after_clear() -> None:
    tracker = tracked([1.0])
    tracker.observe(10, ALARM, OFF)
    assert tracker.begin(10, ALARM).sequence == 0
    tracker.end()
    tracker.clear()
    tracker.observe(20, ALARM, OFF)
    transient = tracker.begin(20, ALARM)
    assert transient.sequence == 1
    assert transient.onset_ns == 20


def test_no_end_without_a_beginning() -> None:
    with pytest.raises(AssertionError, match="without begin"):
        TransientTracker(4).end()
