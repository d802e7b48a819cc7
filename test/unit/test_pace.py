"""When the node looks for messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.ros.pace import Pace

PERIOD_S = 0.002


def looks(rows_s: list[float], until_s: float, period_s: float = PERIOD_S) -> list[float]:
    """Times of all looks, where rows become complete at these times."""
    pace, now_s, times, waiting = Pace(period_s), 0.0, [], sorted(rows_s)
    while now_s < until_s:
        times.append(now_s)
        found = bool(waiting) and waiting[0] <= now_s
        while waiting and waiting[0] <= now_s:
            waiting.pop(0)
        pace.polled(now_s, found)
        now_s += pace.rest_s(now_s)
    return times


@given(first_s=st.floats(0.0, 2 * PERIOD_S))
def test_it_falls_into_step_with_rows_whenever_they_begin(first_s: float) -> None:
    rows = [first_s + i * PERIOD_S for i in range(400)]
    times = looks(rows, rows[-1])
    waits = [min(t for t in times if t >= row) - row for row in rows[50:-2]]
    assert max(waits) <= PERIOD_S / 8 + 1e-9
    assert len(times) < 1.6 * len(rows)


@given(st.lists(st.floats(0.0, 1.0), max_size=50))
def test_no_row_waits_longer_than_a_period(rows: list[float]) -> None:
    times = looks(rows, 2.0)
    assert all(min(t for t in times if t >= row) - row <= PERIOD_S + 1e-9 for row in rows)


def test_silence_is_looked_into_once_a_period() -> None:
    assert len(looks([], 1.0)) == pytest.approx(1.0 / PERIOD_S, rel=0.02)


def test_slow_rows_wait_for_a_millisecond_at_most() -> None:
    rows = [0.013 + 0.1 * i for i in range(100)]
    times = looks(rows, rows[-1], period_s=0.1)
    waits = [min(t for t in times if t >= row) - row for row in rows[50:-2]]
    assert sorted(waits)[len(waits) // 2] <= 0.004


def test_what_is_overdue_is_not_rested_for() -> None:
    pace = Pace(PERIOD_S)
    pace.polled(0.0, True)
    assert pace.rest_s(1.0) == 0.0


def test_how_much_too_late_a_poll_came_is_told_once() -> None:
    pace = Pace(PERIOD_S)
    assert pace.longest_pause_s() == 0.0
    pace.polled(100.0, False)
    pace.polled(100.0 + pace.rest_s(100.0), True)
    assert pace.longest_pause_s() == 0.0
    stopped_s = pace.rest_s(101.0)
    assert stopped_s == 0.0
    pace.polled(102.0, True)
    assert pace.longest_pause_s() == pytest.approx(2.0, abs=2 * PERIOD_S)
    assert pace.longest_pause_s() == 0.0
