"""A transient is dated back to its first lively row, and its channels share what drove it."""

from __future__ import annotations

import numpy as np
import pytest

from tao_lora_ros.router.analyzer import Analysis
from tao_lora_ros.router.transients import NOISE, ONSET_LIVELINESS, TransientTracker

OFF = 0.7


def analysis(
    liveliness: float = 0.5,
    score: float = 0.1,
    parts: tuple[float, ...] = (1.0, 1.0),
    scale: int = 4,
) -> Analysis:
    return Analysis(score, scale, liveliness, np.array(parts))


ALARM = analysis(9.0, 1.5, (3.0, 1.0))


def alarmed(before: list[float], alarm: Analysis = ALARM):
    """A tracker that saw these rows at 0, 10, 20, ... ns and then an alarm; and its transient."""
    tracker = TransientTracker(8)
    for i, liveliness in enumerate(before):
        tracker.observe(10 * i, analysis(liveliness), OFF)
    now_ns = 10 * len(before)
    tracker.observe(now_ns, alarm, OFF)
    return tracker, tracker.begin(now_ns, alarm)


def test_the_onset_is_the_first_lively_row_of_the_alarming_window() -> None:
    _, transient = alarmed([9.0, 1.0, 1.0, 5.0, 1.0])
    assert transient.onset_ns == 30  # the row at 0 is older than 4 rows
    assert transient.peak_ns == 50
    assert transient.peak_score == 1.5
    assert transient.end_ns == 0


def test_without_a_lively_row_the_onset_is_the_alarm() -> None:
    _, transient = alarmed([1.0, 3.9, 1.0], analysis(ONSET_LIVELINESS, 1.1))
    assert transient.onset_ns == 30
    _, transient = alarmed([1.0, 3.9, 1.0], analysis(2.0, 1.1))
    assert (transient.onset_ns, transient.peak_ns) == (30, 30)


def test_the_window_is_the_one_of_the_alarming_scale() -> None:
    before = [1.0, 9.0, 1.0, 1.0, 1.0, 1.0]
    assert alarmed(before, analysis(9.0, 1.5, scale=8))[1].onset_ns == 10
    assert alarmed(before, analysis(9.0, 1.5, scale=2))[1].onset_ns == 60


def test_the_peak_is_the_liveliest_row_so_far_and_never_before_the_onset() -> None:
    tracker, transient = alarmed([1.0, 20.0, 6.0])
    assert (transient.onset_ns, transient.peak_ns) == (10, 10)
    tracker.observe(40, analysis(19.0, 1.2), OFF)
    assert transient.peak_ns == 10
    tracker.observe(50, analysis(21.0, 1.2), OFF)
    assert transient.peak_ns == 50


def test_shares_are_the_changes_of_the_liveliest_row_and_all_beyond_noise() -> None:
    quiet, loud = (NOISE, 0.0), (NOISE + 6.0, NOISE)
    tracker, transient = alarmed([1.0], analysis(9.0, 1.5, loud))
    total = np.array([NOISE + 12.0, NOISE])  # the liveliest row in full, and its part beyond noise
    np.testing.assert_allclose(transient.shares, total / total.sum())
    tracker.observe(20, analysis(2.0, 1.2, quiet), OFF)
    np.testing.assert_allclose(transient.shares, total / total.sum())
    tracker.observe(30, analysis(2.0, 2.5, (0.0, NOISE + 50.0)), OFF)
    total += [0.0, 50.0]
    np.testing.assert_allclose(transient.shares, total / total.sum())
    assert transient.peak_score == 2.5


def test_the_end_is_the_last_row_that_was_loud() -> None:
    tracker, _ = alarmed([1.0])
    for time_ns, score in ((20, 0.9), (30, 0.7), (40, 0.69), (50, 0.1)):
        tracker.observe(time_ns, analysis(1.0, score), OFF)
    assert tracker.end().end_ns == 30
    assert tracker.current is None


def test_the_end_is_not_before_the_peak() -> None:
    tracker, _ = alarmed([1.0])
    tracker.observe(20, analysis(30.0, 0.1), OFF)
    assert tracker.end().end_ns == 20


def test_sequences_go_on_after_clear_but_the_past_does_not() -> None:
    tracker, transient = alarmed([1.0, 9.0])
    assert transient.sequence == 0
    tracker.end()
    tracker.clear()
    tracker.observe(30, ALARM, OFF)
    again = tracker.begin(30, ALARM)
    assert (again.sequence, again.onset_ns) == (1, 30)


def test_no_end_without_a_beginning() -> None:
    with pytest.raises(AssertionError, match="without begin"):
        TransientTracker(4).end()
