"""Further topics around each event: of any type, as they were sent, over real DDS."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
from recordings import motion

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")

from commands import tao_lora
from geometry_msgs.msg import Twist
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger
from wire import LOSSLESS, Process, Wire, node_command

from tao_lora_ros.messages.results import Kind
from tao_lora_ros.preservation.event_catalogue import EVENTS, read_entries, read_event
from tao_lora_ros.preservation.event_entry import Entry
from tao_lora_ros.preservation.event_verify import verify
from tao_lora_ros.preservation.message_types import message_types

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
FRAME_S = 1 / 30


def image(number: int, size: int = 100_000) -> bytes:
    """A frame; its stamp's nanoseconds count."""
    frame = Image(height=1, width=size, step=size, encoding="mono8", data=os.urandom(size))
    frame.header.stamp.nanosec = number
    return serialize_message(frame)


class Robot:
    """Plays the sensors in real time, and beside them whatever is given."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.frames: dict[int, bytes] = {}  # by when they were sent, system clock
        # Reliable: of best-effort frames this large a busy machine loses some, and that is said.
        self._camera = wire.node.create_publisher(Image, "/camera", 100)

    def play(self, seconds: float, impacts_s: list[float], start_ns: int = 0) -> None:
        """Sensors at 500 Hz and the camera at 30."""
        messages = motion(seconds, impacts_s, seed=4, start_ns=start_ns or time.time_ns())
        begun, frame_s = time.monotonic(), 0.0
        first_ns = messages[0].stamp_ns
        for message in messages:
            due_s = (message.stamp_ns - first_ns) * 1e-9
            if due_s >= frame_s:
                data = image(len(self.frames))
                self.frames[time.time_ns()] = data
                self._camera.publish(data)
                frame_s += FRAME_S
            self.wire.spin_until(begun + due_s)
            self.wire.publishers[message.source].publish(message.data)
        self.wire.settle()

    def sent_between(self, start_ns: int, end_ns: int) -> list[bytes]:
        return [data for at_ns, data in self.frames.items() if start_ns <= at_ns <= end_ns]


def numbers(data: list[bytes]) -> list[int]:
    return [int.from_bytes(message[8:12], "little") for message in data]


def stored(folder: Path) -> list[tuple[Entry, dict[str, list[tuple[int, bytes]]]]]:
    """Each event with its messages by topic."""
    found = []
    for entry in read_entries(folder):
        topics: dict[str, list[tuple[int, bytes]]] = {}
        with AnyReader([folder / EVENTS / entry.folder]) as reader:
            for connection, time_ns, data in reader.messages():
                topics.setdefault(connection.topic, []).append((time_ns, bytes(data)))
        found.append((entry, topics))
    return found


def until_listening(robot: Robot, process: Process, topics: int) -> None:
    """Wait until the node and the process beside it hear us."""
    robot.wire.until_listening(process)
    robot.wire.until(
        lambda: robot._camera.get_subscription_count() >= topics, "the process beside the node"
    )
    robot.wire.spin_for(0.5)


def assert_whole(robot: Robot, entry: Entry, frames: list[tuple[int, bytes]]) -> None:
    """Every frame from two seconds before the onset to the post-roll's end, in order."""
    found = numbers([data for _, data in frames])
    assert found == list(range(found[0], found[-1] + 1))
    inner = robot.sent_between(entry.onset_ns - 1_900_000_000, entry.end_ns + 150_000_000)
    assert set(numbers(inner)) <= set(found)
    assert all(data in robot.frames.values() for _, data in frames)
    for at_ns, data in frames:
        sent_ns = next(ns for ns, sent in robot.frames.items() if sent == data)
        assert 0 <= at_ns - sent_ns < 100_000_000


