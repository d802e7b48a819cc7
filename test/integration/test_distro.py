"""The node where rclpy has no EventsExecutor, as on Humble."""

from __future__ import annotations

import sys

import pytest
from recordings import motion

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytestmark = pytest.mark.ros
RUN = """
import sys
sys.modules["rclpy.experimental"] = None
from rclpy.executors import SingleThreadedExecutor
from tao_lora_ros.ros import distro, run
assert distro.Executor is SingleThreadedExecutor
sys.exit(run.main())
"""


def test_the_node_runs_without_an_events_executor(wire, run):
    from wire import LOSSLESS

    parameters = [word for parameter in LOSSLESS for word in ("-p", parameter)]
    process = run([sys.executable, "-c", RUN, "--ros-args", *parameters])
    wire.until_listening(process)
    wire.play(motion(2.2, impacts_s=(2.0,))[1000:])
    wire.until(lambda: len(wire.events) == 2, "an event")
    assert process.stop() == 0
