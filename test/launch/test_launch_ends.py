"""A launch that is ended by a signal that it does not pass on: its processes end all the same."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from launching import launch_command
from recordings import motion, write_ros1

pytest.importorskip("launch_ros.actions", reason="launch_ros is not installed")

pytestmark = [
    pytest.mark.launch,
    pytest.mark.ros,
    pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed"),
]
ENDINGS = [signal.SIGTERM, signal.SIGKILL]
TOPICS = (("/data/imu", "sensor_msgs/msg/Imu"), ("/data/ft", "geometry_msgs/msg/WrenchStamped"))


def children(process) -> list[int]:
    pid = process.child.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    with suppress(FileNotFoundError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"  # whoever adopts it may be slow to ask for its status
    return False


@pytest.mark.parametrize("number", ENDINGS)
def test_the_node_closes_its_open_event_and_ends(wire, run, number):
    process = run(launch_command("pipeline"))
    wire.until_listening(process)
    (node,) = children(process)
    wire.play(motion(3.0, impacts_s=(2.99,)))
    wire.until(lambda: len(wire.events) == 1, "onset")
    process.stop(number)
    wire.until(lambda: len(wire.events) == 2, "end of the open event")
    wire.until(lambda: not runs(node), "end of the node")


@pytest.mark.parametrize("number", ENDINGS)
def test_every_robot_ends(wire, run, number):
    process = run(launch_command("multi_robot", "robots:=[left, right]"))
    wire.until(lambda: process.log.count("reading") == 2, "two nodes")
    nodes = children(process)
    assert len(nodes) == 2
    process.stop(number)
    wire.until(lambda: not any(map(runs, nodes)), "end of both")


def test_the_player_ends_too(wire, run, tmp_path):
    bag = write_ros1(tmp_path / "ros1.bag", motion(60.0), TOPICS)
    process = run(launch_command("replay", f"bag:={bag}"))
    wire.until(lambda: wire.inferences, "an inference of what is played")
    started = children(process)
    assert len(started) == 2
    process.stop(signal.SIGTERM)
    wire.until(lambda: not any(map(runs, started)), "end of node and player")


def test_the_users_prefix_stays(wire, run):
    """`ros2 launch --launch-prefix` sets these two."""
    arguments = ("launch-prefix:=env MARK=1", "launch-prefix-filter:=pipeline")
    process = run(launch_command("pipeline", *arguments))
    wire.until(lambda: "reading" in process.log, "the node")
    assert "[pipeline_node-1]" in process.log
    (node,) = children(process)
    assert b"MARK=1" in Path(f"/proc/{node}/environ").read_bytes()
    os.kill(node, signal.SIGINT)
    wire.until(lambda: process.child.poll() is not None, "end of the launch")