def test_every_event_holds_the_scene(wire, run, tmp_path):
    store = tmp_path / "store"
    robot = Robot(wire)
    tf_static = wire.node.create_publisher(String, "/robot_description", LATCHED)
    tf_static.publish(String(data="<robot>"))
    command = wire.node.create_publisher(Twist, "cmd_vel", 10)
    topics = ["/camera", "/robot_description", "cmd_vel:geometry_msgs/msg/Twist", "/imu"]
    hint = wire.node.create_publisher(String, "/hint", qos_profile_sensor_data)
    topics += ["/hint", "/odd:no_such_msgs/msg/Odd", "/never:std_msgs/msg/String"]
    watch = wire.watch()
    odd = wire.node.create_publisher(String, "/odd", 10)
    process = run(node_command([f"store:={store}", f"store_topics:={topics}", *LOSSLESS]))
    until_listening(robot, process, 1)
    robot.play(2.0, [])
    for _ in range(3):
        command.publish(Twist())
        hint.publish(String())
    robot.play(5.0, [1.2, 1.8, 4.0])
    watch.until("store topics", lambda report: "/never" in report["message"])
    (report, *_) = reversed(watch.of("store topics"))
    assert report["level"] == 1
    assert "/odd" in report["message"]
    assert process.stop() == 0
    log = process.log
    assert "store_topics: /imu is kept anyway" in log
    assert log.count("store_topics: /never") == 1
    assert log.count("store_topics: /odd") == 1
    del odd
    events = stored(store)
    assert len(events) >= 3
    assert verify(store) == (len(events), [])
    for entry, received in events:
        assert_whole(robot, entry, received["/camera"])
        ((latched_ns, data),) = received["/robot_description"]
        assert data == serialize_message(String(data="<robot>"))
        assert latched_ns <= entry.onset_ns
    first = events[0][1]
    assert len(first["/cmd_vel"]) == 3
    assert "/imu" in first
    _, record = read_event(store, events[0][0].number)
    described = {topic.name: topic for topic, _ in record.received}
    assert described["/camera"].msgtype == "sensor_msgs/msg/Image"
    assert [qos.reliability.name for qos in described["/camera"].qos] == ["RELIABLE"]
    assert [qos.reliability.name for qos in described["/hint"].qos] == ["BEST_EFFORT"]
    assert [qos.durability.name for qos in described["/robot_description"].qos] == [
        "TRANSIENT_LOCAL"
    ]
    with AnyReader([store / EVENTS / events[0][0].folder]) as reader:
        camera = next(c for c in reader.connections if c.topic == "/camera")
        definition, _ = message_types().generate_msgdef(camera.msgtype, ros_version=2)
        assert camera.msgdef.data == definition


def children(process: Process) -> list[int]:
    """Of all its threads."""
    found = Path(f"/proc/{process.child.pid}/task").glob("*/children")
    return [int(word) for file in found for word in file.read_text().split()]


def test_a_killed_process_beside_the_node_costs_what_it_held(wire, run, tmp_path):
    store = tmp_path / "store"
    robot = Robot(wire)
    process = run(node_command([f"store:={store}", "store_topics:=[/camera]", *LOSSLESS]))
    until_listening(robot, process, 1)
    robot.play(3.0, [2.5])
    wire.until(lambda: len(stored(store)) == 1, "the first event")
    watch = wire.watch()
    (child,) = children(process)
    os.kill(child, signal.SIGKILL)
    # The dead one stays on the graph for a while: the new one is known by its own count.
    watch.until("store topics", lambda report: report["/camera: received"] == "0")
    wire.spin_for(1.5)
    robot.play(4.0, [1.0, 3.5])
    wire.until(lambda: len(stored(store)) == 3, "the events after")
    assert process.stop() == 0
    assert "it is started anew" in process.log
    (first, whole), (_, part), (last, again) = stored(store)
    assert_whole(robot, first, whole["/camera"])
    assert_whole(robot, last, again["/camera"])
    assert part["/camera"]
    assert verify(store) == (3, [])


