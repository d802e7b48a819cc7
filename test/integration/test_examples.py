"""The example that stops a robot, as a process of its own over DDS."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from recordings import motion

if TYPE_CHECKING:
    from wire import Process, Wire

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytestmark = pytest.mark.ros
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "stop_on_event.py"


@pytest.fixture
def stop_example(wire: Wire, run: Callable[[list[str]], Process]) -> tuple[Process, list]:
    """The example, which asks for a score of 2, and the velocities that it publishes."""
    from geometry_msgs.msg import Twist
    from wire import DEEP

    velocities: list[Twist] = []
    wire.node.create_subscription(Twist, "cmd_vel", velocities.append, DEEP)
    process = run([sys.executable, str(EXAMPLE), "--ros-args", "-p", "least_score:=2.0"])
    wire.until(lambda: wire.node.count_publishers("cmd_vel"), "the example")
    return process, velocities


def test_an_onset_that_scores_enough_gives_zero_velocities(wire, stop_example):
    from geometry_msgs.msg import Twist
    from wire import EVENTS

    from tao_lora_ros.msg import TransientEvent

    process, velocities = stop_example
    events = wire.node.create_publisher(TransientEvent, "tao_lora/events", EVENTS)

    def publish(phase: int, score: float) -> None:
        channels = ["imu.accel_x"]
        event = TransientEvent(phase=phase, peak_score=score, channels=channels, shares=[1.0])
        events.publish(event)

    def stopped() -> bool:
        publish(TransientEvent.ONSET, 2.5)  # the first may be lost, before all know each other
        return bool(velocities)

    wire.until(stopped, "zero velocities")
    publish(TransientEvent.ONSET, 1.9)
    publish(TransientEvent.END, 9.0)
    publish(TransientEvent.ONSET, 3.0)
    wire.until(lambda: "stop: imu.accel_x, score 3.00" in process.log, "the last event")
    assert "1.90" not in process.log
    assert "9.00" not in process.log
    assert all(velocity == Twist() for velocity in velocities)
    assert process.stop() == 0


def test_an_impact_that_the_node_reports_stops_the_robot(wire, start_node, stop_example):
    _, velocities = stop_example
    start_node()
    # The first may come before the example knows the node.
    wire.play(motion(9.0, impacts_s=range(1, 9)))
    wire.until(lambda: velocities, "a zero velocity")
