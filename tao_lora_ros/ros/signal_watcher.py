"""What a page shows of a running node: its inputs, and every sample around its events."""

from __future__ import annotations

import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.from_message import raw_from
from tao_lora_ros.messages.results import Event, Phase
from tao_lora_ros.msg import EventSamples
from tao_lora_ros.report.growing_run import GrowingRun
from tao_lora_ros.report.record import samples_of
from tao_lora_ros.ros.inputs import MESSAGE_TYPES
from tao_lora_ros.ros.raw_subscriptions import subscribed, take_all
from tao_lora_ros.ros.topics import EVENTS_QOS
from tao_lora_ros.ros.watcher import Status, Watcher
from tao_lora_ros.signal.cdr import IMU
from tao_lora_ros.signal.channels import SourceConfig, split_name
from tao_lora_ros.signal.source import Source

_QOS = QoSProfile(depth=5000, reliability=ReliabilityPolicy.BEST_EFFORT)
_PIECE_S = 1.0


class SignalWatcher:
    """Fills a growing run; a source is subscribed to when diagnostics first tell of it.

    Args:
        node: a node to subscribe with.
        watcher: what listens to the pipeline's node.
    """

    def __init__(self, node: Node, watcher: Watcher) -> None:
        self.run = GrowingRun()
        self._node, self._watcher = node, watcher
        topic = f"{watcher.pipeline}/event_samples"
        self._subscriptions = subscribed(node, [(EventSamples, topic, EVENTS_QOS)])
        self._sources: list[Source] = []  # of the subscriptions but the first
        self._numbers: list[int] = []  # of each source, its publisher's newest
        self._missing: list[int] = []  # by them, until it is known that there was one publisher
        self._lost: list[int] = []
        self._due_s = 0.0

    def poll(self) -> None:
        """Take all that has come; once a second it becomes a piece of the run."""
        for result in self._watcher.poll():
            if isinstance(result, Event):
                self.run.add_event(result)
            else:
                self.run.add_inference(result, self._watcher.labels, self._watcher.model)
        self._subscribe()
        for index, published_ns, data, number in take_all(self._subscriptions):
            with self._watcher.unread.passed_over(self._subscriptions[index].topic_name):
                if index:
                    source = self._sources[index - 1]
                    self._count(index - 1, number or 0)
                    for sample in samples_of(source, data, published_ns):
                        self.run.add_sample(source.config.name, sample)
                else:
                    message: Any = deserialize_message(data, EventSamples)
                    self.run.add_raw(Phase(message.phase), [raw_from(raw) for raw in message.raw])
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + _PIECE_S
            tiles = [("node", self._watcher.presence.text, ""), *self._watcher.tiles]
            if undrawn := self._undrawn():
                tiles.append(("not drawn here", "WARN", undrawn))
            if self._watcher.newest is None:
                self.run.tell(tiles)  # why nothing is inferred yet
            else:
                self.run.cut(self._watcher.newest.window_end_ns, tiles)

    def _count(self, at: int, number: int) -> None:
        """What DDS lost on the way here is a gap in its publisher's numbers."""
        if number > self._numbers[at] > 0:
            self._missing[at] += number - self._numbers[at] - 1
        self._numbers[at] = number

    def _undrawn(self) -> str:
        """Samples that the page lacks: the node may have had them."""
        said = []
        for at, source in enumerate(self._sources):
            name = source.config.name
            # Of several publishers the numbers do not tell.
            if self._node.count_publishers(self._subscriptions[at + 1].topic_name) == 1:
                self._lost[at] += self._missing[at]
            self._missing[at] = 0
            counts = {
                "lost on the way": self._lost[at],
                "came too late": self.run.late.get(name, 0),
            }
            said += [f"{name}: {count} {how}" for how, count in counts.items() if count]
        return ", ".join(said)

    def _subscribe(self) -> None:
        known = {source.config.name for source in self._sources}
        for name, status in self._watcher.statuses.items():
            if "channels" in status.values and name not in known:
                config = source_of(name, status)
                self._sources.append(Source(config, Settings().clock_jump_s))
                for counts in (self._numbers, self._missing, self._lost):
                    counts.append(0)
                kind, topic = MESSAGE_TYPES[config.msgtype], status.values["topic"]
                self._subscriptions += subscribed(self._node, [(kind, topic, _QOS)])
                self.run.add_source(name, config.channels, config.lag_s)


def source_of(name: str, status: Status) -> SourceConfig:
    """A source by what the node's diagnostics tell of it."""
    msgtype, lag_s = status.values["type"], float(status.values["lag_s"])
    channels = [split_name(channel) for channel in status.values["channels"].split(", ")]
    if msgtype == IMU:
        part = "both" if len(channels) == 6 else channels[0][1]
        return SourceConfig(name, msgtype, lag_s, part=part)
    joints = tuple(axis for _, quantity, axis in channels if quantity == "effort")
    return SourceConfig(name, msgtype, lag_s, joints)