def test_the_bound_in_memory_holds_and_what_goes_is_said(wire, run, tmp_path):
    store = tmp_path / "store"
    robot = Robot(wire)
    watch = wire.watch()
    bound = ["store_topics:=[/camera]", "store_topics_mb:=2"]
    process = run(node_command([f"store:={store}", *bound, *LOSSLESS]))
    until_listening(robot, process, 1)
    robot.play(3.5, [3.0])
    wire.until(lambda: len(stored(store)) == 1, "an event")
    watch.until("store topics", lambda report: "store_topics_mb" in report["message"])
    assert process.stop() == 0
    assert process.log.count("messages had to go early: store_topics_mb is too small") == 1
    assert "event 0: messages of store_topics had to go" in process.log
    ((_, received),) = stored(store)
    found = numbers([data for _, data in received["/camera"]])
    assert found == list(range(found[0], found[-1] + 1))
    assert 10 <= len(found) <= 21  # 2 MiB of the newest
    report = watch.of("store topics")[-1]
    assert int(report["/camera: dropped"]) > 50
    assert float(report["held_mib"]) <= 2.0


def test_a_clock_of_the_sensors_own_is_taken_into_account(wire, run, tmp_path):
    """Log times of the further topics are on the clock of the stamps."""
    store = tmp_path / "store"
    robot = Robot(wire)
    process = run(node_command([f"store:={store}", "store_topics:=[/camera]", *LOSSLESS]))
    until_listening(robot, process, 1)
    robot.play(3.5, [2.5], start_ns=1_000_000_000_000)
    wire.until(lambda: len(stored(store)) == 1, "an event")
    assert process.stop() == 0
    ((entry, received),) = stored(store)
    times_ns = [time_ns for time_ns, _ in received["/camera"]]
    assert entry.onset_ns == pytest.approx(1_002_500_000_000, abs=10_000_000)
    assert times_ns[0] == pytest.approx(entry.onset_ns - 2_000_000_000, abs=150_000_000)
    assert times_ns[-1] == pytest.approx(entry.end_ns + 250_000_000, abs=150_000_000)
    assert len(times_ns) > 60


def test_a_scene_is_kept_for_who_asks_for_it(wire, run, tmp_path, capsys):
    store = tmp_path / "store"
    robot = Robot(wire)
    wish = wire.node.create_publisher(String, "/tao_lora/trigger", 10)
    process = run(node_command([f"store:={store}", "store_topics:=[/camera]", *LOSSLESS]))
    until_listening(robot, process, 1)
    early = wire.call(Trigger, "trigger", Trigger.Request())
    assert (early.success, early.message[:21]) == (False, "cannot keep the scene")
    robot.play(3.0, [])
    wish.publish(String(data="the operator heard a crack"))
    robot.play(1.0, [])
    answer = wire.call(Trigger, "trigger", Trigger.Request())
    assert answer.success
    assert re.fullmatch(
        r"the scene is event \d, stored once its post-roll has come", answer.message
    )
    robot.play(1.0, [])

    def wishes() -> list:  # the sensors' pauses between the plays may be events too
        return [row for row in stored(store) if row[0].kind == Kind.MANUAL]

    wire.until(lambda: len(wishes()) == 2, "both scenes")
    assert process.stop() == 0
    assert "onset: manual, the operator heard a crack" in process.log
    (first, whole), (second, _) = wishes()
    assert (first.reason, second.reason) == ("the operator heard a crack", "")
    said = [event for event in wire.events if event.kind == Kind.MANUAL]
    assert [event.reason for event in said] == [first.reason, first.reason, "", ""]
    assert [event.phase for event in said] == [0, 1, 0, 1]
    assert_whole(robot, first, whole["/camera"])
    assert len(whole["/imu"]) > 1000
    assert tao_lora("events", "list", store=store) == 0
    assert tao_lora("events", "show", first.number, store=store) == 0
    printed = capsys.readouterr().out
    assert "manual" in printed
    assert printed.count("the operator heard a crack") == 2
