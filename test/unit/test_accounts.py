"""Every message is accounted for, and what never reaches a row is told of, with what to set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import SECOND, START_NS, Message, imu, motion, wrench

from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.signal.align import Row
from tao_lora_ros.signal.source import ClockJump

MS = 1_000_000
FORCE_Z = 8  # column
CALM = motion(3.0)


def intake(**settings) -> Intake:
    return Intake(Settings(**settings), 500.0)


def rows(subject: Intake, messages: Iterable[Message], came: bool = False) -> list[Row]:
    """All rows; `came`: messages come at the time of `START_NS` on, in this order."""
    out: list[Row] = []
    for i, m in enumerate(messages):
        received_ns = START_NS + i * MS if came else 0
        try:
            out += subject.push(m.source, m.data, received_ns).rows
        except ClockJump:
            subject.restart()
            out += subject.push(m.source, m.data, received_ns).rows
    return out


def stamped_off(messages: Sequence[Message], source: int, off_ns: int) -> list[Message]:
    """One source's stamps are of another clock; the order of arrival stays."""
    make = (imu, wrench)[source]
    return [
        replace(m, data=make(m.stamp_ns + off_ns)) if m.source == source else m for m in messages
    ]


def known(given_out: Sequence[Row]) -> float:
    """Share of the rows that have a load."""
    return float(np.mean([np.isfinite(row.values[FORCE_Z]) for row in given_out]))


def test_all_of_a_good_recording_is_used_but_for_its_end() -> None:
    subject = intake()
    rows(subject, CALM)
    subject.finish()
    for account in subject.accounts:
        assert account.received == 1500
        assert account.used >= 1498
        assert not account.refused
        assert account.pending == 0
        assert set(account.unused) <= {"end"}
        assert account.remedy == ""


@pytest.mark.parametrize("behind_s", [0.12, 0.3, 2.0, 4.9])
def test_a_source_behind_is_told_of_with_the_lag_that_brings_it_back(behind_s: float) -> None:
    messages = stamped_off(CALM, 1, -round(behind_s * SECOND))
    subject = intake()
    given_out = rows(subject, messages)
    account = subject.accounts[1]
    assert account.unused["late"] > 1000
    assert account.unused["late"] + account.used + account.pending == account.received == 1500
    assert known(given_out) < 0.2
    words, _, lag = account.remedy.rpartition(" ")
    assert words == f"wrench is {behind_s:.2f} s behind imu: set wrench_lags_s to"
    mended = intake(wrench_lags_s=(float(lag),))
    assert known(rows(mended, messages)) > 0.9
    assert mended.accounts[1].used > 1400
    assert mended.accounts[1].remedy == ""


@pytest.mark.parametrize("source", [0, 1])
@pytest.mark.parametrize("step_ms", [-700, -300, 300, 700])
def test_a_clock_that_is_set_while_running_is_no_lag(source: int, step_ms: int) -> None:
    messages, subject = motion(6.0), intake()
    half = len(messages) // 2
    rows(subject, messages[:half] + stamped_off(messages[half:], source, step_ms * MS))
    behind, before = ("imu", "wrench") if (source == 0) == (step_ms < 0) else ("wrench", "imu")
    (told,) = [account.remedy for account in subject.accounts if account.remedy]
    assert told == (
        f"{behind} is {abs(step_ms) * 1e-3:.2f} s behind {before} and was not before: a clock was "
        "set or drifts, no lag; have both stamped by one clock"
    )


def held_up(messages: Sequence[Message], source: int, count: int, late_s: float) -> list[Message]:
    """So many messages of one source, from the third second on, come late by this, as they are."""
    own = [m for m in messages if m.source == source and m.stamp_ns >= START_NS + 3 * SECOND]
    came = {(source, m.stamp_ns): m.stamp_ns + round(late_s * SECOND) for m in own[:count]}
    return sorted(messages, key=lambda m: came.get((m.source, m.stamp_ns), m.stamp_ns))


@pytest.mark.parametrize("source", [0, 1])
@pytest.mark.parametrize("count", [1, 2, 5, 30])
@pytest.mark.parametrize("late_s", [0.45, 0.6, 1.5])
def test_a_few_messages_that_are_held_up_are_no_clock_that_was_set(
    source: int, count: int, late_s: float
) -> None:
    """Those after them come first: the few are refused or too late, and all others go on."""
    messages, subject = motion(6.0), intake()
    given_out = []
    for m in held_up(messages, source, count, late_s):  # a ClockJump would end the test
        given_out += subject.push(m.source, m.data).rows
    account = subject.accounts[source]
    assert account.refused == {"out_of_order": count}
    assert account.used >= account.received - count - 60
    assert len(given_out) >= 2950
    assert "clock" not in account.remedy


