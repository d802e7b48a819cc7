"""Efforts are those of the named joints, whatever the order of a message's; what lacks is named."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import SECOND, START_NS, joint_state

from tao_lora_ros.signal.cdr import JOINT_STATE, DecodeError, Sample
from tao_lora_ros.signal.efforts import EffortDecoder, ForeignError
from tao_lora_ros.signal.source import Source, SourceConfig, axis_of, quantities, unit_of

MS = 1_000_000
ARM = ("shoulder", "elbow", "wrist")
EFFORTS = {"wrist": 1.5, "finger": -9.0, "shoulder": -2.25, "elbow": 3.0e-7}
texts = st.text(st.characters(exclude_characters="\0.", exclude_categories=["Cs"]), max_size=9)
values = st.floats(allow_nan=False)
stamps = st.integers(0, 2**31 * SECOND - 1)


def source() -> Source:
    return Source(SourceConfig("arm", JOINT_STATE, joints=ARM), jump_s=5.0)


def accept(source: Source, data: bytes) -> Sample | None:
    ((_, sample),) = source.accept(data)
    return sample


@pytest.mark.parametrize("little_endian", [True, False])
@given(data=st.data(), stamp_ns=stamps, frame=texts)
def test_reads_what_rosbags_writes(little_endian, data, stamp_ns, frame) -> None:
    """Names of any length in any order, and any positions and velocities or none."""
    efforts = data.draw(st.dictionaries(texts, values, min_size=1, max_size=9))
    chosen = data.draw(st.lists(st.sampled_from([*efforts]), min_size=1, unique=True))
    others = [data.draw(st.lists(values, max_size=4)) for _ in range(2)]
    sent = joint_state(stamp_ns, efforts, frame, *others, little_endian=little_endian)
    sample = EffortDecoder(tuple(chosen))(sent)
    assert (sample.stamp_ns, sample.frame_id) == (stamp_ns, frame)
    assert sample.values.dtype.isnative
    assert sample.values.tolist() == [efforts[joint] for joint in chosen]


@given(orders=st.lists(st.permutations([*EFFORTS]), min_size=1, max_size=9))
def test_the_order_may_change_from_message_to_message(orders) -> None:
    decoder = EffortDecoder(ARM)
    for i, order in enumerate(orders):
        efforts = {joint: EFFORTS[joint] + i for joint in order}
        sample = decoder(joint_state(START_NS, efforts))
        assert sample.values.tolist() == [efforts[joint] for joint in ARM]


def test_joints_may_come_and_go() -> None:
    decoder = EffortDecoder(ARM)
    np.testing.assert_array_equal(
        decoder(joint_state(START_NS, {"shoulder": 1.0})).values, [1.0, np.nan, np.nan]
    )
    assert decoder(joint_state(START_NS, EFFORTS)).values.tolist() == [-2.25, 3.0e-7, 1.5]
    with pytest.raises(ForeignError, match=r"^name lacks shoulder, elbow, wrist; there are: none$"):
        decoder(joint_state(START_NS, {}))
    assert decoder(joint_state(START_NS, EFFORTS)).values.tolist() == [-2.25, 3.0e-7, 1.5]


def test_efforts_in_several_messages_are_put_together() -> None:
    decoder = EffortDecoder(ARM)
    halves = {"shoulder": -2.25}, {"wrist": 1.5, "elbow": 3.0e-7}
    values = [
        decoder(joint_state(START_NS + i * 5 * MS, halves[i % 2])).values.tolist() for i in range(8)
    ]
    assert values[1:] == [[-2.25, 3.0e-7, 1.5]] * 7


def test_an_effort_that_is_not_repeated_is_soon_absent() -> None:
    decoder = EffortDecoder(ARM)
    decoder(joint_state(START_NS, {"elbow": 1.0}))
    known = [
        np.isfinite(decoder(joint_state(START_NS + at * MS, {"wrist": 2.0})).values).tolist()
        for at in (50, 51)
    ]
    assert known == [[False, True, True], [False, False, True]]


def test_a_state_without_efforts_is_named_by_topic_and_field() -> None:
    subject = source()
    assert accept(subject, joint_state(START_NS, EFFORTS, effort=[])) is None
    assert subject.reason == "arm: no effort: effort has 0 entries, name has 4"
    assert subject.rejected == {"no_effort": 1}
    assert accept(subject, joint_state(START_NS, EFFORTS)) is not None


def test_a_state_without_our_joints_is_somebody_elses() -> None:
    subject = source()
    for i in range(3):
        assert accept(subject, joint_state(START_NS + i, {"finger": 1.0})) is None
        assert accept(subject, joint_state(START_NS + i, EFFORTS)) is not None
    assert not subject.rejected
    assert subject.unused == {"other_joints": 3}


def test_one_joints_nan_is_not_reported() -> None:
    subject = source()
    assert accept(subject, joint_state(START_NS, EFFORTS | {"finger": np.nan})) is not None
    sample = accept(subject, joint_state(START_NS + 1, EFFORTS | {"elbow": np.nan}))
    assert sample is not None
    np.testing.assert_array_equal(sample.values, [-2.25, np.nan, 1.5])
    assert accept(subject, joint_state(START_NS + 2, dict.fromkeys(EFFORTS, np.nan))) is None
    assert subject.rejected == {"not_finite": 1}


def test_channels_are_the_joints() -> None:
    channels = source().config.channels
    assert channels == ("arm.effort_shoulder", "arm.effort_elbow", "arm.effort_wrist")
    assert {unit_of(channel) for channel in channels} == {"Nm"}
    assert axis_of("arm.effort_left_elbow") == "left_elbow"
    assert quantities(("ft.force_x", "ft.force_y", "ft.torque_x", *channels)) == {
        "ft.force": slice(0, 2),
        "ft.torque": slice(2, 3),
        "arm.effort": slice(3, 6),
    }


@pytest.mark.parametrize("little_endian", [True, False])
def test_every_truncation_is_a_decode_error(little_endian: bool) -> None:
    data = joint_state(START_NS, EFFORTS, "base", [1.0], [], little_endian=little_endian)
    decoder = EffortDecoder(ARM)
    for length in range(len(data)):
        with pytest.raises(DecodeError, match="bytes"):
            decoder(data[:length])
        assert decoder(data).values.tolist() == [-2.25, 3.0e-7, 1.5]


@pytest.mark.parametrize("count", [2**16, 2**32 - 1])
@pytest.mark.parametrize("field", ["name", "position", "velocity", "effort"])
def test_a_count_that_is_wrong_is_refused(field: str, count: int) -> None:
    data = bytearray(joint_state(START_NS, {"ab": 7.0}, "abc"))
    # frame abc ends at 20; name: 20 and "ab" at 28; empty position and velocity; effort at 40
    at = {"name": 20, "position": 32, "velocity": 36, "effort": 40}[field]
    struct.pack_into("<I", data, at, count)
    with pytest.raises(DecodeError, match="bytes"):
        EffortDecoder(("ab",))(bytes(data))


@given(flips=st.lists(st.tuples(st.integers(0, 200), st.integers(1, 255)), max_size=8))
def test_flipped_bytes_decode_or_are_refused(flips) -> None:
    sent = joint_state(START_NS, EFFORTS, "base", [0.5] * 4, [0.25] * 4)
    data = bytearray(sent)
    for at, mask in flips:
        data[at % len(data)] ^= mask
    decoder = EffortDecoder(ARM)
    decoder(sent)
    try:
        sample = decoder(bytes(data))
    except DecodeError:
        return
    assert isinstance(sample, Sample)
    assert sample.values.shape == (3,)


@given(data=st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    for head in (b"", b"\0\1\0\0", joint_state(START_NS, {})[:20]):
        with pytest.raises(DecodeError):
            EffortDecoder(("no joint of this name",))(head + data)


def test_values_do_not_alias_the_message() -> None:
    data = bytearray(joint_state(START_NS, EFFORTS))
    sample = EffortDecoder(ARM)(data)
    data[:] = bytes(len(data))
    assert sample.values.tolist() == [-2.25, 3.0e-7, 1.5]


def test_reads_what_rclpy_writes() -> None:
    """Whose padding holds anything."""
    serialization = pytest.importorskip("rclpy.serialization", reason="rclpy is not installed")
    from sensor_msgs.msg import JointState

    message = JointState(name=[*EFFORTS], effort=[*EFFORTS.values()], position=[0.5] * 4)
    data = serialization.serialize_message(message)
    assert EffortDecoder(ARM)(data).values.tolist() == [-2.25, 3.0e-7, 1.5]
