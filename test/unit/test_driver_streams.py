"""What real drivers send goes through the pipeline: nothing is lost or invented on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import small_artifact
from recordings import SECOND, START_NS, Message, imu, motion, wrench

from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.results import Event, Phase
from tao_lora_ros.signal.align import Row
from tao_lora_ros.signal.cdr import DECODERS, IMU, WRENCH

MS = 1_000_000
IMPACT_NS = START_NS + 3 * SECOND
STRUCK = motion(4.0, [3.0], seed=1)
CALM = motion(3.0, seed=2)


def values_of(message: Message) -> np.ndarray:
    return DECODERS[WRENCH if message.source else IMU](message.data).values


def remade(message: Message, **changes) -> Message:
    """The message with another stamp, frame or values."""
    make = wrench if message.source else imu
    stamp = changes.pop("stamp_ns", message.stamp_ns)
    return replace(message, data=make(stamp, changes.pop("values", values_of(message)), **changes))


def run(messages: Iterable[Message]) -> tuple[Pipeline, list[int]]:
    """A pipeline that was given these, and the onsets of its events, in ns from the start."""
    pipeline = Pipeline(Settings(), small_artifact())
    found = [r for m in messages for r in pipeline.push(m.source, m.data, m.stamp_ns).results]
    found += pipeline.flush()
    onsets = [r.onset_ns for r in found if isinstance(r, Event) and r.phase is Phase.ONSET]
    return pipeline, onsets


def table(messages: Iterable[Message]) -> tuple[Intake, list[Row]]:
    intake = Intake(Settings(), 500.0)
    return intake, [r for m in messages for r in intake.push(m.source, m.data, m.stamp_ns).rows]


@pytest.mark.parametrize("ahead_ms", [30, 400, 4900])
@pytest.mark.parametrize("source", [0, 1])
def test_a_stray_stamp_before_an_impact_costs_its_sample_alone(source: int, ahead_ms: int) -> None:
    messages = list(STRUCK)
    at = next(
        i
        for i, m in enumerate(messages)
        if m.source == source and m.stamp_ns >= IMPACT_NS - 100 * MS
    )
    messages[at] = remade(messages[at], stamp_ns=messages[at].stamp_ns + ahead_ms * MS)
    pipeline, onsets = run(messages)
    assert [abs(onset - IMPACT_NS) <= 10 * MS for onset in onsets] == [True]
    assert pipeline.intake.rejected == {"stray_stamp": 1}
    pipeline.intake.finish()
    assert sum(account.used for account in pipeline.intake.accounts) >= len(messages) - 3


def test_after_a_hole_nothing_is_lost() -> None:
    messages = [m for m in CALM if not START_NS + SECOND < m.stamp_ns < START_NS + 2 * SECOND]
    intake, _ = table(messages)
    assert not intake.rejected
    assert all(not account.unused for account in intake.accounts)


@settings(max_examples=20)
@given(seed=st.integers(0, 100), reach=st.integers(2, 12))
def test_samples_that_others_overtake_are_used(seed: int, reach: int) -> None:
    """All but those of the first times, when nobody waits for them yet."""
    rng = np.random.default_rng(seed)
    order = np.argsort(np.arange(len(CALM)) + rng.uniform(0, reach, len(CALM)), kind="stable")
    intake, given_out = table([CALM[i] for i in order])
    assert not intake.rejected
    _, expected = table(CALM)
    same = {row.time_ns: row.values for row in expected}
    late = [row for row in given_out if row.time_ns > START_NS + SECOND // 2]
    assert len(late) > 1200
    right = [np.array_equal(row.values, same[row.time_ns], equal_nan=True) for row in late]
    assert np.mean(right) > 0.98
    assert sum(account.unused["late"] for account in intake.accounts) < 30


def test_a_sample_sent_twice_is_refused_though_others_overtook_it() -> None:
    a, b, c, *rest = (m for m in CALM if m.source == 0)
    intake, _ = table([a, c, b, b, a, c, *rest])
    assert intake.rejected == {"duplicate": 3}


def test_a_new_frame_restarts_its_source_alone_and_is_said_once() -> None:
    change_ns = START_NS + SECOND
    messages = [
        remade(m, frame="tool", values=[0, 0, 20, 0, 0, 0])
        if m.source and m.stamp_ns >= change_ns
        else m
        for m in CALM
    ]
    intake, given_out = table(messages)
    source = intake.sources[1]
    assert source.rejected == {"wrong_frame": 1}
    assert source.frame_id == "tool"
    assert source.notices[0] == "frame is now 'tool', not 'ft_link'"
    force = np.array([row.values[8] for row in given_out[1:]])
    absent = np.flatnonzero(np.isnan(force))
    assert 1 <= len(absent) <= 3
    assert (force[absent[-1] + 1 :] == 20).all()
    assert (force[: absent[0]] < 0).all()
    assert np.isfinite([row.values[0] for row in given_out]).all()  # the neighbour goes on


def test_a_new_frame_is_no_event() -> None:
    half = START_NS + 2 * SECOND
    turned = [
        remade(m, frame="tool", values=-values_of(m)) if m.source and m.stamp_ns >= half else m
        for m in motion(4.0, seed=1)
    ]
    pipeline, onsets = run(turned)
    assert onsets == []
    assert pipeline.counts.resets == 0


def test_the_first_frame_does_not_win_for_ever() -> None:
    first = remade(CALM[0], frame="stray")
    intake, _ = table([first, *CALM[1:]])
    assert intake.sources[0].rejected == {"wrong_frame": 1}
    assert intake.sources[0].frame_id == "imu_link"


def test_frames_that_take_turns_are_refused_and_said_once() -> None:
    messages = [
        remade(m, frame="other") if m.source == 0 and i % 4 == 0 else m for i, m in enumerate(CALM)
    ]
    intake, _ = table(messages[2:])
    assert intake.sources[0].rejected["wrong_frame"] == 749
    assert len(intake.sources[0].notices) == 1


def test_stamps_of_zero_are_the_times_of_arrival() -> None:
    unstamped = [remade(m, stamp_ns=0) if m.source else m for m in STRUCK]
    pipeline, onsets = run(unstamped)
    assert [abs(onset - IMPACT_NS) <= 10 * MS for onset in onsets] == [True]
    assert pipeline.intake.sources[1].notices == [
        "stamps are 0: the time of arrival is taken instead"
    ]
    assert not pipeline.intake.rejected


@pytest.mark.parametrize("absent", [[3, 4, 5], [0, 1, 3, 4, 5], [4]])
def test_absent_axes_are_not_reported_and_the_others_are_heard(absent: list[int]) -> None:
    messages = []
    for m in STRUCK:
        values = values_of(m)
        values[absent] = np.nan
        messages.append(remade(m, values=values) if m.source else m)
    intake, given_out = table(messages)
    assert not intake.rejected
    known = np.isfinite([row.values[6:] for row in given_out[1:]])
    assert (known == ~np.isin(np.arange(6), absent)).all()
    _, onsets = run(messages)
    assert any(abs(onset - IMPACT_NS) <= 10 * MS for onset in onsets)


def test_a_glitch_just_after_a_hole_raises_no_event() -> None:
    messages = [
        m
        for m in motion(4.0, seed=1)
        if m.source == 0 or not 2.0 < (m.stamp_ns - START_NS) / SECOND < 2.2
    ]
    at = next(i for i, m in enumerate(messages) if m.source and m.stamp_ns > START_NS + 2.1e9)
    values = values_of(messages[at])
    values[1] += 50.0
    messages[at] = remade(messages[at], values=values)
    pipeline, onsets = run(messages)
    assert onsets == []
    assert pipeline.glitches == {"wrench.force_y": 1}


@pytest.mark.parametrize(
    ("source", "channel", "value"), [(0, 4, -30945.0), (0, 0, 2e5), (1, 2, 2e7), (1, 5, -2e7)]
)
def test_what_no_sensor_reads_is_out_of_range(source: int, channel: int, value: float) -> None:
    values = np.ones(6)
    values[channel] = value
    broken = (imu, wrench)[source](START_NS + SECOND, values)
    intake, _ = table([*CALM[:500], Message(source, 0, broken)])
    assert intake.sources[source].rejected == {"out_of_range": 1}


def test_an_accelerometer_and_a_gyro_on_topics_of_their_own() -> None:
    """Of RealSense's kind: each an Imu whose other part holds zeros, at a rate of its own."""
    settings = Settings(
        imus=("accel", "gyro"), imu_lags_s=(0.0, 0.0), imu_parts=("accel", "gyro"), wrenches=("",)
    )
    intake, given_out = Intake(settings, 500.0), []
    for i in range(2000):
        at = START_NS + i * 2_500_000
        given_out += intake.push(1, imu(at, [0, 0, 0, 0.1, 0.2, 0.3], "gyro_frame")).rows
        if i % 2 == 0:
            given_out += intake.push(0, imu(at, [1.0, 2.0, 9.6, 0, 0, 0], "accel_frame")).rows
    assert intake.channels == [
        f"{quantity}.{quantity}_{axis}" for quantity in ("accel", "gyro") for axis in "xyz"
    ]
    table = np.array([row.values for row in given_out])
    assert len(table) > 2400
    assert np.allclose(table, [1.0, 2.0, 9.6, 0.1, 0.2, 0.3])
    assert not intake.rejected
    said = [text for source in intake.sources for text in source.notices]
    assert {text.split(":")[0] for text in said} == {"does not change, whatever happens"}


def test_a_part_that_is_absent_is_refused() -> None:
    settings = Settings(imu_parts=("gyro",), wrenches=("",))
    intake = Intake(settings, 500.0)
    intake.push(0, imu(START_NS, gyro=False))
    assert intake.rejected == {"not_finite": 1}
