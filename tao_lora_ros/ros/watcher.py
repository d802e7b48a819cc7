"""What a running node says of itself, off its own topics: inferences, events, diagnostics."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

from tao_lora_ros.messages.from_message import event_from, inference_from
from tao_lora_ros.messages.results import Event, Inference
from tao_lora_ros.messages.stamps import moment_of
from tao_lora_ros.msg import Inference as InferenceMessage
from tao_lora_ros.msg import TransientEvent
from tao_lora_ros.ros.presence import Presence
from tao_lora_ros.ros.raw_subscriptions import Unread, subscribed, take_all
from tao_lora_ros.ros.topics import EVENTS_QOS

_QOS = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)
_MOST_EVENTS = 1000
_STALE_S = 3.0  # without diagnostics, which come each second
_LEVELS = ("OK", "WARN", "ERROR", "STALE")


@dataclass(frozen=True)
class Status:
    """One part's state in the diagnostics: OK, WARN, ERROR or STALE, why, and numbers by name.

    `used` is the share of what the part received since the report before, None where nothing came;
    `numbers` is what a glance is for.
    """

    level: str
    text: str
    values: dict[str, str]
    used: float | None
    numbers: tuple[str, ...]


class Watcher:
    """Listens to a node; holds its newest inference and its last thousand events.

    `earlier` are the events of before, by onset and sequence, which the node told late joiners;
    `untold` counts those of before and since that did not come here, `unread` what says nothing.

    Args:
        node: a node to subscribe with.
        pipeline: full name of the node to watch.
    """

    def __init__(self, node: Node, pipeline: str) -> None:
        self.pipeline = pipeline
        self.presence = Presence(node, pipeline)
        self.newest: Inference | None = None
        self.labels: tuple[str, ...] = ()
        self.model = ("", "")
        self.statuses: dict[str, Status] = {}  # by the part's name, such as a source's
        self.onset_latencies_s: dict[int, float] = {}
        self._events: OrderedDict[tuple[int, int], Event] = OrderedDict()
        self.earlier: set[tuple[int, int]] = set()
        self.untold = self._next = 0
        self.unread = Unread()
        self._began_ns, self._heard_s = time.time_ns(), time.monotonic()
        topics: list[tuple[Any, str, QoSProfile]] = [
            (InferenceMessage, f"{pipeline}/inference", _QOS),
            (TransientEvent, f"{pipeline}/events", EVENTS_QOS),
            (DiagnosticArray, "/diagnostics", _QOS),
        ]
        self._subscriptions = subscribed(node, topics)

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
        """Name, level and a line of what the diagnostics say; STALE where they come no more."""
        quiet_s = time.monotonic() - self._heard_s
        stale = quiet_s > _STALE_S
        return [
            (
                name,
                "STALE" if stale else status.level,
                ", ".join([f"{quiet_s:.0f} s ago: " * stale + status.text, *status.numbers]),
            )
            for name, status in self.statuses.items()
        ]

    def when(self, stamp_ns: int) -> str:
        """The time of day of a stamp, UTC."""
        return f"{moment_of(stamp_ns):%H:%M:%S}.{stamp_ns // 1_000_000 % 1000:03d}Z"

    def poll(self) -> list[Inference | Event]:
        """Take all that has come; returns what is new of inferences and events, in order."""
        found: list[Inference | Event] = []
        for index, published_ns, data, _ in take_all(self._subscriptions):
            subscription = self._subscriptions[index]
            with self.unread.passed_over(subscription.topic_name):
                message: Any = deserialize_message(data, subscription.msg_type)
                if isinstance(message, DiagnosticArray):
                    self._hear(message)
                elif isinstance(message, TransientEvent):
                    event = event_from(message)
                    self._keep(event, published_ns)
                    found.append(event)
                else:
                    found.append(self._look(message))
        return found

    def _look(self, message: Any) -> Inference:
        newest, labels = inference_from(message), tuple(message.labels)
        if len(labels) != len(newest.probabilities):
            raise ValueError(f"{len(newest.probabilities)} probabilities of {len(labels)} labels")
        self.model = (message.model_id, message.model_version)
        self.newest, self.labels = newest, labels
        return newest

    def _keep(self, event: Event, published_ns: int) -> None:
        key = event.onset_ns, event.sequence
        if key not in self._events:
            if published_ns < self._began_ns:
                self.earlier.add(key)
            # A lower one is of a node that began anew.
            self.untold += max(event.sequence - self._next, 0)
            self._next = event.sequence + 1
        self._events[key] = event
        if len(self._events) > _MOST_EVENTS:
            self.earlier.discard(self._events.popitem(last=False)[0])

    def _hear(self, message: DiagnosticArray) -> None:
        """Diagnostics; others publish on that topic too."""
        for status in message.status:
            name, _, part = status.name.partition(": ")
            if name == self.pipeline:
                values = {pair.key: pair.value for pair in status.values}
                level = _LEVELS[int.from_bytes(status.level, "little")]
                used = _used(values, self.statuses[part].values if part in self.statuses else {})
                numbers = tuple(_numbers(values, used))
                self.statuses[part] = Status(level, status.message, values, used, numbers)
                self._heard_s = time.monotonic()


def _used(now: dict[str, str], before: dict[str, str]) -> float | None:
    """The share used of what came between two reports, or since a node began."""
    received, used = (int(now.get(name, 0)) for name in ("received", "used"))
    earlier, earlier_used = (int(before.get(name, 0)) for name in ("received", "used"))
    if earlier > received:  # another node
        earlier = earlier_used = 0
    # What waited at the report before is used in this one.
    return min((used - earlier_used) / (received - earlier), 1.0) if received > earlier else None


def _numbers(values: dict[str, str], used: float | None) -> list[str]:
    """What a glance is for: rate, share used, latency, load."""
    shown = {"rate_hz": "{} Hz", "latency_p99_ms": "p99 {} ms", "rss_mib": "{} MiB"}
    found = [text.format(values[name]) for name, text in shown.items() if name in values]
    if used is not None:
        found.append(f"{used:.0%} used")
    if received := int(values.get("received", 0)):
        whole = f"{int(values['used']) / received:.1%}"
        found += [f"{whole} since the start"] * (whole != "100.0%")
    if "cpu_share" in values:
        found.append(f"{float(values['cpu_share']):.0%} of a core")
    return found
