"""An event's bag is an ordinary ROS 2 bag that holds every sample to the bit."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest
import yaml
from event_records import (
    MS,
    T0,
    assert_equal,
    assert_same_event,
    assert_same_messages,
    event,
    message_count,
    raw,
)
from hypothesis import given
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from tao_lora_ros.messages.raw_data import RawMessages
from tao_lora_ros.messages.results import Size
from tao_lora_ros.preservation.event_bag import largest_size, read_bag, write_bag
from tao_lora_ros.preservation.event_record import (
    OWN_TYPES,
    TRANSIENT_EVENT,
    EventRecord,
    StoreError,
    Topic,
)
from tao_lora_ros.preservation.message_types import message_types
from tao_lora_ros.report.event_plot import event_run
from tao_lora_ros.report.run_data import signal_series
from tao_lora_ros.signal.cdr import IMU

ROOT = Path(__file__).resolve().parents[2]
NEVER = QosTime(9223372036, 854775807)
STAMPS = T0 + np.arange(4) * MS


def test_bag_holds_samples_and_event_in_order(tmp_path):
    record = event()
    assert write_bag([record], tmp_path / "bag") == message_count(record)
    with AnyReader([tmp_path / "bag"]) as reader:
        messages = [(c.topic, c.msgtype, t, bytes(d)) for c, t, d in reader.messages()]
    assert [t for *_, t, _ in messages] == sorted(t for *_, t, _ in messages)
    own = [(Topic(topic, msgtype), data) for topic, msgtype, _, data in messages[-2:]]
    assert tuple(own) == record.published
    for topic, sent in record.received:
        of_topic = [m for m in messages if m[0] == topic.name]
        assert {msgtype for _, msgtype, _, _ in of_topic} == {topic.msgtype}
        assert [t for _, _, t, _ in of_topic] == sent.times_ns.tolist()
        assert tuple(data for *_, data in of_topic) == sent.data


def test_qos_and_schemas_are_those_of_the_topics(tmp_path):
    record = event()
    best_effort = Qos(
        QosHistory.UNKNOWN, 0, QosReliability.BEST_EFFORT, QosDurability.VOLATILE,
        NEVER, NEVER, QosLiveliness.AUTOMATIC, NEVER, False,
    )  # fmt: skip
    (imu, messages), other = record.received
    offered = replace(imu, qos=(best_effort, best_effort._replace(depth=7)))
    record = replace(record, received=((offered, messages), other))
    write_bag([record], tmp_path / "bag")
    assert read_bag(tmp_path / "bag").received[0][0] == offered
    with AnyReader([tmp_path / "bag"]) as reader:
        for connection in reader.connections:
            definition, _ = message_types().generate_msgdef(connection.msgtype, ros_version=2)
            assert connection.msgdef.data == definition


@given(data=st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_come_back(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any") / "bag"
    received = RawMessages(T0 + np.arange(len(data)) // 3, tuple(data))
    record = event(sources=(raw("imu", IMU, STAMPS[:0]),), received=(received,))
    write_bag([record], folder)
    assert_same_messages(read_bag(folder), record)


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
    assert len(decoded) == message_count(record)
    assert decoded[-2][1].label == "impact"
    assert len(decoded[-1][1].raw) == len(record.event.raw)


@pytest.mark.parametrize("msgtype", OWN_TYPES)
def test_event_message_is_the_generated_one(msgtype):
    """Type hash and bytes are those of the package's own messages."""
    name = f"{msgtype.rpartition('/')[2]}.json"
    share = [Path(p) / "share" / "tao_lora_ros" / "msg" for p in _prefixes()]
    found = [folder / name for folder in share if (folder / name).is_file()]
    if not found:
        pytest.skip("the messages are not built")
    hashes = {
        h["type_name"]: h["hash_string"] for h in json.loads(found[0].read_text())["type_hashes"]
    }
    assert message_types().hash_rihs01(msgtype) == hashes[msgtype]


def _prefixes() -> list[str]:
    return [sys.prefix, *os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]


def test_event_without_samples(tmp_path):
    for number, none in enumerate([(), (raw("imu", IMU, STAMPS[:0]),)]):
        record = event(sources=none)
        assert write_bag([record], tmp_path / f"bag{number}") == 2
        assert_equal(read_bag(tmp_path / f"bag{number}"), record)


def test_damaged_bag_is_named(tmp_path):
    write_bag([event()], tmp_path / "bag")
    (tmp_path / "bag" / "bag.mcap").write_bytes(b"nothing")
    with pytest.raises(StoreError, match=r"bag: not readable: .+"):
        read_bag(tmp_path / "bag")


def stretch(stamps: range, data: str = "") -> RawMessages:
    """A message a millisecond, told apart by their stamps and by `data`."""
    bytes_ = tuple(f"{stamp}{data}".encode() for stamp in stamps)
    return RawMessages(T0 + np.array(stamps, dtype=np.int64) * MS, bytes_)


