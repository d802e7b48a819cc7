"""What a source refuses, it counts by kind and explains; nothing bad gets through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import LOAD, REST, SECOND, START_NS, force, imu, wrench

from tao_lora_ros.signal.cdr import FORCE, IMU, WRENCH, DecodeError, Sample
from tao_lora_ros.signal.source import ClockJump, Source, SourceConfig, unit_of

MS = 1_000_000


def imu_source() -> Source:
    return Source(SourceConfig("imu", IMU), jump_s=5.0)


def accept(source: Source, data: bytes, received_ns: int = 0) -> Sample | None:
    """The sample of a message that waits for no other; None where it is refused."""
    ((of, sample),) = source.accept(data, received_ns)
    assert of is data
    return sample


def fed(*stamps_ms: int) -> Source:
    """A source that took these stamps."""
    source = imu_source()
    for stamp in stamps_ms:
        assert accept(source, imu(START_NS + stamp * MS)) is not None
    return source


def test_channels_carry_the_sources_name() -> None:
    assert SourceConfig("left", IMU).channels == (
        "left.accel_x", "left.accel_y", "left.accel_z",
        "left.gyro_x", "left.gyro_y", "left.gyro_z",
    )  # fmt: skip
    assert SourceConfig("a.b", WRENCH).channels[5] == "a.b.torque_z"


@pytest.mark.parametrize(
    ("channel", "unit"),
    [("imu.accel_x", "m/s^2"), ("a.b.gyro_z", "rad/s"), ("w.force_y", "N"), ("w.torque_x", "Nm")],
)
def test_units_follow_from_channel_names(channel: str, unit: str) -> None:
    assert unit_of(channel) == unit


def test_a_good_message_is_taken_whole() -> None:
    sample = accept(imu_source(), imu(START_NS, REST))
    assert sample is not None
    assert sample.stamp_ns == START_NS
    assert sample.values.tolist() == list(REST)


def test_undecodable_bytes_are_counted_with_the_reason() -> None:
    source = fed(0)
    assert accept(source, b"\0\1") is None
    assert source.rejected == {"undecodable": 1}
    assert source.reason == "imu: undecodable: 2 bytes are too few for a stamped message"


def test_decode_alone_raises() -> None:
    with pytest.raises(DecodeError):
        imu_source().decode(b"")


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
@pytest.mark.parametrize("channel", range(6))
def test_a_value_that_is_not_finite_is_refused(bad: float, channel: int) -> None:
    source = fed(0)
    values = [1.0] * 6
    values[channel] = bad
    assert accept(source, imu(START_NS + MS, values)) is None
    assert source.rejected == {"not_finite": 1}
    assert source.reason.startswith("imu: not finite: values [")
    assert str(bad) in source.reason


def test_three_infinite_values_are_no_missing_part() -> None:
    source = imu_source()
    assert accept(source, imu(START_NS, [np.inf] * 3 + [0.0] * 3)) is None
    assert source.rejected == {"not_finite": 1}


def test_a_missing_gyro_is_fine() -> None:
    source = imu_source()
    sample = accept(source, imu(START_NS, REST, gyro=False))
    assert sample is not None
    assert not source.rejected
    np.testing.assert_array_equal(sample.values, [0.0, 0.0, 9.81, np.nan, np.nan, np.nan])


def test_a_missing_gyro_does_not_excuse_a_broken_accelerometer() -> None:
    source = imu_source()
    assert accept(source, imu(START_NS, [np.nan] * 3 + [0.0] * 3, gyro=False)) is None
    assert source.rejected == {"not_finite": 1}


@pytest.mark.parametrize("value", [1.1e9, -1e30, 1e300])
def test_a_value_that_no_sensor_reads_is_refused(value: float) -> None:
    source = fed(0)
    assert accept(source, imu(START_NS + MS, [0, 0, value, 0, 0, 0])) is None
    assert source.rejected == {"out_of_range": 1}
    assert str(value) in source.reason


def test_another_frame_is_refused_and_both_are_named() -> None:
    source = fed(0)
    assert accept(source, imu(START_NS + MS, frame="base")) is None
    assert source.rejected == {"wrong_frame": 1}
    assert source.reason == "imu: wrong frame: 'base', not 'imu_link'"


def test_frames_by_turns_are_two_sensors_on_one_topic_and_the_remedy_is_said() -> None:
    source = Source(SourceConfig("imu", IMU), jump_s=5.0)
    for i in range(20):
        accept(source, imu(START_NS + 2 * i * MS))
        accept(source, imu(START_NS + (2 * i + 1) * MS, frame="base"))
    assert source.rejected == {"wrong_frame": 20}
    (warning,) = source.warnings
    assert "'base', not 'imu_link'" in warning
    assert "give each a topic of its own" in warning


def test_a_refused_first_message_does_not_set_the_frame() -> None:
    source = imu_source()
    accept(source, imu(START_NS, [np.inf] + [0.0] * 5, frame="broken"))
    assert accept(source, imu(START_NS + MS, frame="imu_link")) is not None


def test_a_duplicate_is_refused() -> None:
    source = fed(0, 2)
    assert accept(source, imu(START_NS + 2 * MS)) is None
    assert source.rejected == {"duplicate": 1}
    stamp = START_NS + 2 * MS
    assert source.reason == f"imu: duplicate: stamp {stamp} ns after {stamp} ns"


def test_an_older_stamp_than_anybody_waits_for_is_out_of_order() -> None:
    source = fed(0, 20, 40, 60, 80, 100, 120)
    assert accept(source, imu(START_NS + 19 * MS)) is None
    assert source.rejected == {"out_of_order": 1}
    assert str(START_NS + 19 * MS) in source.reason
    assert accept(source, imu(START_NS + 130 * MS)) is not None


def test_a_single_far_future_stamp_does_not_poison() -> None:
    source = fed(0, 1)
    assert accept(source, imu(START_NS + 1000 * SECOND)) is None
    for stamp in range(2, 50):
        assert accept(source, imu(START_NS + stamp * MS)) is not None
    assert source.rejected == {"clock_jump": 1}
    assert source.reason.startswith(f"imu: clock jump: stamp {START_NS + 1000 * SECOND} ns")


def test_far_stamps_that_come_now_and_then_are_no_clock_jump() -> None:
    source = fed(0)
    for stamp in range(1, 20):
        assert accept(source, imu(START_NS + 1000 * SECOND + stamp * MS)) is None
        assert accept(source, imu(START_NS + stamp * MS)) is not None
    assert source.rejected == {"clock_jump": 19}


def test_the_same_far_stamp_twice_is_no_clock_jump() -> None:
    source = fed(0)
    assert accept(source, imu(START_NS + 1000 * SECOND)) is None
    assert accept(source, imu(START_NS + 1000 * SECOND)) is None


@pytest.mark.parametrize("seconds", [6, 1000])
def test_two_stamps_ahead_are_a_clock_jump(seconds: int) -> None:
    source = fed(0, 1)
    there = START_NS + seconds * SECOND
    assert accept(source, imu(there)) is None
    with pytest.raises(ClockJump, match=f"imu: stamps moved from {START_NS + MS} ns to {there} ns"):
        accept(source, imu(there + MS))


@pytest.mark.parametrize("seconds", [-1000, -6, -1.7])
@pytest.mark.parametrize("period_ms", [1, 10, 40, 200])
def test_stamps_that_go_on_further_back_are_a_clock_jump(seconds: float, period_ms: int) -> None:
    source = fed(*range(0, 20 * period_ms, period_ms))
    newest_ns = source.newest_ns
    there = newest_ns + round(seconds * SECOND)
    confirmed = max(100, 3 * period_ms)
    for after_ms in range(0, confirmed, period_ms):
        assert accept(source, imu(there + after_ms * MS)) is None
    with pytest.raises(ClockJump, match=f"imu: stamps moved from {newest_ns} ns to {there} ns"):
        accept(source, imu(there + confirmed * MS))


@pytest.mark.parametrize("seconds", [-1000, -4, -0.7])
@pytest.mark.parametrize("count", [2, 3, 30])
def test_a_few_stamps_further_back_are_late_and_no_clock_jump(seconds: float, count: int) -> None:
    source, turns = fed(0), range(1, 400)
    there = START_NS + round(seconds * SECOND)
    for turn in turns:
        assert accept(source, imu(START_NS + turn * MS)) is not None
        for i in range(count if turn % 40 == 0 else 0):
            assert accept(source, imu(there + (turn + i) * MS)) is None
    kind = "out_of_order" if seconds > -5 else "clock_jump"
    assert source.rejected == {kind: 9 * count}


def test_a_clock_jump_in_bursts_of_one_stamp_is_found_too() -> None:
    source, there = fed(0, 1), START_NS - 100 * SECOND
    for i in range(104):
        assert accept(source, imu(there + i // 8 * 8 * MS, [float(i)] * 6)) is None
    with pytest.raises(ClockJump):
        accept(source, imu(there + 104 * MS))


@pytest.mark.parametrize(("ahead_ms", "far"), [(5000, False), (5001, True)])
def test_a_hole_as_long_as_the_limit_is_no_jump(ahead_ms: int, far: bool) -> None:
    source = fed(0)
    source.accept(imu(START_NS + ahead_ms * MS))
    assert (source.rejected == {"clock_jump": 1}) == far
    if not far:  # the next confirms it
        ahead = [START_NS + (ahead_ms + i) * MS for i in range(2)]
        assert [s.stamp_ns for _, s in source.accept(imu(ahead[1])) if s] == ahead


@pytest.mark.parametrize("ahead_ms", [30, 400, 4900])
def test_a_single_stray_stamp_is_refused_by_the_next(ahead_ms: int) -> None:
    source = fed(0, 1, 2)
    stray, after = imu(START_NS + ahead_ms * MS), imu(START_NS + 3 * MS)
    assert source.accept(stray) == ()
    (first, nothing), (second, sample) = source.accept(after)
    assert (first, nothing, second) == (stray, None, after)
    assert sample is not None
    assert source.rejected == {"stray_stamp": 1}
    ahead = f"stamp {START_NS + ahead_ms * MS} ns is {ahead_ms / 1000 - 0.002:.3f} s ahead, alone"
    assert source.reason == f"imu: stray stamp: {ahead}"
    for stamp in range(4, 50):
        assert accept(source, imu(START_NS + stamp * MS)) is not None


def test_the_pace_of_a_slow_source_is_no_stray_stamp() -> None:
    source = imu_source()
    given = [source.accept(imu(START_NS + i * 100 * MS)) for i in range(12)]
    assert [len(outcomes) for outcomes in given[-6:]] == [1] * 6
    taken = [sample.stamp_ns for outcomes in given for _, sample in outcomes if sample]
    assert taken == [START_NS + i * 100 * MS for i in range(12)]
    assert not source.rejected


def test_a_first_stamp_from_the_far_future_is_left_behind() -> None:
    source = imu_source()
    accept(source, imu(START_NS + 1000 * SECOND))
    for after_ms in range(100):
        assert accept(source, imu(START_NS + after_ms * MS)) is None
    with pytest.raises(ClockJump):
        accept(source, imu(START_NS + 100 * MS))


def test_restart_forgets_clock_and_frame_but_no_counts() -> None:
    source = fed(10)
    accept(source, b"")
    source.restart()
    assert accept(source, imu(START_NS, frame="other")) is not None
    assert source.rejected == {"undecodable": 1}


def test_the_wrench_is_checked_likewise() -> None:
    source = Source(SourceConfig("ft", WRENCH), jump_s=5.0)
    assert accept(source, wrench(START_NS, [1, np.nan, np.inf, 0, 0, 0])) is None
    assert source.reason.startswith("ft: not finite: values [1.0, nan,")


@pytest.mark.parametrize(
    ("off_s", "kind"), [(-3600.0, "past"), (-10.0, ""), (0.0, ""), (10.0, ""), (10.1, "future")]
)
def test_stamps_are_held_against_the_clock(off_s: float, kind: str) -> None:
    now_ns = START_NS + 7
    source = Source(SourceConfig("imu", IMU), jump_s=5.0, now_ns=lambda: now_ns, offset_s=10.0)
    stamp = now_ns + round(off_s * SECOND)
    assert (accept(source, imu(stamp)) is None) == bool(kind)
    assert source.rejected == ({kind: 1} if kind else {})
    if kind:
        assert source.reason == (
            f"imu: {kind}: stamp {stamp} ns is {off_s:+.1f} s off the node clock"
        )


def test_a_refused_stamp_moves_no_clock() -> None:
    source = Source(SourceConfig("imu", IMU), 5.0, now_ns=lambda: START_NS, offset_s=1.0)
    for i in range(3):
        accept(source, imu(START_NS + 3600 * SECOND + i * MS))
        assert accept(source, imu(START_NS + i * MS)) is not None
    assert source.rejected == {"future": 3}


def test_a_force_alone_is_checked_likewise_and_has_no_torque() -> None:
    source = Source(SourceConfig("foot", FORCE), jump_s=5.0)
    sample = accept(source, force(START_NS))
    assert sample is not None
    np.testing.assert_array_equal(sample.values, [*LOAD[:3], np.nan, np.nan, np.nan])
    assert accept(source, force(START_NS + MS, [np.nan] * 3)) is None
    assert source.rejected == {"not_finite": 1}
    assert source.config.channels == SourceConfig("foot", WRENCH).channels


@given(stamps=st.lists(st.integers(0, 400), min_size=1, max_size=60))
def test_no_stamp_is_taken_twice_and_every_message_has_one_fate(stamps: list[int]) -> None:
    source = imu_source()
    outcomes = [o for stamp in stamps for o in source.accept(imu(START_NS + stamp * MS))]
    taken = [sample.stamp_ns for _, sample in outcomes if sample is not None]
    assert len(taken) == len(set(taken))
    assert len(outcomes) - len(taken) == source.refused == source.rejected.total()
    assert len(outcomes) + bool(source.held) == len(stamps)
