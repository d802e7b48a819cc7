"""What differs between Humble, Jazzy and Kilted. The rest is written for all three."""

from __future__ import annotations

from importlib.util import find_spec

try:
    # Call spin_once(), which both have: its spin() fires no callback in the Jazzy wheels.
    from rclpy.experimental import EventsExecutor as Executor
except ImportError:  # Humble and the first of Jazzy; takes three times the CPU
    from rclpy.executors import SingleThreadedExecutor as Executor

# Environment that keeps DDS on this machine. Type descriptions came with Iron, as the range did.
if find_spec("type_description_interfaces"):
    LOCAL_ONLY = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
else:
    LOCAL_ONLY = {"ROS_LOCALHOST_ONLY": "1"}

__all__ = ["LOCAL_ONLY", "Executor"]
