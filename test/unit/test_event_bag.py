"""An event's bag is an ordinary ROS 2 bag that holds every sample to the bit."""

from __future__ import annotations

import importlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from event_records import MS, T0, assert_equal, event, raw
from hypothesis import given
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader

from tao_lora_ros.preservation.event_bag import largest_size, merged, read_bag, write_bag
from tao_lora_ros.preservation.event_messages import (
    TRANSIENT_EVENT,
    event_message,
    message_type,
    message_types,
    record_from,
    sample_messages,
    topic_of,
)
from tao_lora_ros.preservation.event_record import EventRecord, StoreError
from tao_lora_ros.preservation.outlier_buffer import RawSamples
from tao_lora_ros.signal.cdr import DECODERS, IMU, WRENCH

STAMPS = T0 + np.arange(4) * MS


def test_bag_holds_samples_and_event_in_order(tmp_path):
    record = event()
    assert write_bag([record], tmp_path / "bag") == record.sample_count + 1
    with AnyReader([tmp_path / "bag"]) as reader:
        messages = [(c.topic, c.msgtype, t, bytes(d)) for c, t, d in reader.messages()]
    assert [t for *_, t, _ in messages] == sorted(t for *_, t, _ in messages)
    assert messages[-1][:2] == ("/tao_lora/events", TRANSIENT_EVENT)
    for source in record.raw:
        of_source = [m for m in messages if m[0] == f"/{source.source}"]
        samples = [DECODERS[msgtype](data) for _, msgtype, _, data in of_source]
        assert [s.stamp_ns for s in samples] == source.stamps_ns.tolist()
        assert [t for _, _, t, _ in of_source] == source.stamps_ns.tolist()
        assert {s.frame_id for s in samples} == {source.frame_id}
        np.testing.assert_array_equal([s.values for s in samples], source.values)


def test_bag_gives_the_record_back(tmp_path):
    record = event()
    write_bag([record], tmp_path / "bag")
    assert_equal(read_bag(tmp_path / "bag"), record)


def test_bag_is_read_by_humble_and_later(tmp_path):
    write_bag([event()], tmp_path / "bag")
    text = (tmp_path / "bag" / "metadata.yaml").read_text()
    facts = yaml.safe_load(text)["rosbag2_bagfile_information"]
    assert facts["version"] == 8
    assert facts["storage_identifier"] == "mcap"
    assert facts["relative_file_paths"] == ["bag.mcap"]
    for topic in facts["topics_with_message_count"]:
        # Humble wants text here; the list of version 9 ends it
        assert isinstance(topic["topic_metadata"]["offered_qos_profiles"], str)


def test_bag_is_an_mcap_to_others(tmp_path):
    """Foxglove's own reader: schemas, indexes and messages."""
    reader = pytest.importorskip("mcap.reader")
    ros2 = pytest.importorskip("mcap_ros2.decoder")
    record = event()
    write_bag([record], tmp_path / "bag")
    with (tmp_path / "bag" / "bag.mcap").open("rb") as file:
        opened = reader.make_reader(file, decoder_factories=[ros2.DecoderFactory()])
        decoded = [
            (channel.topic, message) for _, channel, _, message in opened.iter_decoded_messages()
        ]
    assert len(decoded) == record.sample_count + 1
    assert decoded[-1][1].label == "impact"


@pytest.mark.parametrize("frame", ["", "a", "base_link", "länk", "x" * 31])
@pytest.mark.parametrize("msgtype", [IMU, WRENCH])
def test_samples_are_what_rosbags_would_write(frame, msgtype):
    """Length and padding of every frame id; rosbags reads it and writes the same bytes again."""
    source = replace(raw("arm/left", msgtype, STAMPS), frame_id=frame)
    for row, table in zip(source.values, sample_messages(source), strict=True):
        data = table.tobytes()
        message = message_types().deserialize_cdr(data, msgtype)
        assert message.header.frame_id == frame
        assert bytes(message_types().serialize_cdr(message, msgtype)) == data
        np.testing.assert_array_equal(DECODERS[msgtype](data).values, row)


@pytest.mark.parametrize("part", [slice(0, 3), slice(3, 6)])
@pytest.mark.parametrize("msgtype", [IMU, WRENCH])
def test_part_not_reported_stays_so(part, msgtype):
    source = raw("imu", msgtype, STAMPS)
    source.values[1:, part] = np.nan
    back = [DECODERS[msgtype](row.tobytes()).values for row in sample_messages(source)]
    np.testing.assert_array_equal(back, source.values)


