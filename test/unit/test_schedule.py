"""At most one inference a hop, and one at once on an onset."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.detection.detector import STEP
from tao_lora_ros.engine.schedule import HopSchedule
from tao_lora_ros.messages.route import Route
from tao_lora_ros.signal.align import EMPTY, FLAGS


def due_rows(
    schedule: HopSchedule, path: Route, rows: int, full: int = 0, onset: bool = False
) -> list[int]:
    steps = np.zeros(rows, STEP)
    steps["transient"] = path
    _, due = schedule.due(np.zeros((rows, 4), np.int64), steps, full, onset)
    return [row for row, _ in due]


def test_the_first_row_is_due_and_then_every_hop() -> None:
    assert due_rows(HopSchedule(4, 2), Route.STEADY, 10) == [0, 4, 8]
    assert due_rows(HopSchedule(4, 2), Route.TRANSIENT, 6) == [0, 2, 4]


def test_rows_before_the_first_full_window_are_not_due() -> None:
    assert due_rows(HopSchedule(4, 2), Route.STEADY, 10, full=3) == [3, 7]
    assert due_rows(HopSchedule(4, 2), Route.STEADY, 3, full=3) == []


def test_rows_without_any_value_are_told_with_the_next_that_is_due() -> None:
    schedule = HopSchedule(2, 2)
    times = np.zeros((8, 4), np.int64)
    times[[0, 3, 4], FLAGS] = EMPTY
    windows, due = schedule.due(times, np.zeros(8, STEP), 0, onset=False)
    assert (windows, due) == (5, [(1, 1), (5, 2), (7, 0)])


def test_an_onset_is_due_at_once_and_the_hop_counts_from_it() -> None:
    schedule = HopSchedule(16, 4)
    due_rows(schedule, Route.STEADY, 3)
    assert due_rows(schedule, Route.TRANSIENT, 1, onset=True) == [0]
    assert due_rows(schedule, Route.TRANSIENT, 9) == [3, 7]


def test_back_in_steady_motion_the_slow_hop_counts_from_the_last_inference() -> None:
    schedule = HopSchedule(8, 2)
    assert due_rows(schedule, Route.TRANSIENT, 3) == [0, 2]
    assert due_rows(schedule, Route.STEADY, 17) == [7, 15]


def test_a_shorter_hop_takes_hold_at_once() -> None:
    schedule = HopSchedule(100, 4)
    assert due_rows(schedule, Route.STEADY, 10) == [0]
    schedule.set_hops(5, 4)
    assert due_rows(schedule, Route.STEADY, 6) == [0, 5]


def test_after_clear_the_next_row_is_due() -> None:
    schedule = HopSchedule(8, 8)
    due_rows(schedule, Route.STEADY, 2)
    schedule.clear()
    assert due_rows(schedule, Route.STEADY, 1) == [0]


@given(
    path_of_rows=st.lists(st.sampled_from(Route), max_size=100),
    hops=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    cut=st.integers(0, 100),
)
def test_no_two_inferences_are_closer_than_the_hop(path_of_rows, hops, cut) -> None:
    schedule = HopSchedule(*hops)
    steps = np.zeros(len(path_of_rows), STEP)
    steps["transient"] = path_of_rows
    times = np.zeros((len(steps), 4), np.int64)
    _, first = schedule.due(times[:cut], steps[:cut], 0, onset=False)
    _, second = schedule.due(times[cut:], steps[cut:], 0, onset=False)
    due = [row for row, _ in first] + [row + min(cut, len(steps)) for row, _ in second]
    last = None
    for row, path in enumerate(path_of_rows):
        assert (row in due) == (last is None or row - last >= hops[path])
        last = row if row in due else last
