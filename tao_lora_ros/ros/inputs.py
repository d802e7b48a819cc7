"""The node's subscriptions: raw bytes in, how regularly they come, and what is lost on the way."""

from __future__ import annotations

import time
from itertools import repeat
from typing import cast

import numpy as np
from geometry_msgs.msg import Vector3Stamped, Wrench, WrenchStamped
from rclpy.clock import ROSClock
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import (
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rosbags.interfaces import Qos
from sensor_msgs.msg import Imu, JointState

from tao_lora_ros.engine.parameter import SettingsError
from tao_lora_ros.preservation.event_record import Topic
from tao_lora_ros.ros.other_participant import OtherParticipant
from tao_lora_ros.ros.topics import offered
from tao_lora_ros.signal.cdr import BARE_WRENCH, FORCE, IMU, JOINT_STATE, WRENCH
from tao_lora_ros.signal.source import SourceConfig

MESSAGE_TYPES = {
    IMU: Imu,
    WRENCH: WrenchStamped,
    BARE_WRENCH: Wrench,
    FORCE: Vector3Stamped,
    JOINT_STATE: JointState,
}
SILENT_S = 0.5
RENEW_S, LONGEST_RENEW_S = 5.0, 300.0
Message = tuple[int, int, bytes]


class Input:
    """One subscription, which is polled with `take`; no executor serves it.

    A message is given as its time of arrival (ns, steady clock), the node clock's time then, which
    becomes the stamp of what has none, and its bytes.

    Args:
        node: whose topic and clock it is.
        config: the source.
        depth: of the queue, in messages.
        other: where to subscribe when DDS lets the node itself hear nothing.

    Attributes:
        subscription: what rclpy knows of it.
        received: messages so far.
        lost: messages that the publisher sent and DDS did not deliver, by their numbers, when
            publishers were last looked for; not counted where there were several, or others.
        lost_anew: of these, the ones between an old subscription and the one made in its place.
        depth: of its queue, in messages.
        publishers: on the topic, when they were last looked for.

    Raises:
        SettingsError: an override of its QoS is none.
    """

    def __init__(
        self, node: LifecycleNode, config: SourceConfig, depth: int, other: OtherParticipant
    ) -> None:
        self.received = self.lost = self.lost_anew = self._fill = 0
        self.depth = depth
        self._node = node
        self._host: Node = node  # who has the subscription
        self._other = other
        self._config = config
        self._log = node.get_logger().get_child(config.name)
        self._arrivals_ns: list[int] = []  # since the last report, and the one before, steady clock
        self._number = 0  # the publisher's, of the newest message; 0: none to go on from
        self._missing = self._missing_anew = 0  # numbers, since publishers were looked for
        self._publisher_ids: set[bytes] = set()
        self._troubled = ""
        self.publishers = 0
        self._wrong_types: list[str] = []
        self._mismatches: list[str] = []
        self._offered: tuple[Qos, ...] = ()
        self.subscription = self._subscribe()
        self._anew = False  # since the newest message
        self._waited_s, self._renew_s = 0.0, RENEW_S

    def _subscribe(self) -> Subscription:
        # Each its own profile: rclpy writes the overrides of a topic into the one it is given.
        qos = QoSProfile(
            depth=self.depth,
            history=HistoryPolicy.KEEP_LAST,
            reliability=ReliabilityPolicy.BEST_EFFORT,
        )
        overriding = QoSOverridingOptions.with_default_policies()
        try:
            return self._node.create_subscription(
                MESSAGE_TYPES[self._config.msgtype],
                self._config.name,
                _unserved,
                qos,
                raw=True,
                qos_overriding_options=overriding,
            )
        except RuntimeError as error:  # rclpy's, for an override of the QoS that is none
            raise SettingsError(f"source '{self._config.name}': {error}") from None

    @property
    def topic(self) -> str:
        """The topic's full name, after remapping."""
        return self.subscription.topic_name

    def take(self) -> list[Message]:
        """What waits in the queue, oldest first."""
        clock = cast(ROSClock, self._node.get_clock())
        simulated = clock.ros_time_is_active
        simulated_ns = clock.now().nanoseconds if simulated else 0
        take, kind = self.subscription.handle.take_message, self.subscription.msg_type
        # DDS tells of the arrival by the system clock.
        to_steady_ns = time.monotonic_ns() - time.time_ns()
        messages: list[Message] = []
        for _ in repeat(None, self.depth):
            taken = take(kind, True)
            if taken is None:
                break
            data, info = taken
            self._count_lost(info.get("publication_sequence_number"))  # Humble has none
            arrived_ns = info["received_timestamp"]
            received_ns = simulated_ns if simulated else arrived_ns
            messages.append((arrived_ns + to_steady_ns, received_ns, data))
        self.received += len(messages)
        self._fill = max(self._fill, len(messages))
        self._arrivals_ns += [arrived_ns for arrived_ns, _, _ in messages]
        return messages

    def _count_lost(self, number: int | None) -> None:
        if number is None:
            return
        # Not the next and not higher: another publisher, or one that started anew.
        if number > self._number > 0:
            self._missing += number - self._number - 1
            self._missing_anew += self._anew * (number - self._number - 1)
        self._number, self._anew = number, False

    def described(self) -> Topic:
        """The topic and what its publishers offer, or offered when there last were any."""
        if not self._offered:
            self.find_publishers()
        return Topic(self.topic, self._config.msgtype, self._offered)

    def find_publishers(self) -> None:
        """Ask DDS who publishes on the topic; too slow to do it when something happens."""
        found = self._node.get_publishers_info_by_topic(self.topic)
        kind = self._config.msgtype
        profiles = [info.qos_profile for info in found if info.topic_type == kind]
        self._offered = tuple(map(offered, profiles)) or self._offered
        self.publishers = len(found)
        # Types other than the expected one under which others publish on this topic.
        self._wrong_types = sorted({info.topic_type for info in found} - {kind})
        self._settle_lost({bytes(info.endpoint_gid) for info in found})
        checks = [qos_check_compatible(qos, self.subscription.qos_profile) for qos in profiles]
        self._mismatches = sorted(
            {reason for level, reason in checks if level == QoSCompatibility.ERROR}
        )

    def _settle_lost(self, publishers: set[bytes]) -> None:
        """Numbers are each publisher's own: they tell what is lost only where it stayed alone."""
        if self._publisher_ids not in (set(), publishers):
            self._number = 0
        elif len(publishers) == 1:
            self.lost += self._missing
            self.lost_anew += self._missing_anew
        self._missing = self._missing_anew = 0
        self._publisher_ids = publishers

    def trouble(self, period_s: float) -> str:
        """Why nothing comes, in words; empty where something does. What is new is logged.

        Where a publisher is there and nothing comes for `RENEW_S`, be it that it sends nothing or
        that DDS has lost us, the subscription is made anew, and again after ever longer times, then
        on another participant.
        The time is that of calls, one each `period_s`: a process that was stopped makes none, and
        what waits for it outside comes a little after it goes on.
        """
        kind, text = self._kind_of_trouble()
        if kind in ("not there", "silent") and self.publishers:
            text += self._renewed(period_s)
        elif not kind:
            self._waited_s, self._renew_s = 0.0, RENEW_S
        if kind != self._troubled:
            self._log.warning(text or f"receiving; was {self._troubled}")
            self._troubled = kind
        return text

    def _kind_of_trouble(self) -> tuple[str, str]:
        silent_s = (time.monotonic_ns() - self._arrivals_ns[-1]) * 1e-9 if self.received else 0.0
        if self.received and silent_s <= SILENT_S:
            return "", ""
        if wrong := self._wrong_types:
            expected = self._config.msgtype
            return "mistyped", f"{self.topic} is {', '.join(wrong)}, expected {expected}"
        if self._mismatches:
            return "incompatible", f"{self.topic}: {' '.join(self._mismatches)}"
        if not self.received:
            return "not there", f"nothing yet on {self.topic}: {self.publishers} publishers"
        return "silent", f"silent for {silent_s:.1f} s: {self.publishers} publishers"

    def _renewed(self, period_s: float) -> str:
        """Subscribe anew where that is due; says that it was done."""
        self._waited_s += period_s
        if self._waited_s < self._renew_s:
            return ""
        how, host = "subscribed anew", self._host
        if self._renew_s > RENEW_S:  # the subscription is not all that DDS has lost
            how, host = f"{how} as another participant", self._other.node
        old = self.subscription
        self.subscription = host.create_subscription(
            old.msg_type, old.topic_name, _unserved, old.qos_profile, raw=True
        )
        self._host.destroy_subscription(old)
        self._host, self._anew = host, True
        self._log.warning(f"nothing came for {self._renew_s:g} s: {how}")
        self._waited_s, self._renew_s = 0.0, min(2.0 * self._renew_s, LONGEST_RENEW_S)
        return f", {how}"

    def queue(self) -> dict[str, int]:
        """Depth of the queue, and the most messages that a poll found since the last call."""
        fill, self._fill = self._fill, 0
        return {"queue_depth": self.depth, "queue_fill": fill}

    def timing(self, seconds: float) -> dict[str, float]:
        """Rate and regularity of arrival over the `seconds` since the last call."""
        arrivals_ns, self._arrivals_ns = self._arrivals_ns, self._arrivals_ns[-1:]
        intervals_ms = np.diff(arrivals_ns) * 1e-6
        if not len(intervals_ms):
            return {"rate_hz": 0.0}
        return {
            "rate_hz": len(intervals_ms) / seconds,
            "jitter_ms": float(intervals_ms.std()),
            "longest_gap_ms": float(intervals_ms.max()),
        }

    def close(self) -> None:
        """Unsubscribe."""
        self._host.destroy_subscription(self.subscription)


def _unserved(_: bytes) -> None:
    """Callback of subscriptions that no executor serves."""
