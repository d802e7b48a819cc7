"""What is stored of an event is what was published, byte for byte, wherever it came from."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import tao_lora
from recordings import ROS2, START_NS, Message, bare_wrench, motion, write_ros2
from rosbags.highlevel import AnyReader

from tao_lora_ros.messages.router_state import STATE_TYPE
from tao_lora_ros.preservation.event_catalogue import EVENTS, read_entries, read_event
from tao_lora_ros.preservation.event_entry import Entry
from tao_lora_ros.preservation.event_record import OWN_TOPICS, EventRecord, Topic
from tao_lora_ros.preservation.event_verify import verify
from tao_lora_ros.signal.cdr import BARE_WRENCH, IMU, WRENCH, decode_wrench

MS = 1_000_000
IMPACT_S = 1.6
ROBOT = "/robot_1"
AT = {0: f"{ROBOT}/imu", 1: f"{ROBOT}/ft/wrench"}


def full(messages: list[Message]) -> list[Message]:
    """The same motion by an Imu that reports its orientation and covariances, and by a wrench."""
    rng = np.random.default_rng(0)
    out = []
    for m in messages:
        data = m.data
        if m.source == 0:
            imu = ROS2.deserialize_cdr(data, IMU)
            for axis in "xyzw":
                setattr(imu.orientation, axis, rng.normal())
            for part in ("orientation", "angular_velocity", "linear_acceleration"):
                setattr(imu, f"{part}_covariance", rng.normal(size=9) ** 2)
            imu.header.frame_id = "imu_länk"
            data = bytes(ROS2.serialize_cdr(imu, IMU, little_endian=m.stamp_ns % 4 == 0))
        out.append(Message(m.source, m.stamp_ns, data))
    return out


def spoilt(messages: list[Message]) -> list[Message]:
    """With what a node refuses among them: NaN, another frame, no message, twice, from 1970.

    All are of whole words, to which DDS fills up.
    """
    out = []
    for i, m in enumerate(messages):
        out.append(m)
        if i % 10 == 9:
            frame = b"\x09\0\0\0imu_l\xc3\xa4nk\0"
            bad = [
                m.data[:-8] + struct.pack("<d", np.nan) if m.source else m.data[:200],
                m.data.replace(frame[4:], b"imu_other\0") if not m.source else m.data[:8],
                b"\0\1\0\0nothing!",
                m.data,
                m.data[:4] + struct.pack("<iI", 3, i) + m.data[12:],
            ]
            out += [Message(m.source, m.stamp_ns, data) for data in bad]
    return out


def assert_stretch(kept: tuple[bytes, ...], came: list[bytes]) -> None:
    """One stretch, without a hole, of what came."""
    assert len(kept) > 100
    places = [i for i, data in enumerate(came) if data == kept[0]]
    assert any(came[i : i + len(kept)] == list(kept) for i in places)


@pytest.fixture
def robot(wire) -> Iterator:
    """The other end of a node's topics in a namespace, one of them remapped."""
    import rclpy
    from geometry_msgs.msg import WrenchStamped
    from wire import DEEP, Wire

    other = Wire(rclpy.create_node("robot_wire"), ROBOT)
    other.node.destroy_publisher(other.publishers[1])
    other.publishers[1] = other.node.create_publisher(WrenchStamped, AT[1], DEEP)
    yield other
    other.close()


def stored(folder: Path) -> EventRecord:
    assert verify(folder) == (1, [])
    (entry,) = read_entries(folder)
    return read_event(folder, entry.number)[1]


@pytest.mark.ros
def test_what_a_node_stores_is_what_was_published(robot, run, tmp_path):
    from wire import EVENTS as EVENTS_QOS
    from wire import node_command

    from tao_lora_ros.msg import EventSamples, TransientEvent

    topics = [f"{ROBOT}/tao_lora/{name}" for name in ("events", "event_samples")]
    published: dict[str, list[bytes]] = {topic: [] for topic in topics}
    for kind, (topic, into) in zip((TransientEvent, EventSamples), published.items(), strict=True):
        robot.node.create_subscription(kind, topic, into.append, EVENTS_QOS, raw=True)
    lossless = [
        f"qos_overrides.{topic}.subscription.reliability:=reliable" for topic in AT.values()
    ]
    store = [f"store:={tmp_path / 'store'}", "store_pre_roll_s:=1.0"]
    command = node_command([*store, "queue_depth:=20000", *lossless])
    process = run([*command, "-r", f"__ns:={ROBOT}", "-r", "wrench:=ft/wrench"])
    robot.until_listening(process)
    sent = spoilt(full(motion(IMPACT_S + 0.4, impacts_s=(IMPACT_S,), seed=4)))
    robot.play(sent, rate=1.0)
    robot.until(lambda: [*map(len, (robot.events, *published.values()))] == [2, 2, 2], "an event")
    assert process.stop() == 0
    record = stored(tmp_path / "store")
    for (topic, message), (name, sent_messages) in zip(
        record.published, published.items(), strict=True
    ):
        assert (topic.name, message) == (name, sent_messages[1])
        assert [qos.durability.name for qos in topic.qos] == ["TRANSIENT_LOCAL"]
    names = [*AT.values(), f"{ROBOT}/tao_lora/router_state"]
    assert [topic.name for topic, _ in record.received] == names
    assert [topic.msgtype for topic, _ in record.received] == [IMU, WRENCH, STATE_TYPE]
    for source, (topic, messages) in enumerate(record.received[:2]):
        assert_stretch(messages.data, [m.data for m in sent if m.source == source])
        assert [qos.reliability.name for qos in topic.qos] == ["RELIABLE"]
    assert {raw.frame_id for raw in record.event.raw} == {"imu_länk", "ft_link"}


