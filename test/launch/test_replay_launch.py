"""A bag played to the node by one launch file, which ends with it."""

from __future__ import annotations

import pytest
from launching import declared, launch_command
from recordings import START_NS, motion, write_ros1, write_ros2

pytest.importorskip("launch_ros.actions", reason="launch_ros is not installed")

pytestmark = [pytest.mark.launch, pytest.mark.ros]
TOPICS = (("/data/imu", "sensor_msgs/msg/Imu"), ("/data/ft", "geometry_msgs/msg/WrenchStamped"))


def test_takes_the_pipelines_arguments_too():
    arguments = declared("replay")
    assert {"bag", "rate", "bag_topics"} <= set(arguments)
    assert set(declared("pipeline")) <= set(arguments)


@pytest.mark.parametrize(("write", "name"), [(write_ros1, "ros1.bag"), (write_ros2, "ros2")])
def test_plays_to_the_end_in_the_bags_time(wire, run, tmp_path, write, name):
    """ROS 1 by the player of this package; ROS 2 by rosbag2 where there is one."""
    from rosgraph_msgs.msg import Clock

    ticks: list[int] = []
    wire.node.create_subscription(
        Clock, "/clock", lambda tick: ticks.append(tick.clock.sec * 10**9 + tick.clock.nanosec), 10
    )
    bag = write(tmp_path / name, motion(3.0, impacts_s=(2.0,)), TOPICS)
    process = run(launch_command("replay", f"bag:={bag}"))
    wire.until(lambda: "reading" in process.log, "the node")
    wire.until(lambda: process.child.poll() is not None, "end of the bag")
    assert process.child.returncode == 0, process.log
    assert len(wire.events) == 2, process.log
    assert len(ticks) > 50
    assert sorted(ticks) == ticks
    assert START_NS <= ticks[0] <= ticks[-1] <= START_NS + 4 * 10**9
    assert process.log.count("process has finished cleanly") == 2


def test_plays_into_a_namespace(wire, run, tmp_path):
    from tao_lora_ros.msg import Inference

    heard: list[Inference] = []
    wire.node.create_subscription(Inference, "/arm/tao_lora/inference", heard.append, 100)
    bag = write_ros2(tmp_path / "bag", motion(2.0), TOPICS)
    arguments = (f"bag:={bag}", "namespace:=arm", "rate:=2.0")
    process = run(launch_command("replay", *arguments))
    wire.until(lambda: "reading" in process.log, "the node")
    wire.until(lambda: process.child.poll() is not None, "end of the bag")
    assert process.child.returncode == 0, process.log
    assert heard


def test_a_bag_that_is_missing_ends_it_with_the_reason(wire, run, tmp_path):
    process = run(launch_command("replay", f"bag:={tmp_path / 'none'}"))
    wire.until(lambda: process.child.poll() is not None, "end of the launch")
    assert f"{tmp_path / 'none'}: no such bag" in process.log
