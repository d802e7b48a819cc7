"""Record the node's inputs and outputs off the wire: for a bag, for the report, and to look at live."""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

import tao_lora_ros.msg
from tao_lora_ros.bags.record import Contact, RunRecord, collect_signals
from tao_lora_ros.engine.results import Event, Inference
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.msg import Inference as InferenceMessage
from tao_lora_ros.msg import TransientEvent
from tao_lora_ros.ros.messages import event_from_message, inference_from_message
from tao_lora_ros.ros.player import MESSAGE_TYPES
from tao_lora_ros.signal.source import Source, SourceConfig

_DEEP = QoSProfile(depth=5000, reliability=ReliabilityPolicy.RELIABLE)
_EVENTS = QoSProfile(
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
_OUT_OF_ORDER_NS = 100_000_000  # sources differ by less than this when they arrive


class Recorder:
    """Keeps every message, in memory: about 0.5 kB each, 40 MB a minute at 1500 messages a second.

    Args:
        node: a node to subscribe with.
        sources: the inputs; each is on the topic of its name.
        pipeline: name of the node whose outputs to record.
    """

    def __init__(self, node: Node, sources: Sequence[SourceConfig], pipeline: str) -> None:
        self._sources = list(sources)
        self._messages: list[tuple[int, int, bytes]] = []  # place in _topics, time of arrival, CDR
        self._latencies_s: list[float] = []
        self.inferences: list[Inference] = []
        self.events: list[Event] = []
        self.onset_latencies_s: dict[int, float] = {}
        self.labels: tuple[str, ...] = ()
        self.model = ("", "")
        self.paths: Counter[str] = Counter()
        self._topics: list[tuple[str, str]] = []
        for index, source in enumerate(self._sources):
            kind = MESSAGE_TYPES[source.msgtype]
            self._subscribe(node, kind, source.name, _DEEP, partial(self._keep, index))
        self._subscribe(
            node, InferenceMessage, f"{pipeline}/inference", _DEEP, self._on_inference
        )
        self._subscribe(node, TransientEvent, f"{pipeline}/events", _EVENTS, self._on_event)

    def _subscribe(self, node: Node, kind: Any, topic: str, qos: QoSProfile, take: Any) -> None:
        subscription = node.create_subscription(kind, topic, take, qos, raw=True)
        package, name = kind.__module__.split(".")[0], kind.__name__
        self._topics.append((subscription.topic_name, f"{package}/msg/{name}"))

    @property
    def received(self) -> int:
        """Input messages that came."""
        return len(self._messages) - len(self.inferences) - len(self.events)

    @property
    def total(self) -> int:
        """All messages that came."""
        return len(self._messages)

    def _keep(self, index: int, data: bytes) -> None:
        self._messages.append((index, time.time_ns(), data))

    def _on_inference(self, data: bytes) -> None:
        self._keep(len(self._sources), data)
        message = deserialize_message(data, InferenceMessage)
        self.labels = tuple(message.labels)
        self.model = (message.model_id, message.model_version)
        self._latencies_s.append(message.latency.sec + message.latency.nanosec * 1e-9)
        self.inferences.append(inference_from_message(message))
        self.paths[self.inferences[-1].path.name.lower()] += 1

    def _on_event(self, data: bytes) -> None:
        self._keep(len(self._sources) + 1, data)
        event = event_from_message(deserialize_message(data, TransientEvent))
        self.events.append(event)
        arrived_ns = self._arrival_of(event.onset_ns)
        if event.sequence not in self.onset_latencies_s and arrived_ns is not None:
            self.onset_latencies_s[event.sequence] = (time.time_ns() - arrived_ns) * 1e-9

    def _arrival_of(self, stamp_ns: int) -> int | None:
        """When the first input of this stamp or later arrived."""
        arrived_ns = None
        for index, received_ns, data in reversed(self._messages):
            if index >= len(self._sources):
                continue
            sent_ns = _stamp_ns(data)
            if sent_ns >= stamp_ns:
                arrived_ns = received_ns
            elif sent_ns < stamp_ns - _OUT_OF_ORDER_NS:
                break
        return arrived_ns

    @property
    def start_ns(self) -> int:
        """Stamp of the first input, 0 before it."""
        return _stamp_ns(self._messages[0][2]) if self._messages else 0

    def write_bag(self, path: Path) -> None:
        """Write inputs and outputs, by time of arrival, as an MCAP bag in the folder `path`."""
        store = get_typestore(Stores.ROS2_JAZZY)
        for name, text in _definitions().items():
            store.register(get_types_from_msg(text, name))
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connections = [
                writer.add_connection(topic, msgtype, typestore=store)
                for topic, msgtype in self._topics
            ]
            for index, received_ns, data in self._messages:
                writer.write(connections[index], received_ns, data)

    def record(self, title: str, contacts: list[Contact], notes: dict[str, str]) -> RunRecord:
        """Everything so far as the record of a run."""
        jump_s = Settings().clock_jump_s
        sources = [Source(config, jump_s) for config in self._sources]
        inputs = ((i, data) for i, _, data in self._messages if i < len(sources))
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


def _stamp_ns(data: bytes) -> int:
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] else ">iI", data, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def _definitions() -> dict[str, str]:
    """Text of this package's messages, which are installed beside the generated modules."""
    share = Path("share", "tao_lora_ros", "msg")
    above = Path(tao_lora_ros.msg.__file__).parents
    folder = next(prefix / share for prefix in above if (prefix / share).is_dir())
    return {f"tao_lora_ros/msg/{file.stem}": file.read_text() for file in folder.glob("*.msg")}
