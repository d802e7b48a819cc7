"""What a running node says of itself, off its own topics: inferences, events, diagnostics."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

from tao_lora_ros.messages.from_message import event_from, inference_from
from tao_lora_ros.messages.results import Event, Inference
from tao_lora_ros.messages.stamps import split
from tao_lora_ros.msg import Inference as InferenceMessage
from tao_lora_ros.msg import TransientEvent
from tao_lora_ros.ros.taking import ignored, take_all
from tao_lora_ros.ros.topics import EVENTS_QOS

_QOS = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)
_MOST_EVENTS = 1000
_LEVELS = ("OK", "WARN", "ERROR", "STALE")


@dataclass(frozen=True)
class Status:
    """One part's state in the diagnostics: OK, WARN, ERROR or STALE, why, and numbers by name."""

    level: str
    text: str
    values: dict[str, str]


class Watcher:
    """Listens to a node; holds its newest inference and its last thousand events.

    Args:
        node: a node to subscribe with.
        pipeline: full name of the node to watch.
    """

    def __init__(self, node: Node, pipeline: str) -> None:
        self.pipeline = pipeline
        self.newest: Inference | None = None
        self.labels: tuple[str, ...] = ()
        self.model = ("", "")
        self.statuses: dict[str, Status] = {}  # by the part's name, such as a source's
        self.onset_latencies_s: dict[int, float] = {}
        self._events: OrderedDict[tuple[int, int], Event] = OrderedDict()
        topics: list[tuple[Any, str, QoSProfile]] = [
            (InferenceMessage, f"{pipeline}/inference", _QOS),
            (TransientEvent, f"{pipeline}/events", EVENTS_QOS),
            (DiagnosticArray, "/diagnostics", _QOS),
        ]
        self._subscriptions = [
            node.create_subscription(kind, topic, ignored, qos, raw=True)
            for kind, topic, qos in topics
        ]

    @property
    def events(self) -> list[Event]:
        """The last word on each event, in the order of their onsets."""
        return list(self._events.values())

    @property
    def counted(self) -> str:
        """How many inferences the node has made, by route."""
        values = self.statuses["inference"].values if "inference" in self.statuses else {}
        steady, transient = values.get("steady", "?"), values.get("transient", "?")
        return f"{steady} steady, {transient} transient"

    @property
    def tiles(self) -> list[tuple[str, str, str]]:
        """Name, value and a line more of what the diagnostics say."""
        return [
            (name, status.level, ", ".join([status.text, *_numbers(status)]))
            for name, status in self.statuses.items()
        ]

    def when(self, stamp_ns: int) -> str:
        """The time of day of a stamp, UTC."""
        seconds, rest = split(stamp_ns)
        moment = datetime.fromtimestamp(seconds, timezone.utc)
        return f"{moment:%H:%M:%S}.{rest // 1_000_000:03d}"

    def poll(self) -> list[Inference | Event]:
        """Take all that has come; returns what is new of inferences and events, in order."""
        found: list[Inference | Event] = []
        for index, _, data in take_all(self._subscriptions):
            message: Any = deserialize_message(data, self._subscriptions[index].msg_type)
            if isinstance(message, InferenceMessage):
                self.labels = tuple(message.labels)
                self.model = (message.model_id, message.model_version)
                self.newest = inference_from(message)
                found.append(self.newest)
            elif isinstance(message, TransientEvent):
                found.append(event := event_from(message))
                self._events[event.onset_ns, event.sequence] = event
                if len(self._events) > _MOST_EVENTS:
                    self._events.popitem(last=False)
            else:
                self._hear(message)
        return found

    def _hear(self, message: DiagnosticArray) -> None:
        """Diagnostics; others publish on that topic too."""
        for status in message.status:
            name, _, part = status.name.partition(": ")
            if name == self.pipeline:
                values = {pair.key: pair.value for pair in status.values}
                level = _LEVELS[int.from_bytes(status.level, "little")]
                self.statuses[part] = Status(level, status.message, values)


def _numbers(status: Status) -> list[str]:
    """What a glance is for: rate, share used, latency, load."""
    values = status.values
    shown = {"rate_hz": "{} Hz", "latency_p99_ms": "p99 {} ms", "rss_mib": "{} MiB"}
    found = [text.format(values[name]) for name, text in shown.items() if name in values]
    if received := int(values.get("received", 0)):
        found.append(f"{int(values['used']) / received:.1%} used")
    if "cpu_share" in values:
        found.append(f"{float(values['cpu_share']):.0%} of a core")
    return found
