"""A transient is dated back to its first lively row, and its channels share what drove it."""

from __future__ import annotations

import numpy as np

from tao_lora_ros.detection.transients import (
    NOISE,
    ONSET_ENERGY_RATIO,
    TrackerState,
    Transient,
    begin,
    finish,
    go_on,
    new_tracker,
    newest,
    observe,
)

OFF = 0.7
QUIET = (1.0, 1.0)


def add(
    tracker: TrackerState, time_ns: int, energy_ratio: float, score: float, parts=QUIET
) -> Transient:
    """One more row of the transient that goes on."""
    observe(tracker, time_ns, energy_ratio, np.array(parts))
    go_on(tracker, score, OFF, False)
    return newest(tracker)


def alarmed(
    before: list[float],
    energy_ratio: float = 9.0,
    score: float = 1.5,
    parts: tuple[float, float] = (3.0, 1.0),
    scale: int = 4,
) -> tuple[TrackerState, Transient]:
    """A tracker that saw these rows at 0, 10, 20, ... ns and then an alarm; and its transient."""
    tracker = new_tracker(8, 2)
    for i, past in enumerate(before):
        observe(tracker, 10 * i, past, np.array(QUIET))
    observe(tracker, 10 * len(before), energy_ratio, np.array(parts))
    begin(tracker, score, scale, False)
    return tracker, newest(tracker)


def test_the_onset_is_the_first_lively_row_of_the_alarming_window() -> None:
    _, transient = alarmed([9.0, 1.0, 1.0, 5.0, 1.0])
    assert transient.onset_ns == 30  # the row at 0 is older than 4 rows
    assert transient.peak_ns == 50
    assert transient.peak_score == 1.5
    assert transient.end_ns == 0


def test_without_a_lively_row_the_onset_is_the_alarm() -> None:
    _, transient = alarmed([1.0, 3.9, 1.0], ONSET_ENERGY_RATIO)
    assert transient.onset_ns == 30
    _, transient = alarmed([1.0, 3.9, 1.0], 2.0)
    assert (transient.onset_ns, transient.peak_ns) == (30, 30)


def test_the_window_is_the_one_of_the_alarming_scale() -> None:
    before = [1.0, 9.0, 1.0, 1.0, 1.0, 1.0]
    assert alarmed(before, scale=8)[1].onset_ns == 10
    assert alarmed(before, scale=2)[1].onset_ns == 60


def test_the_peak_is_the_liveliest_row_so_far_and_never_before_the_onset() -> None:
    tracker, transient = alarmed([1.0, 20.0, 6.0])
    assert (transient.onset_ns, transient.peak_ns) == (10, 10)
    assert add(tracker, 40, 19.0, 1.2).peak_ns == 10
    assert add(tracker, 50, 21.0, 1.2).peak_ns == 50


def test_shares_are_the_changes_of_the_liveliest_row_and_all_beyond_noise() -> None:
    tracker, transient = alarmed([1.0], parts=(NOISE + 6.0, NOISE))
    total = np.array([NOISE + 12.0, NOISE])  # the strongest row in full, and its part beyond noise
    np.testing.assert_allclose(transient.shares, total / total.sum())
    transient = add(tracker, 20, 2.0, 1.2, (NOISE, 0.0))
    np.testing.assert_allclose(transient.shares, total / total.sum())
    transient = add(tracker, 30, 2.0, 2.5, (0.0, NOISE + 50.0))
    total += [0.0, 50.0]
    np.testing.assert_allclose(transient.shares, total / total.sum())
    assert transient.peak_score == 2.5


def test_the_end_is_the_last_row_that_was_loud() -> None:
    tracker, _ = alarmed([1.0])
    for time_ns, score in ((20, 0.9), (30, 0.7), (40, 0.69), (50, 0.1)):
        assert add(tracker, time_ns, 1.0, score).end_ns == 0
    finish(tracker)
    assert newest(tracker).end_ns == 30


def test_the_end_is_not_before_the_peak() -> None:
    tracker, _ = alarmed([1.0])
    add(tracker, 20, 30.0, 0.1)
    finish(tracker)
    assert newest(tracker).end_ns == 20


def test_the_next_transient_has_the_next_number_and_shares_of_its_own() -> None:
    tracker, first = alarmed([1.0], parts=(9.0, 1.0))
    finish(tracker)
    for time_ns in range(20, 100, 10):
        observe(tracker, time_ns, 1.0, np.array(QUIET))
    observe(tracker, 100, 9.0, np.array((0.0, 5.0)))
    begin(tracker, 1.1, 4, False)
    second = newest(tracker)
    assert (first.sequence, second.sequence) == (0, 1)
    assert (second.onset_ns, second.end_ns, second.peak_score) == (100, 0, 1.1)
    assert second.shares.argmax() == 1