def test_imu_part_not_reported_has_covariance_minus_one():
    source = raw("imu", IMU, STAMPS)
    source.values[:, 3:] = np.nan
    message = message_types().deserialize_cdr(sample_messages(source)[0].tobytes(), IMU)
    assert message.orientation_covariance[0] == -1.0
    assert message.angular_velocity_covariance[0] == -1.0
    assert message.linear_acceleration_covariance[0] == 0.0
    assert message.angular_velocity.x == 0.0


def test_event_message_is_the_generated_one():
    """Type hash and bytes are those of the package's own messages."""
    share = [Path(p) / "share" / "tao_lora_ros" / "msg" for p in _prefixes()]
    found = [f / "TransientEvent.json" for f in share if (f / "TransientEvent.json").is_file()]
    if not found:
        pytest.skip("the messages are not built")
    hashes = {
        h["type_name"]: h["hash_string"] for h in json.loads(found[0].read_text())["type_hashes"]
    }
    assert message_types().hash_rihs01(TRANSIENT_EVENT) == hashes[TRANSIENT_EVENT]


@pytest.mark.ros
def test_event_message_is_what_the_node_publishes():
    own = pytest.importorskip("tao_lora_ros.msg")
    serialization = pytest.importorskip("rclpy.serialization")
    packing = importlib.import_module("tao_lora_ros.ros.event_bytes")
    results = importlib.import_module("tao_lora_ros.engine.results")
    record = event()
    fields = {name: value for name, value in vars(record).items() if name != "kind"}
    published = results.Event(phase=results.Phase.END, **fields)
    assert_equal(EventRecord.of(published), record)
    data = packing.event_bytes(published)
    back = message_types().deserialize_cdr(data, TRANSIENT_EVENT)
    assert_equal(record_from(back), record)
    ours, theirs = (
        serialization.deserialize_message(bytes_, own.TransientEvent)
        for bytes_ in (event_message(record), data)
    )
    assert ours == theirs


def _prefixes() -> list[str]:
    return [sys.prefix, *os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]


def test_unknown_channels_are_refused(tmp_path):
    odd = replace(raw("imu", IMU, STAMPS), channels=tuple("abcdef"))
    with pytest.raises(StoreError, match="source 'imu': no message has channels a, b"):
        write_bag([event(raw=(odd,))], tmp_path / "bag")


def test_message_type_and_topic():
    assert message_type(raw("a/b", WRENCH, STAMPS)) == WRENCH
    assert topic_of(raw("a/b", WRENCH, STAMPS)) == "/a/b" == topic_of(raw("/a/b", WRENCH, STAMPS))


def test_event_without_samples(tmp_path):
    for number, none in enumerate([(), (raw("imu", IMU, STAMPS[:0]),)]):
        record = event(raw=none)
        assert write_bag([record], tmp_path / f"bag{number}") == 1
        assert_equal(read_bag(tmp_path / f"bag{number}"), record)


def test_damaged_bag_is_named(tmp_path):
    write_bag([event()], tmp_path / "bag")
    (tmp_path / "bag" / "bag.mcap").write_bytes(b"nothing")
    with pytest.raises(StoreError, match=r"bag: not readable: .+"):
        read_bag(tmp_path / "bag")


def test_shared_samples_are_merged_once():
    whole = raw("imu", IMU, T0 + np.arange(10) * MS)
    whole.values[4] = np.nan
    first, second = (
        RawSamples("imu", "imu_link", whole.channels, whole.stamps_ns[s], whole.values[s])
        for s in (slice(0, 7), slice(3, 10))
    )
    (union,) = merged([second, first])
    np.testing.assert_array_equal(union.stamps_ns, whole.stamps_ns)
    np.testing.assert_array_equal(union.values, whole.values)


def test_other_values_at_one_stamp_are_kept():
    """Simulated time starts over: the same stamps, another run."""
    one, two = raw("imu", IMU, STAMPS, 1), raw("imu", IMU, STAMPS, 2)
    (union,) = merged([one, two])
    assert len(union.stamps_ns) == 2 * len(STAMPS)


@given(
    samples=st.integers(0, 400),
    frame=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
    channels=st.integers(1, 12),
)
def test_largest_size_is_no_less_than_the_size(tmp_path_factory, samples, frame, channels):
    """Values are random, so nothing compresses but what is equal in all messages."""
    folder = tmp_path_factory.mktemp("bag") / "bag"
    record = event(samples=samples, channels=(("imu.accel_x", 1 / channels),) * channels)
    record = replace(record, raw=tuple(replace(r, frame_id=frame) for r in record.raw))
    write_bag([record], folder)
    assert sum(f.stat().st_size for f in folder.iterdir()) + 4 * 4096 < largest_size(record)
