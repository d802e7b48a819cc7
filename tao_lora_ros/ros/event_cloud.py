"""The newest events as a PointCloud2, where `sensor_msgs_py` is installed: a point an event.

A point lies where the event's marker does, at the origin of the sensor's frame when it began, so
there is a cloud for each frame, stamped with its newest onset. Displays that keep old clouds (RViz:
decay time) put every event where it happened.
"""

from __future__ import annotations

from collections import defaultdict, deque
from types import ModuleType

import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from tao_lora_ros.messages.results import Event
from tao_lora_ros.ros.event_shapes import frame_of, push_of
from tao_lora_ros.ros.time_message import time_message

TOPIC = "~/event_cloud"
_QOS = QoSProfile(
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# x, y, z in m; intensity is the peak score; peak the largest contact force (N), or the change
# of the acceleration (m/s²) where no force is known, else NaN; kind that of TransientEvent; time
# the onset in s.
_FLOATS = ("x", "y", "z", "intensity", "peak")
FIELDS = [
    *(
        PointField(name=name, offset=4 * at, datatype=PointField.FLOAT32, count=1)
        for at, name in enumerate(_FLOATS)
    ),
    PointField(name="kind", offset=20, datatype=PointField.UINT32, count=1),
    PointField(name="time", offset=24, datatype=PointField.FLOAT64, count=1),
]


def open_event_cloud(node: LifecycleNode, most: int) -> EventCloud | None:
    """The cloud of the newest events; None, and a line of log, where it cannot be made."""
    try:
        from sensor_msgs_py import point_cloud2
    except ImportError as error:
        node.get_logger().warning(f"no {TOPIC}: {error}; install sensor_msgs_py, or event_cloud: 0")
        return None
    return EventCloud(node, most, point_cloud2)


class EventCloud:
    """Publishes the newest events of a frame when one of them is over.

    Args:
        node: the node.
        most: events kept of each frame; the oldest go first.
        point_cloud2: the module of that name, of `sensor_msgs_py`.
    """

    def __init__(self, node: LifecycleNode, most: int, point_cloud2: ModuleType) -> None:
        self._create = point_cloud2.create_cloud
        self._points: defaultdict[str, deque[tuple]] = defaultdict(lambda: deque(maxlen=most))
        self.publisher = node.create_lifecycle_publisher(PointCloud2, TOPIC, _QOS)

    def add(self, event: Event) -> None:
        """Take an event that is over."""
        frame_id = frame_of(event)
        self._points[frame_id].append(_point(event))
        self._publish(Header(stamp=time_message(event.onset_ns), frame_id=frame_id))

    def clear(self) -> None:
        """Forget all events; the displays get empty clouds."""
        for frame_id, points in self._points.items():
            points.clear()
            self._publish(Header(frame_id=frame_id))

    def _publish(self, header: Header) -> None:
        points = list(self._points[header.frame_id])
        self.publisher.publish(self._create(header, FIELDS, points))


def _point(event: Event) -> tuple:
    push = push_of(event)
    peak = float(np.linalg.norm(push.vector)) if push else np.nan
    return 0.0, 0.0, 0.0, event.peak_score, peak, int(event.kind), event.onset_ns * 1e-9
