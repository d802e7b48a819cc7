"""At most one inference a hop, and one at once on an onset."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.engine.schedule import HopSchedule
from tao_lora_ros.messages.route import Route


def due_rows(schedule: HopSchedule, path: Route, rows: int) -> list[int]:
    return [row for row in range(rows) if schedule.due(path, onset=False)]


def test_the_first_row_is_due_and_then_every_hop() -> None:
    assert due_rows(HopSchedule(4, 2), Route.STEADY, 10) == [0, 4, 8]
    assert due_rows(HopSchedule(4, 2), Route.TRANSIENT, 6) == [0, 2, 4]


def test_an_onset_is_due_at_once_and_the_hop_counts_from_it() -> None:
    schedule = HopSchedule(16, 4)
    due_rows(schedule, Route.STEADY, 3)
    assert schedule.due(Route.TRANSIENT, onset=True)
    assert due_rows(schedule, Route.TRANSIENT, 9) == [3, 7]


def test_back_in_steady_motion_the_slow_hop_counts_from_the_last_inference() -> None:
    schedule = HopSchedule(8, 2)
    assert due_rows(schedule, Route.TRANSIENT, 3) == [0, 2]
    assert due_rows(schedule, Route.STEADY, 17) == [7, 15]


def test_a_shorter_hop_takes_hold_at_once() -> None:
    schedule = HopSchedule(100, 4)
    assert due_rows(schedule, Route.STEADY, 10) == [0]
    schedule.hops[Route.STEADY] = 5
    assert due_rows(schedule, Route.STEADY, 6) == [0, 5]


def test_after_clear_the_next_row_is_due() -> None:
    schedule = HopSchedule(8, 8)
    due_rows(schedule, Route.STEADY, 2)
    schedule.clear()
    assert schedule.due(Route.STEADY, onset=False)


@given(
    path_of_rows=st.lists(st.sampled_from(Route), max_size=100),
    steady=st.integers(1, 20),
    transient=st.integers(1, 20),
)
def test_no_two_inferences_are_closer_than_the_hop(path_of_rows, steady, transient) -> None:
    schedule = HopSchedule(steady, transient)
    last = None
    for row, path in enumerate(path_of_rows):
        hop = schedule.hops[path]
        due = schedule.due(path, onset=False)
        assert due == (last is None or row - last >= hop)
        last = row if due else last
