"""Decoding gives what was written, or a DecodeError that says why not."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import ROS2, SECOND, START_NS, bare_wrench, force, imu, rosbags_message, wrench

from tao_lora_ros.signal.cdr import (
    BARE_WRENCH,
    DECODERS,
    FORCE,
    IMU,
    WRENCH,
    DecodeError,
    Sample,
    decode_bare_wrench,
    decode_imu,
    decode_wrench,
)

VALUES = [1.5, -2.25, 9.81, 0.125, -0.5, 3.0e-7]
STAMP_NS = 1_234_567_890 * SECOND + 999_999_999
BY_HAND = {IMU: imu, WRENCH: wrench, FORCE: force}
NAN = float("nan")
six_values = st.lists(st.floats(allow_nan=False), min_size=6, max_size=6)
stamps = st.integers(0, 2**31 * SECOND - 1)
frames = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=16)


def reported(name: str, values: list[float]) -> list[float]:
    """What a message of this type reports of six values."""
    return values[:3] + [NAN] * 3 if name == FORCE else values


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("little_endian", [True, False])
@given(values=six_values, stamp_ns=stamps, frame=frames)
def test_reads_what_rosbags_writes(name, little_endian, values, stamp_ns, frame) -> None:
    message = rosbags_message(name, stamp_ns, frame, values)
    data = bytes(ROS2.serialize_cdr(message, name, little_endian=little_endian))
    sample = DECODERS[name](data)
    assert (sample.stamp_ns, sample.frame_id) == (stamp_ns, frame)
    np.testing.assert_array_equal(sample.values, reported(name, values))


@pytest.mark.parametrize("little_endian", [True, False])
@given(values=six_values, stamp_ns=stamps)
def test_a_wrench_gets_its_stamp_on_arrival(little_endian, values, stamp_ns) -> None:
    message = rosbags_message(WRENCH, stamp_ns, "", values)
    sent = ROS2.serialize_cdr(message.wrench, BARE_WRENCH, little_endian=little_endian)
    sample = decode_bare_wrench(bytes(sent), stamp_ns)
    assert (sample.stamp_ns, sample.frame_id) == (stamp_ns, "")
    assert sample.values.tolist() == values


@pytest.mark.parametrize("received_ns", [-1, 2**31 * SECOND])
def test_a_time_that_no_stamp_holds_is_refused(received_ns: int) -> None:
    with pytest.raises(DecodeError, match=f"stamp {received_ns} ns is out of range"):
        decode_bare_wrench(bare_wrench(VALUES), received_ns)


def test_a_wrench_of_another_encapsulation_is_refused() -> None:
    with pytest.raises(DecodeError, match="encapsulation 0x0003 is not plain CDR"):
        decode_bare_wrench(b"\0\3" + bare_wrench(VALUES)[2:], STAMP_NS)


def test_every_truncation_of_a_bare_wrench_is_a_decode_error() -> None:
    data = bare_wrench(VALUES)
    for length in range(len(data)):
        with pytest.raises(DecodeError, match=r"bytes"):
            decode_bare_wrench(data[:length], STAMP_NS)


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("length", range(17))
def test_frame_ids_of_every_alignment(name: str, order: str, length: int) -> None:
    sample = DECODERS[name](BY_HAND[name](STAMP_NS, VALUES, "f" * length, order))
    assert sample.frame_id == "f" * length
    assert sample.stamp_ns == STAMP_NS
    assert sample.values.dtype == np.float64
    assert sample.values.dtype.isnative
    np.testing.assert_array_equal(sample.values, reported(name, VALUES))


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_truncation_is_a_decode_error(name: str, order: str) -> None:
    data = BY_HAND[name](STAMP_NS, VALUES, "imu_link", order)
    for length in range(len(data)):
        with pytest.raises(DecodeError, match=r"bytes"):
            DECODERS[name](data[:length])


def test_a_cut_message_is_refused_with_both_lengths() -> None:
    data = imu(STAMP_NS, VALUES)
    with pytest.raises(DecodeError, match=f"{len(data) - 1} bytes, expected {len(data)}"):
        decode_imu(data[:-1])


def decoded_or_refused(name: str, data: bytes) -> None:
    try:
        sample = DECODERS[name](data)
    except DecodeError:
        return
    assert isinstance(sample, Sample)
    assert sample.values.shape == (6,)
    assert sample.stamp_ns >= 0


@pytest.mark.parametrize("name", BY_HAND)
@given(flips=st.lists(st.tuples(st.integers(0, 339), st.integers(1, 255)), max_size=8))
def test_flipped_bytes_decode_or_are_refused(name: str, flips: list[tuple[int, int]]) -> None:
    data = bytearray(BY_HAND[name](START_NS, VALUES, "imu_link"))
    for at, mask in flips:
        data[at % len(data)] ^= mask
    decoded_or_refused(name, bytes(data))


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("at", range(24))
@given(mask=st.integers(1, 255))
def test_a_flip_anywhere_in_the_header_decodes_or_is_refused(name, at: int, mask: int) -> None:
    data = bytearray(BY_HAND[name](START_NS, VALUES, "imu_link"))
    data[at] ^= mask
    decoded_or_refused(name, bytes(data))


@pytest.mark.parametrize("name", BY_HAND)
@given(data=st.binary(max_size=400))
def test_any_bytes_decode_or_are_refused(name: str, data: bytes) -> None:
    decoded_or_refused(name, data)
    decoded_or_refused(name, b"\0\1\0\0" + data)


@pytest.mark.parametrize("accel", [True, False])
@pytest.mark.parametrize("gyro", [True, False])
def test_covariance_minus_one_means_not_reported(accel: bool, gyro: bool) -> None:
    values = decode_imu(imu(STAMP_NS, VALUES, accel=accel, gyro=gyro)).values
    expected = np.array(VALUES)
    expected[:3] = expected[:3] if accel else np.nan
    expected[3:] = expected[3:] if gyro else np.nan
    np.testing.assert_array_equal(values, expected)


def test_the_orientations_covariance_does_not_matter() -> None:
    data = bytearray(imu(STAMP_NS, VALUES, frame=""))
    at = 4 + 16 + 4 * 8  # stamp, frame, quaternion
    assert struct.unpack_from("<d", data, at) == (-1.0,)
    struct.pack_into("<d", data, at, 0.5)
    np.testing.assert_array_equal(decode_imu(bytes(data)).values, VALUES)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [((-1, 0), "stamp -1 s 0 ns"), ((1, SECOND), "stamp 1 s 1000000000 ns")],
)
def test_a_stamp_out_of_range_is_refused(fields: tuple[int, int], reason: str) -> None:
    data = bytearray(wrench(STAMP_NS, VALUES))
    struct.pack_into("<iI", data, 4, *fields)
    with pytest.raises(DecodeError, match=reason):
        decode_wrench(bytes(data))


@pytest.mark.parametrize("head", [b"\0\2", b"\0\3", b"\1\1", b"\0\x0a", b"\xff\xff"])
def test_other_encapsulations_are_refused(head: bytes) -> None:
    with pytest.raises(DecodeError, match=f"0x{head.hex()} is not plain CDR"):
        decode_wrench(head + wrench(STAMP_NS)[2:])


def test_a_frame_id_that_is_not_text_is_refused() -> None:
    data = bytearray(wrench(STAMP_NS, frame="abcd"))
    data[16] = 0xFF
    with pytest.raises(DecodeError, match="frame id is not UTF-8"):
        decode_wrench(bytes(data))


@pytest.mark.parametrize("length", [0, 4, 10_000, 2**32 - 1])
def test_a_frame_id_whose_length_is_wrong_is_refused(length: int) -> None:
    data = bytearray(wrench(STAMP_NS, frame="abcd"))
    struct.pack_into("<I", data, 12, length)
    with pytest.raises(DecodeError, match=f"frame id of {length} bytes"):
        decode_wrench(bytes(data))


def test_a_wrench_is_not_an_imu() -> None:
    with pytest.raises(DecodeError, match="expected"):
        decode_imu(wrench(STAMP_NS))


def test_values_do_not_alias_the_message() -> None:
    data = bytearray(wrench(STAMP_NS, VALUES))
    sample = decode_wrench(data)
    data[:] = bytes(len(data))
    np.testing.assert_array_equal(sample.values, VALUES)
