"""A further topic that the store keeps: whatever its type, taken as bytes, never looked into."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rosbags.interfaces import Qos

from tao_lora_ros.preservation.event_record import Topic
from tao_lora_ros.preservation.message_types import learn_type
from tao_lora_ros.preservation.scene_buffer import Way
from tao_lora_ros.ros.topics import offered

_DEPTH = 1000
_RELIABLE, _BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
_LATCHED, _VOLATILE = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE


class SceneTopic:
    """Subscribes to a topic once its type is known, by the QoS that its publishers offer.

    Args:
        node: the node to subscribe with; no executor serves the subscription.
        name: the topic's full name.
        msgtype: its type, `package/msg/Name`; empty: that of its publishers.

    Attributes:
        trouble: why nothing can come, in words; empty where it can.
        received: messages so far.
        lost: that DDS did not deliver, by the publisher's numbers; holds for a single publisher.
        lost_ns, newest_ns: time of the message after the newest of these, and of the newest.
        publishers: on the topic, when they were last looked for.
        latched: whether what was published last belongs to every scene.
    """

    def __init__(self, node: Node, name: str, msgtype: str) -> None:
        self._node = node
        self.name = name
        self._wanted = self.msgtype = msgtype
        self.trouble = ""
        self.received = self.lost = self.publishers = self._number = 0
        self.lost_ns = self.newest_ns = 0
        self._way = Way()
        self.latched = False
        self._offered: tuple[Qos, ...] = ()
        self._subscription: Subscription | None = None
        self._qos: tuple[ReliabilityPolicy, DurabilityPolicy] | None = None

    @property
    def described(self) -> Topic:
        """What a bag says of it."""
        return Topic(self.name, self.msgtype, self._offered)

    def look(self) -> None:
        """Look who publishes, and subscribe where that is possible now; once a second."""
        found = self._node.get_publishers_info_by_topic(self.name)
        types = sorted({info.topic_type for info in found})
        self.publishers = len(found)
        if not self._wanted and len(types) > 1:
            self.trouble = f"has types {', '.join(types)}: name one, {self.name}:TYPE"
            return
        msgtype = self._wanted or (types[0] if types else self.msgtype)
        profiles = [info.qos_profile for info in found if info.topic_type == msgtype]
        if not profiles:
            others = f", its publishers say {', '.join(types)}" if types else ""
            self.trouble = f"nobody publishes it{' any more' * bool(self.received)}{others}"
            return
        self.trouble, self._offered = "", tuple(map(offered, profiles))
        reliable = all(qos.reliability == _RELIABLE for qos in profiles)
        latched = all(qos.durability == _LATCHED for qos in profiles)
        wanted = _RELIABLE if reliable else _BEST_EFFORT, _LATCHED if latched else _VOLATILE
        if (msgtype, wanted) != (self.msgtype, self._qos) or self._subscription is None:
            self._subscribe(msgtype, wanted)

    def _subscribe(self, msgtype: str, wanted: tuple[ReliabilityPolicy, DurabilityPolicy]) -> None:
        self.close()
        self.msgtype = msgtype
        try:
            kind = _message_class(msgtype)
            learn_type(msgtype)
        except Exception as error:  # a foreign name may be anything
            self.trouble = f"type {msgtype} is not known here: {error}"
            return
        qos = QoSProfile(
            depth=_DEPTH,
            history=HistoryPolicy.KEEP_LAST,
            reliability=wanted[0],
            durability=wanted[1],
        )
        try:
            self._subscription = self._node.create_subscription(
                kind, self.name, lambda _: None, qos, raw=True
            )
        except Exception as error:  # rclpy's own classes differ between distributions
            self.trouble = f"cannot be subscribed to: {error}"
            return
        self._qos, self._number, self._way = wanted, 0, Way()
        self.latched = wanted[1] == _LATCHED

    def take(self) -> Iterator[tuple[int, bytes]]:
        """Time (ns, system clock) and bytes of all that waits, oldest first."""
        subscription = self._subscription
        if subscription is None:
            return
        take, kind = subscription.handle.take_message, subscription.msg_type
        for _ in repeat(None, _DEPTH):
            taken = take(kind, True)
            if taken is None:
                return
            data, info = taken
            time_ns = self._way.time_ns(info["source_timestamp"], info["received_timestamp"])
            number = info.get("publication_sequence_number") or 0  # Humble has none
            if number > self._number + 1 > 1 and self.publishers == 1:
                self.lost += number - self._number - 1
                self.lost_ns = time_ns
            self._number = number
            self.received += 1
            self.newest_ns = max(self.newest_ns, time_ns)
            yield time_ns, data

    def move(self, node: Node) -> None:
        """Subscribe with another node, at the next look."""
        self.close()
        self._node = node

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = self._qos = None


def _message_class(msgtype: str) -> Any:
    """The class of a message type, also of a package that was installed meanwhile."""
    package, _, name = msgtype.partition("/msg/")
    importlib.invalidate_caches()
    return getattr(importlib.import_module(f"{package}.msg"), name)
