"""The QoS of events, and what a topic's publishers offer, as bags keep it."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from tao_lora_ros.messages.stamps import split

# Kept for late joiners.
LATCHED = {
    "history": HistoryPolicy.KEEP_LAST,
    "reliability": ReliabilityPolicy.RELIABLE,
    "durability": DurabilityPolicy.TRANSIENT_LOCAL,
}
EVENTS_QOS = QoSProfile(depth=100, **LATCHED)


def offered(profile: QoSProfile) -> Qos:
    """A QoS profile as a bag keeps it; the policies have the same numbers."""
    return Qos(
        history=QosHistory(profile.history.value),
        depth=profile.depth,
        reliability=QosReliability(profile.reliability.value),
        durability=QosDurability(profile.durability.value),
        deadline=_time(profile.deadline),
        lifespan=_time(profile.lifespan),
        liveliness=QosLiveliness(profile.liveliness.value),
        liveliness_lease_duration=_time(profile.liveliness_lease_duration),
        avoid_ros_namespace_conventions=profile.avoid_ros_namespace_conventions,
    )


def _time(duration: Duration) -> QosTime:
    return QosTime(*split(duration.nanoseconds))
