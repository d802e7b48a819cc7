"""Events as markers for RViz and Foxglove: an arrow, a sphere and a caption each.

Their number is bounded, since ids repeat, and each vanishes after `LIFETIME_S`. They are placed in
the sensor's frame at the time of the onset, so what is moved later leaves them where it happened.
"""

from __future__ import annotations

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from tao_lora_ros.messages.results import Event, Phase
from tao_lora_ros.ros.event_shapes import caption, diameter_m, frame_of, push_of
from tao_lora_ros.ros.time_message import time_message

RING = 32  # events shown at once
LIFETIME_S = 10
_ARROW = Vector3(x=0.01, y=0.02, z=0.03)  # shaft and head diameter, head length, in m
_TEXT_M = 0.04
_OPEN = ColorRGBA(r=1.0, g=0.55, b=0.0, a=0.7)
_OVER = ColorRGBA(r=0.8, g=0.1, b=0.1, a=0.5)
_FORCE = ColorRGBA(r=0.1, g=0.7, b=0.2, a=1.0)
_ACCEL = ColorRGBA(r=0.2, g=0.5, b=1.0, a=1.0)
_WHITE = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)


def event_markers(event: Event) -> MarkerArray:
    """The markers of an event; those of its END replace those of its ONSET."""
    push = push_of(event)
    frame_id = frame_of(event)
    diameter = diameter_m(event.peak_score)
    sphere = _marker(event, frame_id, "event", Marker.SPHERE)
    sphere.scale = Vector3(x=diameter, y=diameter, z=diameter)
    sphere.color = _OPEN if event.phase is Phase.ONSET else _OVER
    label = _marker(event, frame_id, "label", Marker.TEXT_VIEW_FACING)
    label.pose.position.z = diameter / 2 + _TEXT_M
    label.scale = Vector3(z=_TEXT_M)
    label.color = _WHITE
    label.text = caption(event)
    markers = [sphere, label]
    if push:
        x, y, z = push.arrow.tolist()
        arrow = _marker(event, frame_id, "force", Marker.ARROW)
        arrow.points = [Point(), Point(x=x, y=y, z=z)]
        arrow.scale = _ARROW
        arrow.color = _FORCE if push.quantity == "force" else _ACCEL
        markers.append(arrow)
    return MarkerArray(markers=markers)


def no_markers() -> MarkerArray:
    """What clears all markers from the display."""
    return MarkerArray(markers=[Marker(action=Marker.DELETEALL)])


def _marker(event: Event, frame_id: str, namespace: str, kind: int) -> Marker:
    marker = Marker(
        header=Header(stamp=time_message(event.onset_ns), frame_id=frame_id),
        ns=namespace,
        id=event.sequence % RING,
        type=kind,
        action=Marker.ADD,
        lifetime=Duration(sec=LIFETIME_S),
    )
    marker.pose.orientation.w = 1.0
    return marker
