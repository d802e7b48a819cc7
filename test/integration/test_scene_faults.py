"""What others publish neither ends nor blinds the thread that keeps further topics."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
pytestmark = pytest.mark.ros


@pytest.mark.parametrize(
    "name", ["", ".x/msg/Y", "os/msg/x", "no_such/msg/Type", "std_msgs/msg/Strong"]
)
def test_a_type_that_is_none_is_said(wire, name) -> None:
    from tao_lora_ros.ros.scene_topic import SceneTopic

    topic = SceneTopic(wire.node, "/chatter", "")
    topic._subscribe(name, None)
    assert topic.trouble.startswith(f"type {name} is not known here: ")


def test_events_that_are_none_are_passed_over_and_said(wire, tmp_path) -> None:
    from std_msgs.msg import String

    from tao_lora_ros.msg import TransientEvent
    from tao_lora_ros.ros.scene_config import PROCESS, SceneConfig
    from tao_lora_ros.ros.topics import EVENTS_QOS

    events = wire.node.create_publisher(TransientEvent, "/tao_lora/events", EVENTS_QOS)
    chatter = wire.node.create_publisher(String, "/chatter", 10)
    watch = wire.watch()
    config = SceneConfig("/tao_lora", (("/chatter", ""),), 1.0, 1.0, 1.0, 1 << 20).to_json()
    command = [sys.executable, "-m", PROCESS, str(tmp_path), "1000000", "0", config]
    scene = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        events.publish(b"\0\1\0\0\xff")  # for who joins late, too
        watch.until("store topics", lambda report: "1 messages passed over" in report["message"])

        def received() -> int:
            chatter.publish(String(data="x"))
            return int(watch.of("store topics")[-1]["/chatter: received"])

        wire.until(lambda: received() > 3, "messages")
        scene.stdin.close()
        assert scene.wait(20.0) == 0
    finally:
        scene.kill()
        scene.wait()
