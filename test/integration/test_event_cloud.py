"""The history of events as a point cloud, where `sensor_msgs_py` is installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from pushed_events import IMU_RAW, WRENCH_RAW, event
from recordings import motion

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytestmark = pytest.mark.ros
TOPIC = "/tao_lora/event_cloud"
INSTALLED = find_spec("sensor_msgs_py") is not None
needs_sensor_msgs_py = pytest.mark.skipif(not INSTALLED, reason="sensor_msgs_py is not installed")


@pytest.fixture
def clouds(wire) -> list:
    """Clouds that the node publishes, and publishes to who joins late."""
    from sensor_msgs.msg import PointCloud2
    from wire import EVENTS

    shown: list = []
    wire.node.create_subscription(PointCloud2, TOPIC, shown.append, EVENTS)
    return shown


@needs_sensor_msgs_py
def test_a_point_says_what_is_known_of_its_event(wire) -> None:
    from rclpy.lifecycle import LifecycleNode
    from sensor_msgs.msg import PointCloud2
    from sensor_msgs_py import point_cloud2
    from wire import EVENTS

    from tao_lora_ros.ros.event_cloud import open_event_cloud

    shown: list = []
    wire.node.create_subscription(PointCloud2, "/robot/event_cloud", shown.append, EVENTS)
    node = LifecycleNode("robot")
    cloud = open_event_cloud(node, 2)
    node.trigger_configure()
    node.trigger_activate()
    for sources in ((WRENCH_RAW, IMU_RAW), (IMU_RAW,), (IMU_RAW,), (IMU_RAW,)):
        cloud.add(event(*sources))
    cloud.clear()
    wire.until(lambda: len(shown) == 6, "clouds")
    node.destroy_node()
    assert [(c.header.frame_id, c.width) for c in shown] == [
        ("wrench_link", 1), ("imu_link", 1), ("imu_link", 2), ("imu_link", 2),
        ("wrench_link", 0), ("imu_link", 0),
    ]  # fmt: skip
    (point,) = point_cloud2.read_points(shown[0])
    assert [point[name] for name in ("x", "y", "z")] == [0.0] * 3
    assert point["intensity"] == np.float32(2.34)
    assert point["peak"] == pytest.approx(5.0)
    assert (point["kind"], point["time"]) == (1, 0.0)


@needs_sensor_msgs_py
def test_the_node_publishes_past_events(wire, start_node, clouds) -> None:
    from sensor_msgs_py import point_cloud2
    from std_srvs.srv import Trigger
    from wire import LOSSLESS

    start_node("event_cloud:=10", *LOSSLESS)
    wire.play(motion(4.0, impacts_s=(2.0, 3.0)))
    wire.until(lambda: len(clouds) == 2, "clouds")
    ends = wire.events[1::2]
    points = point_cloud2.read_points(clouds[1])
    onsets = [end.onset.sec + end.onset.nanosec * 1e-9 for end in ends]
    assert points["time"] == pytest.approx(onsets, abs=1e-6)
    assert points["intensity"].tolist() == [np.float32(end.peak_score) for end in ends]
    assert points["kind"].tolist() == [end.kind for end in ends]
    assert (points["peak"] > 1.0).all()
    assert clouds[1].header.stamp == ends[1].onset
    assert wire.call(Trigger, "reset", Trigger.Request()).success
    wire.until(lambda: len(clouds) == 3, "an empty cloud")
    assert clouds[2].width == 0


@pytest.mark.skipif(INSTALLED, reason="sensor_msgs_py is installed")
def test_without_sensor_msgs_py_the_node_says_so_once(wire, start_node) -> None:
    from wire import LOSSLESS

    process = start_node("event_cloud:=10", *LOSSLESS)
    wire.play(motion(2.2, impacts_s=(2.0,)))
    wire.until(lambda: len(wire.events) == 2, "an event")
    assert process.log.count("no ~/event_cloud: No module named 'sensor_msgs_py'") == 1
    assert not wire.node.count_publishers(TOPIC)
    assert process.stop() == 0


def test_there_is_no_cloud_unless_it_is_asked_for(wire, start_node) -> None:
    process = start_node()
    assert "event_cloud" not in process.log
    assert not wire.node.count_publishers(TOPIC)
