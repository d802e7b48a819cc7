"""Record the node's inputs and outputs off the wire: for a bag, the report and the live view."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import StoragePlugin, Writer

from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.from_message import event_from, inference_from
from tao_lora_ros.messages.label_span import LabelSpan
from tao_lora_ros.messages.results import Event, Inference, Phase
from tao_lora_ros.messages.route import Route
from tao_lora_ros.messages.stamps import joined
from tao_lora_ros.msg import EventSamples, TransientEvent
from tao_lora_ros.msg import Inference as InferenceMessage
from tao_lora_ros.preservation.message_types import message_types
from tao_lora_ros.report.record import RunRecord, collect_signals
from tao_lora_ros.ros.inputs import MESSAGE_TYPES
from tao_lora_ros.ros.raw_subscriptions import Unread, subscribed, take_all
from tao_lora_ros.ros.topics import EVENTS_QOS
from tao_lora_ros.signal.source import Source, SourceConfig

_DEEP = QoSProfile(depth=5000, reliability=ReliabilityPolicy.RELIABLE)
_OUT_OF_ORDER_NS = 500_000_000  # a poll takes one topic after another


class Recorder:
    """Keeps every message, in memory: about 0.5 kB each, 40 MB a minute at 1500 messages a second.

    It is polled, without an executor: times are those at which the senders published, so it does
    not matter when a message is taken, and a poll now and then costs little.

    Args:
        node: a node to subscribe with.
        sources: the inputs; each is on the topic of its name.
        pipeline: name of the node whose outputs to record.
    """

    def __init__(self, node: Node, sources: Sequence[SourceConfig], pipeline: str) -> None:
        self._sources = list(sources)
        self._messages: list[tuple[int, int, bytes]] = []  # subscription, time published, CDR
        self._latencies_s: list[float] = []
        self.received = 0  # input messages that came
        self.unread = Unread()  # of the node's topics, by whomever
        self.inferences: list[Inference] = []
        self.events: list[Event] = []
        self.onset_latencies_s: dict[int, float] = {}
        self.labels: tuple[str, ...] = ()
        self.model = ("", "")
        topics: list[tuple[Any, str, QoSProfile]] = [
            (MESSAGE_TYPES[source.msgtype], source.name, _DEEP) for source in sources
        ]
        topics.append((InferenceMessage, f"{pipeline}/inference", _DEEP))
        topics.append((TransientEvent, f"{pipeline}/events", EVENTS_QOS))
        topics.append((EventSamples, f"{pipeline}/event_samples", EVENTS_QOS))
        self.earlier: set[tuple[int, int]] = set()
        self._subscriptions = subscribed(node, topics)
        self._topics = [(s.topic_name, _type_name(s.msg_type)) for s in self._subscriptions]

    def poll(self) -> int:
        """Take all that has come; returns the number of messages."""
        taken = take_all(self._subscriptions)
        for row in taken:
            self._messages.append(row[:3])
            kind = self._subscriptions[row[0]].msg_type
            if row[0] < len(self._sources):
                self.received += 1
            elif kind is not EventSamples:  # those are for the bag alone
                with self.unread.passed_over(self._topics[row[0]][0]):
                    self._on_output(deserialize_message(row[2], kind))
        return len(taken)

    def _on_output(self, message: Any) -> None:
        if isinstance(message, TransientEvent):
            self._on_event(event_from(message))
            return
        self.labels = tuple(message.labels)
        self.model = (message.model_id, message.model_version)
        self._latencies_s.append(message.latency.sec + message.latency.nanosec * 1e-9)
        self.inferences.append(inference_from(message))

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        published_ns, onset_ns = self._messages[-1][1], self._published(event.onset_ns)
        if event.phase is Phase.ONSET and onset_ns is not None:
            self.onset_latencies_s[event.sequence] = (published_ns - onset_ns) * 1e-9

    def _published(self, stamp_ns: int) -> int | None:
        """When the first input of this stamp or later was published."""
        published_ns = None
        for index, at_ns, data in reversed(self._messages):
            if index >= len(self._sources):
                continue
            sent_ns = self._stamp_ns(index, at_ns, data)
            if sent_ns >= stamp_ns:
                published_ns = min(at_ns, published_ns or at_ns)
            elif sent_ns < stamp_ns - _OUT_OF_ORDER_NS:
                break
        return published_ns

    @property
    def newest(self) -> Inference | None:
        """The newest inference."""
        return self.inferences[-1] if self.inferences else None

    @property
    def counted(self) -> str:
        """How many inferences there were, by route."""
        transient = sum(inference.path is Route.TRANSIENT for inference in self.inferences)
        total = len(self.inferences)
        return f"{total}, {total - transient} steady, {transient} transient"

    def when(self, stamp_ns: int) -> str:
        """Seconds of a stamp from the first input's."""
        return f"{(stamp_ns - self.start_ns) * 1e-9:.4f} s"

    @property
    def start_ns(self) -> int:
        """Stamp of the first input, 0 before it."""
        return self._stamp_ns(*self._messages[0]) if self._messages else 0

    def _stamp_ns(self, index: int, published_ns: int, data: bytes) -> int:
        """A message's stamp; of an input without one it is the time of its publication."""
        if index < len(self._sources) and self._sources[index].bare:
            return published_ns
        seconds, nanoseconds = struct.unpack_from("<iI" if data[1] else ">iI", data, 4)
        return joined(seconds, nanoseconds) or published_ns

    def write_bag(self, path: Path) -> None:
        """Write inputs and outputs, by time of publication, as an MCAP bag in the folder `path`."""
        store = message_types()
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connections = [
                writer.add_connection(topic, msgtype, typestore=store)
                for topic, msgtype in self._topics
            ]
            for index, published_ns, data in sorted(self._messages, key=lambda row: row[1]):
                writer.write(connections[index], published_ns, data)

    def record(self, title: str, contacts: list[LabelSpan], notes: dict[str, str]) -> RunRecord:
        """Everything so far as the record of a run."""
        jump_s = Settings().clock_jump_s
        sources = [Source(config, jump_s) for config in self._sources]
        inputs = (message for message in self._messages if message[0] < len(sources))
        signals, start_ns = collect_signals(inputs, sources)
        return RunRecord(
            title=title,
            start_ns=start_ns,
            channels=tuple(name for config in self._sources for name in config.channels),
            signals=signals,
            lags_s={config.name: config.lag_s for config in self._sources},
            inferences=self.inferences,
            events=self.events,
            labels=self.labels,
            model_id=self.model[0],
            model_version=self.model[1],
            rejected=sum((source.rejected for source in sources), Counter()),
            contacts=contacts,
            inference_latencies_s=self._latencies_s,
            onset_latencies_s=self.onset_latencies_s,
            notes=notes,
        )


def _type_name(kind: Any) -> str:
    return f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"