def test_what_a_replay_stores_is_what_the_bag_holds(tmp_path, capsys):
    sent = spoilt(full(motion(IMPACT_S + 0.4, impacts_s=(IMPACT_S,), seed=4)))
    bag = write_ros2(tmp_path / "bag", sent, [(AT[0], IMU), (AT[1], WRENCH)])
    assert tao_lora("replay", bag, store=tmp_path / "store") == 0
    assert "1 events" in capsys.readouterr().out
    record = stored(tmp_path / "store")
    assert [topic for topic, _ in record.published] == list(OWN_TOPICS)
    for source, (topic, messages) in enumerate(record.received[:2]):
        assert topic == Topic(AT[source], (IMU, WRENCH)[source])
        assert_stretch(messages.data, [m.data for m in sent if m.source == source])


def test_a_stored_event_is_a_bag_to_replay(tmp_path, capsys):
    """A Wrench has no stamp of its own; the log time is the one that it was given."""
    sent = [
        Message(1, m.stamp_ns, bare_wrench(decode_wrench(m.data).values)) if m.source else m
        for m in motion(4.0, impacts_s=(3.0,), seed=4)
    ]
    bag = write_ros2(tmp_path / "bag", sent, [("/imu", IMU), ("/wrench", BARE_WRENCH)])
    (tmp_path / "p.yaml").write_text("/**: {ros__parameters: {wrench_types: [Wrench]}}")
    stores = tmp_path / "first", tmp_path / "again"
    for store in stores:
        assert tao_lora("replay", bag, params_file=tmp_path / "p.yaml", store=store) == 0
        (bag,) = (store / EVENTS).iterdir()
    first, again = map(stored, stores)
    assert again.event.onset_ns == first.event.onset_ns
    assert START_NS + 2990 * MS < first.event.onset_ns < START_NS + 3010 * MS
    for (_, left), (_, right) in zip(first.received, again.received, strict=True):
        count = len(right.data)  # the input ends here, and with it the event
        assert len(left.data) - 5 < count
        assert left.data[:count] == right.data
        np.testing.assert_array_equal(left.times_ns[:count], right.times_ns)


@pytest.mark.parametrize("pre_roll_s", [0.0, 2.0])
def test_each_stored_event_is_found_again_also_among_others(pre_roll_s, tmp_path):
    """Same onset, peak, end and score, though the stored past is too short to learn from."""
    impacts_s = 1.5 + np.cumsum([0.0, 0.9, 0.06, 0.3, 0.3, 0.1, 0.45, 0.2, 1.2, 0.15])
    bag = write_ros2(tmp_path / "bag", motion(6.5, impacts_s=impacts_s, seed=4))
    (tmp_path / "p.yaml").write_text(
        f"/**: {{ros__parameters: {{store_pre_roll_s: {pre_roll_s}}}}}"
    )
    store = tmp_path / "store"
    assert tao_lora("replay", bag, params_file=tmp_path / "p.yaml", store=store) == 0
    entries = read_entries(store)
    assert len(entries) > 6
    for entry in entries:
        again = tmp_path / str(entry.number)
        assert tao_lora("replay", store / EVENTS / entry.folder, store=again) == 0
        assert said(entry) in map(said, read_entries(again))


def said(entry: Entry) -> tuple[object, ...]:
    return entry.onset_ns, entry.peak_ns, entry.end_ns, entry.peak_score, entry.channels


@pytest.mark.ros
def test_ros_reads_what_is_stored(tmp_path):
    """The messages of a bag, by rclpy's own deserialisation."""
    serialization = pytest.importorskip("rclpy.serialization")
    from sensor_msgs.msg import Imu

    sent = full(motion(IMPACT_S + 0.4, impacts_s=(IMPACT_S,), seed=4))
    bag = write_ros2(tmp_path / "bag", sent)
    assert tao_lora("replay", bag, store=tmp_path / "store") == 0
    (folder,) = (tmp_path / "store" / EVENTS).iterdir()
    with AnyReader([folder]) as reader:
        wanted = [c for c in reader.connections if c.msgtype == IMU]
        read = [bytes(data) for _, _, data in reader.messages(connections=wanted)]
    message = serialization.deserialize_message(read[0], Imu)
    assert message.header.frame_id == "imu_länk"
    assert message.orientation.w
    assert message.orientation_covariance[8] > 0