def exported(folder: Path, *stretches: RawMessages) -> list[bytes]:
    """What a bag of events with these stretches of an Imu holds of it."""
    none = (raw("imu", IMU, STAMPS[:0]),)
    write_bag([event(i, sources=none, received=(s,)) for i, s in enumerate(stretches)], folder)
    with AnyReader([folder]) as reader:
        return [bytes(d) for c, _, d in reader.messages() if c.topic == "/robot/imu"]


def test_messages_that_events_share_are_written_once(tmp_path):
    whole = exported(tmp_path / "one", stretch(range(10)))
    assert exported(tmp_path / "two", stretch(range(3, 10)), stretch(range(7))) == whole


def test_messages_that_came_twice_are_written_twice(tmp_path):
    twice = RawMessages(np.repeat(STAMPS, 2), (b"a", b"a", b"b", b"b", b"c", b"c", b"d", b"d"))
    once = RawMessages(STAMPS[:2], (b"a", b"b"))
    assert exported(tmp_path / "bag", once, twice) == list(twice.data)


def test_other_bytes_at_one_stamp_are_kept(tmp_path):
    """Simulated time starts over: the same stamps, another run."""
    runs = stretch(range(4)), stretch(range(4), " again")
    assert sorted(exported(tmp_path / "bag", *runs)) == sorted(runs[0].data + runs[1].data)


@given(
    samples=st.integers(0, 400),
    frame=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
    channels=st.integers(1, 12),
)
def test_largest_size_is_no_less_than_the_size(tmp_path_factory, samples, frame, channels):
    """Values are random, so little compresses but what is equal in all messages."""
    folder = tmp_path_factory.mktemp("bag") / "bag"
    names = (("imu.accel_x", 1 / channels),) * channels
    stamps = T0 + np.arange(samples) * MS
    source = replace(raw("imu", IMU, stamps), frame_id=frame)
    record = event(sources=(source,), channels=names)
    write_bag([record], folder)
    assert sum(f.stat().st_size for f in folder.iterdir()) + 4 * 4096 < largest_size(record)


FIRST = """
std_msgs/Header header
uint32 sequence
uint8 phase
builtin_interfaces/Time onset
builtin_interfaces/Time peak
builtin_interfaces/Time end
float64 peak_score
string[] channels
float32[] shares
uint8 kind
bool regime_change
string label
float32 probability
RawSamples[] raw
"""
SECOND = FIRST.replace("bool regime", "float64 mean_load\nfloat64 peak_load\nbool regime")


@pytest.mark.parametrize(("definition", "mean_load"), [(FIRST, nan), (SECOND, 8.0)])
def test_a_bag_of_an_earlier_version_is_read_by_its_own_definition(tmp_path, definition, mean_load):
    """Its samples were in the event, and of its size a lasting contact's mean load was known."""
    record = event()
    store = get_typestore(Stores.ROS2_JAZZY)
    raw_samples = (ROOT / "msg" / "RawSamples.msg").read_text()
    for name, text in (("RawSamples", raw_samples), ("TransientEvent", definition)):
        store.register(get_types_from_msg(text, f"tao_lora_ros/msg/{name}"))
    said, samples = (
        message_types().deserialize_cdr(data, topic.msgtype) for topic, data in record.published
    )
    values = vars(said) | {"raw": samples.raw, "mean_load": 8.0, "peak_load": 12.0}
    kind = store.types[TRANSIENT_EVENT]
    values = {name: values[name] for name, _ in store.fielddefs[TRANSIENT_EVENT][1]}
    with Writer(tmp_path / "old", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection("/events", TRANSIENT_EVENT, typestore=store)
        writer.write(topic, T0, store.serialize_cdr(kind(**values), TRANSIENT_EVENT))
    expected = replace(record.event, size=Size(mean_load=mean_load))
    assert_same_event(read_bag(tmp_path / "old").event, expected)


def _late(lag_ns: int) -> EventRecord:
    """An event whose wrench stamps late, by as much as is known."""
    imu, wrench = event().event.raw
    late = replace(wrench, stamps_ns=wrench.stamps_ns + lag_ns, lag_ns=lag_ns)
    return event(sources=(imu, late))


def test_lags_come_back_and_signals_are_drawn_on_the_time_of_the_event(tmp_path):
    write_bag([_late(100 * MS)], tmp_path / "bag")
    kept = read_bag(tmp_path / "bag").event
    assert [raw.lag_ns for raw in kept.raw] == [0, 100 * MS]
    late, in_time = (signal_series(event_run(one), "wrench") for one in (kept, event().event))
    np.testing.assert_allclose(late.times, in_time.times, atol=1e-9)


@pytest.mark.parametrize("lag", ["soon", str(10**15), None, {}])
def test_a_forged_lag_is_refused(tmp_path, lag):
    write_bag([_late(100 * MS)], tmp_path / "bag")
    file = tmp_path / "bag" / "metadata.yaml"
    metadata = yaml.safe_load(file.read_text())
    (name,) = metadata["rosbag2_bagfile_information"]["custom_data"]
    metadata["rosbag2_bagfile_information"]["custom_data"] = {name: lag}
    file.write_text(yaml.safe_dump(metadata))
    with pytest.raises(StoreError, match="not readable"):
        read_bag(tmp_path / "bag")
