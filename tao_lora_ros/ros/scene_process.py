"""The process that writes events, with subscriptions of its own: cameras, /tf, whatever is wanted.

    python -m tao_lora_ros.ros.scene_process STORE MAX_BYTES MIN_FREE_BYTES SCENE

SCENE is a `SceneConfig` as JSON. It is the process of `preservation/event_process.py`; a second
thread takes the messages of the further topics, so that they cost the node nothing. What happens it
learns from the node's events topic: from an onset on, messages wait until the event is to be
written. It says how it fares in `/diagnostics`, once a second.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription

from tao_lora_ros.messages.raw_data import RawMessages
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.msg import TransientEvent
from tao_lora_ros.preservation.event_process import Answer, Keeper, be_modest, serve
from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.scene_buffer import SceneBuffer, Span
from tao_lora_ros.ros.failures import Failures
from tao_lora_ros.ros.other_participant import OtherParticipant
from tao_lora_ros.ros.raw_subscriptions import Unread
from tao_lora_ros.ros.scene_config import SceneConfig
from tao_lora_ros.ros.scene_topic import SceneTopic
from tao_lora_ros.ros.topics import EVENTS_QOS

_POLL_S = 0.02  # a poll wakes a core up that the node shares; DDS holds what comes meanwhile
_LOOK_S = 1.0
_SILENT_S = 5.0  # after which a topic without a message is named
_DEAF_S = 10.0  # after which it is subscribed to as another participant
_ON_THE_WAY_NS = 200_000_000  # a message may be later than the sensors' of the same time
_LATE_NS = 1_000_000_000  # and of a topic that flowed so lately it is waited for so long
_KNOWN_NS = 1_500_000_000  # after its onset, at the latest, an event is published


class Scene:
    """The further topics of one node, and a thread that takes their messages."""

    def __init__(self, config: SceneConfig, arguments: list[str]) -> None:
        self._config = config
        namespace, _, name = config.node.rpartition("/")
        self._node = Node(f"{name}_scene", namespace=namespace, use_global_arguments=False)
        self._log = self._node.get_logger()
        self._other, self._moved = OtherParticipant(self._node, arguments), False
        self._topics = [SceneTopic(self._node, *topic) for topic in config.topics]
        keep_s = config.pre_roll_s + config.post_roll_s + _KNOWN_NS * 1e-9
        self._buffer = SceneBuffer(keep_s, config.most_bytes)
        self._lock = threading.Lock()
        self._begun_ns = time.time_ns()
        self._said: dict[str, str] = {}
        self._dropped, self._look_s = 0, 0.0
        self._unread = Unread()
        self._events = self._events_by(self._node)
        self._diagnostics = self._node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        threading.Thread(target=self._work, name="scene_topics", daemon=True).start()

    def _events_by(self, node: Node) -> Subscription:
        topic = f"{self._config.node}/events"
        return node.create_subscription(TransientEvent, topic, lambda _: None, EVENTS_QOS, raw=True)

    def _work(self) -> None:
        failures = Failures(self._log)
        while True:
            try:
                with self._lock:
                    self._look()
                    self._take()
            except Exception as error:  # the thread is all that receives
                failures.report("keep further topics", error)
            time.sleep(_POLL_S)

    def _look(self) -> None:
        if time.monotonic() < self._look_s:
            return
        self._look_s = time.monotonic() + _LOOK_S
        for topic in self._topics:
            topic.look()
        deaf_to = [topic for topic in self._topics if topic.publishers and not topic.received]
        if deaf_to and not self._moved and time.time_ns() - self._begun_ns > _DEAF_S * 1e9:
            self._move(deaf_to)
        self._report()

    def _move(self, topics: list[SceneTopic]) -> None:
        """Listen as another participant: DDS may let us hear nothing, as it may the node."""
        self._moved = True
        for topic in topics:
            topic.move(self._other.node)
        self._node.destroy_subscription(self._events)
        self._events = self._events_by(self._other.node)  # past events come again
        names = ", ".join(topic.name for topic in topics)
        self._warn(f"store_topics: nothing of {names} yet: subscribed anew as another participant")

    def _take(self) -> None:
        while taken := self._events.handle.take_message(TransientEvent, True):
            data, info = taken
            with self._unread.passed_over(self._events.topic_name):
                self._hold(deserialize_message(data, TransientEvent), info["source_timestamp"])
        for topic in self._topics:
            for time_ns, data in topic.take():
                if topic.latched:
                    self._buffer.latch(time_ns, topic.name, data, topic.publishers)
                else:
                    self._buffer.push(time_ns, topic.name, data)

    def _hold(self, event: TransientEvent, at_ns: int) -> None:
        """Keep what an event that begins, or ends, will ask for."""
        config = self._config
        before_s = config.pre_roll_s if event.phase == TransientEvent.ONSET else config.longest_s
        after_s = config.post_roll_s
        after_s += config.longest_s if event.phase == TransientEvent.ONSET else 0.0
        start_ns = at_ns - round(before_s * 1e9) - _KNOWN_NS
        self._buffer.hold(event.sequence, (start_ns, at_ns + round(after_s * 1e9) + _KNOWN_NS))

    def completed(self, record: EventRecord) -> tuple[EventRecord, str]:
        """A record with what was received on the further topics, and what is missing of that.

        Log times are those of arrival less what was lost on the way, on the clock of the stamps.
        """
        ahead_ns = record.ahead_ns
        spans = [(start + ahead_ns, end + ahead_ns) for start, end in record.spans_ns]
        if not spans:
            return record, ""
        self._await(spans[-1][1])
        with self._lock:
            self._take()
            found = [
                (topic.described, self._buffer.cut(topic.name, spans)) for topic in self._topics
            ]
            missing = self._missing(record.event.sequence, spans)
            self._buffer.release(record.event.sequence)
        added = [
            (topic, RawMessages(messages.times_ns - ahead_ns, messages.data))
            for topic, messages in found
            if messages.data
        ]
        said = f"event {record.event.sequence}: {missing}" if missing else ""
        return replace(record, received=(*record.received, *added)), said

    def _await(self, end_ns: int) -> None:
        """Wait until what was sent by then has come, as far as can be known."""
        time.sleep(max(0.0, (end_ns + _ON_THE_WAY_NS - time.time_ns()) * 1e-9))
        while time.time_ns() < end_ns + _LATE_NS and any(
            end_ns - _LATE_NS < topic.newest_ns <= end_ns for topic in self._topics
        ):
            time.sleep(_POLL_S)

    def _missing(self, number: int, spans: list[Span]) -> str:
        start_ns, _ = spans[0]
        if self._buffer.gone_ns >= start_ns:
            return "messages of store_topics had to go: they take more than store_topics_mb"
        if self._begun_ns > start_ns:
            return "store_topics are kept since later than its beginning only"
        if self._buffer.aged_ns(number) >= start_ns:
            return "it was known too late for its first messages of store_topics"
        lost = ", ".join(topic.name for topic in self._topics if topic.lost_ns >= start_ns)
        return f"messages of {lost} were lost on their way" if lost else ""

    def _report(self) -> None:
        """Say in log and diagnostics what cannot be kept, and how much is."""
        troubles = {topic.name: self._trouble(topic) for topic in self._topics}
        for name, trouble in troubles.items():
            if trouble and trouble != self._said.get(name):
                self._warn(f"store_topics: {name} {trouble}")
            elif not trouble and self._said.get(name):
                self._log.info(f"store_topics: {name} is kept")
        self._said = troubles
        dropped = self._buffer.dropped.total()
        found = [f"{name} {trouble}" for name, trouble in troubles.items() if trouble]
        if new := dropped - self._dropped:
            found.append(f"{new} messages had to go early: store_topics_mb is too small")
            if not self._dropped:
                self._warn(f"store_topics: {found[-1]}")
        self._dropped = dropped
        self._publish([*found, *[self._unread.text] * bool(self._unread.text)])

    def _trouble(self, topic: SceneTopic) -> str:
        silent = time.time_ns() - self._begun_ns > _SILENT_S * 1e9 and not topic.received
        if topic.trouble and (silent or topic.publishers or topic.received):
            return topic.trouble
        return f"sends nothing: {topic.publishers} publishers" if silent else ""

    def _publish(self, found: list[str]) -> None:
        values: dict[str, object] = {"held_mib": f"{self._buffer.bytes / (1 << 20):.4g}"}
        for topic in self._topics:
            values[f"{topic.name}: type"] = topic.msgtype
            values[f"{topic.name}: received"] = topic.received
            values[f"{topic.name}: lost"] = topic.lost
            values[f"{topic.name}: dropped"] = self._buffer.dropped[topic.name]
        status = DiagnosticStatus(
            name=f"{self._config.node}: store topics",
            level=DiagnosticStatus.WARN if found else DiagnosticStatus.OK,
            message=shown("; ".join(found) or "kept around each event", MOST_LINE),
            values=[KeyValue(key=shown(key), value=shown(value)) for key, value in values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _warn(self, text: str) -> None:
        self._log.warning(shown(text, MOST_LINE))


def keep_with(scene: Scene, keeper: Keeper, record: EventRecord | None, again: bool) -> Answer:
    """Write an event with what the scene has of it."""
    if record is None:
        return keeper.keep(None, again)
    record, missing = scene.completed(record)
    answer = keeper.keep(record, again)
    return replace(answer, said="; ".join(filter(None, (answer.said, missing))))


def main() -> int:
    """Run as a process of its own; returns the exit status."""
    config = SceneConfig.from_json(sys.argv[4])
    enclave = ["--ros-args", "--enclave", config.enclave] if config.enclave else []
    rclpy.init(args=enclave, signal_handler_options=SignalHandlerOptions.NO)
    scene = Scene(config, enclave)
    be_modest()  # this thread alone: those that receive are there, and would lose messages
    keeper = Keeper(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    return serve(lambda record, again: keep_with(scene, keeper, record, again))


if __name__ == "__main__":
    sys.exit(main())