@pytest.mark.parametrize("source", [0, 1])
@pytest.mark.parametrize("late_s", [0.3, 0.7, 1.5])
def test_a_short_standstill_of_a_source_is_told_as_that(source: int, late_s: float) -> None:
    """All of a source waits for so long and comes at once, as behind a busy network."""
    until_ns = START_NS + 3 * SECOND + round(late_s * SECOND)
    messages = sorted(
        motion(6.0),
        key=lambda m: (
            until_ns
            if m.source == source and START_NS + 3 * SECOND <= m.stamp_ns < until_ns
            else m.stamp_ns
        ),
    )
    subject = intake()
    rows(subject, messages)
    account, other = subject.accounts[source], subject.accounts[1 - source]
    name, whom = (account.name, other.name)
    assert account.unused["late"] > 50
    assert account.remedy == (
        f"{name} came up to {late_s:.2f} s behind {whom} for a moment: set source_timeout_s above "
        "that where it is often"
    )
    assert other.remedy == ""


def in_clumps(messages: Sequence[Message], clump_s: float) -> list[Message]:
    """The wrench's messages come together, as over a wireless link; stamps are its own."""
    clump_ns = round(clump_s * SECOND)
    return sorted(
        messages,
        key=lambda m: m.stamp_ns if m.source == 0 else -(-m.stamp_ns // clump_ns) * clump_ns,
    )


def test_what_comes_in_clumps_is_waited_for_and_too_large_ones_are_told_of() -> None:
    subject = intake()
    assert known(rows(subject, in_clumps(motion(6.0), 0.3))[600:]) == 1.0
    assert subject.sources[1].notices == [
        "messages come in clumps, up to 0.3 s late: rows wait for them"
    ]
    large = in_clumps(motion(6.0), 0.9)
    subject = intake()
    assert known(rows(subject, large)) < 0.5
    remedy = subject.accounts[1].remedy
    assert remedy.startswith("wrench comes up to 0.90 s late, by turns: set source_timeout_s above")
    assert known(rows(intake(source_timeout_s=1.0), large)) > 0.99


@pytest.mark.parametrize("behind_s", [100_000, 1_600_000_000])
def test_no_lag_is_advised_that_would_be_refused(behind_s: int) -> None:
    subject = intake(source_timeout_s=0.5, clock_jump_s=0.0)
    rows(subject, stamped_off(CALM, 1, -behind_s * SECOND))
    told = [account.remedy for account in subject.accounts if account.remedy]
    assert told == [
        f"wrench is {behind_s:.2f} s behind imu: "
        "that is another clock, no lag; have its driver stamp by the same one"
    ]


def test_a_source_ahead_makes_the_other_one_late() -> None:
    subject = intake()
    rows(subject, stamped_off(CALM, 1, 400 * MS))
    assert subject.accounts[0].remedy == "imu is 0.40 s behind wrench: set imu_lags_s to -0.40"
    assert subject.accounts[1].remedy == ""


@pytest.mark.parametrize("rate_hz", [3.0, 10.0, 15.0, 19.0])
def test_a_slow_source_is_used_at_its_own_pace(rate_hz: float) -> None:
    period_ns = round(SECOND / rate_hz)
    imus = [m for m in motion(6.0) if m.source == 0]
    loads = [
        Message(1, at, wrench(at, [0, 0, (at - START_NS) / SECOND, 0, 0, 0]))
        for at in range(START_NS, START_NS + 6 * SECOND, period_ns)
    ]
    subject = intake()
    given_out = rows(subject, sorted([*imus, *loads], key=lambda m: m.stamp_ns))
    late = [row for row in given_out if row.time_ns > START_NS + 5 * period_ns]
    for row in late:
        assert row.values[FORCE_Z] == pytest.approx((row.time_ns - START_NS) * 1e-9, abs=2e-3)
    subject.finish()
    account = subject.accounts[1]
    assert account.used >= account.received - 2
    assert not account.unused["late"]


def test_a_slow_source_that_misses_a_sample_is_interpolated_and_one_that_stops_let_go() -> None:
    imus = [m for m in motion(4.0) if m.source == 0]
    tenths = [*range(10), *range(11, 20)]  # one is lost, and after 2 s there are no more
    loads = [Message(1, at, wrench(at)) for at in (START_NS + i * SECOND // 10 for i in tenths)]
    given_out = rows(intake(), sorted([*imus, *loads], key=lambda m: m.stamp_ns))
    times = np.array([row.time_ns - START_NS for row in given_out]) * 1e-9
    has = np.array([np.isfinite(row.values[FORCE_Z]) for row in given_out])
    assert has[(times > 0.5) & (times < 1.9)].all()
    assert not has[times > 1.91].any()
    assert times[-1] > 3.9


def test_a_source_too_slow_to_wait_for_is_told_of() -> None:
    imus = [m for m in motion(6.0) if m.source == 0]
    loads = [Message(1, at, wrench(at)) for at in (START_NS + i * SECOND for i in range(6))]
    subject = intake()
    rows(subject, sorted([*imus, *loads], key=lambda m: m.stamp_ns))
    subject.finish()
    assert subject.accounts[1].remedy.startswith("wrench comes every 1 s, too seldom to wait for")


def test_a_source_on_a_far_clock_is_told_of_with_its_lag() -> None:
    subject = intake()
    messages = stamped_off(CALM, 1, -3600 * SECOND)
    rows(subject, messages, came=True)
    account = subject.accounts[1]
    assert account.refused == {"other_clock": 1500}
    assert account.remedy == "wrench is 3600.00 s behind imu: set wrench_lags_s to -3600.00"
    assert known(rows(intake(wrench_lags_s=(-3600.0,)), messages)) > 0.9


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("off_s", [-3600, 3600])
def test_the_clock_of_arrival_wins_whoever_came_first(first: int, off_s: int) -> None:
    subject = intake()
    messages = stamped_off(CALM, 1, off_s * SECOND)[first:]
    rows(subject, messages, came=True)
    right, wrong = subject.accounts
    assert right.used > 1400
    assert wrong.refused["other_clock"] > 1400
    assert wrong.remedy.startswith("wrench is 3600.00 s ")


def test_a_source_that_fell_silent_in_the_future_does_not_win_for_ever() -> None:
    subject = intake()
    stray = Message(1, START_NS, wrench(START_NS + 8 * SECOND))
    imus = [m for m in motion(20.0) if m.source == 0]
    rows(subject, [stray, *imus], came=True)
    assert subject.accounts[0].used > 4000


@pytest.mark.parametrize("came", [False, True])
@pytest.mark.parametrize(
    ("source", "behind_s"), [(0, 0.3), (1, 0.12), (1, 4.9), (1, 60.0), (0, 60.0)]
)
def test_a_constant_offset_is_taken_off_where_that_is_wanted(
    source: int, behind_s: float, came: bool
) -> None:
    messages = stamped_off(motion(14.0), source, -round(behind_s * SECOND))
    subject = intake(auto_lags=True)
    given_out = rows(subject, messages, came)
    times = [row.time_ns for row in given_out]
    assert (np.diff(times) == 2 * MS).all()
    half = given_out[len(given_out) // 2 :]
    assert np.isfinite([row.values for row in half]).mean() > 0.99
    lag_s = subject.sources[source].config.lag_s
    assert lag_s == pytest.approx(-behind_s, abs=0.011)
    (notice,) = (text for text in subject.sources[source].notices if "lag" in text)
    assert notice.endswith(f": lag is now {lag_s:.2f} s")
    subject.finish()
    assert [account.received for account in subject.accounts] == [7000, 7000]


def test_a_clock_that_drifts_is_followed_where_that_is_wanted() -> None:
    """By 20 ms a second, from 0.15 s on."""
    messages = [
        replace(m, data=wrench(m.stamp_ns - 150 * MS - (m.stamp_ns - START_NS) // 50))
        if m.source
        else m
        for m in motion(20.0)
    ]
    subject = intake(auto_lags=True)
    given_out = rows(subject, messages)
    assert known(given_out[1000:]) > 0.7
    assert len(subject.sources[1].notices) >= 2


def test_a_short_delay_is_not_taken_for_another_clock() -> None:
    """The wrench's messages of half a second all come at its end."""
    messages = sorted(
        motion(4.0),
        key=lambda m: (
            max(m.stamp_ns, START_NS + 2500 * MS)
            if m.source and START_NS + 2000 * MS < m.stamp_ns < START_NS + 2500 * MS
            else m.stamp_ns
        ),
    )
    subject = intake(auto_lags=True)
    rows(subject, messages)
    assert subject.accounts[1].unused["late"] > 100
    assert not subject.sources[1].notices


events = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([0, 1, 2, 5, 40, 200, 900, 7000, -1, -3, -60, -800, -9000]),
        st.sampled_from(["good"] * 6 + ["cut", "inf", "frame", "again"]),
    ),
    max_size=120,
)


@given(events=events, came=st.booleans())
def test_the_account_adds_up_whatever_comes(events, came: bool) -> None:
    subject, at_ms, sent, newest = intake(), 0, [0, 0], b""
    for i, (source, step_ms, kind) in enumerate(events):
        at_ms += step_ms
        frame = "other" if kind == "frame" else "link"
        values = [np.inf if kind == "inf" else 1.0] * 6
        stamp = START_NS + at_ms * MS
        data = (imu, wrench)[source](stamp, values, frame)
        data = {"cut": data[:40], "again": newest or data}.get(kind, data)
        newest = data
        message = Message(source, stamp, data)
        rows(subject, [message], came=came and i >= 0)
        sent[source] += 1
        assert [account.received for account in subject.accounts] == sent
    subject.finish()
    assert [account.received for account in subject.accounts] == sent
    assert all(account.pending == 0 and account.used >= 0 for account in subject.accounts)
