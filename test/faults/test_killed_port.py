"""Who comes after a process that was killed between two messages hears all the same."""

from __future__ import annotations

import mmap
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from recordings import motion

if TYPE_CHECKING:
    from wire import Process

pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
pytestmark = pytest.mark.ros

KILLED = """
import rclpy
from sensor_msgs.msg import Imu

rclpy.init()
node = rclpy.create_node("killed")
node.create_subscription(Imu, "/imu", lambda _: print("hears", flush=True), 10)
rclpy.spin(node)
"""
# Looks every 0.6 s, which is silence, as if 5 s had gone by.
HEARER = """
import time, rclpy
from tao_lora_ros.ros.inputs import Input
from tao_lora_ros.ros.other_participant import OtherParticipant
from tao_lora_ros.signal.cdr import IMU
from tao_lora_ros.signal.source import SourceConfig

rclpy.init()
node = rclpy.create_node("hearer")
input = Input(node, SourceConfig("/imu", IMU), 1000, OtherParticipant(node))
while not input.take():
    time.sleep(0.6)
    input.find_publishers()
    print(input.trouble(5.0), flush=True)
print("hears", flush=True)
time.sleep(60.0)
"""
# The process that keeps further topics looks each second; here a second is enough to move.
SCENE_HEARER = """
import time, rclpy
from tao_lora_ros.ros import scene_process
from tao_lora_ros.ros.scene_config import SceneConfig

rclpy.init()
scene_process._DEAF_S = 1.0
scene = scene_process.Scene(SceneConfig("/tao_lora", (("/imu", ""),), 1.0, 1.0, 1.0, 1 << 20), [])
while not scene._topics[0].received:
    time.sleep(0.1)
print("hears", flush=True)
time.sleep(60.0)
"""
STATUS, STATUSES = 20, 1024  # bytes of one, and how many, in a port of Fast DDS
IN_USE, WAITING = 1, 2


def ports_of(pid: int) -> set[Path]:
    """Memory in which it gets messages: it holds a lock beside each."""
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    locks = [link for link in links if "_port" in link and link.endswith("_el")]
    return {Path(lock.removesuffix("_el")) for lock in locks}


def left_between_messages(port: Path) -> bool:
    """Have the one listener of a port neither wait nor work, as it is between two messages."""
    with port.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        data = memory[:]
        for at in range(0, len(data) - STATUS * STATUSES, 4):
            others = data[at + STATUS : at + STATUS * (STATUSES - 1)]
            if data[at] == IN_USE | WAITING and not any(others):
                memory[at] = IN_USE
                return True
    return False


@pytest.mark.parametrize("hearer", [HEARER, SCENE_HEARER], ids=["input", "scene"])
def test_a_port_that_a_killed_process_left_as_served_deafens_nobody_for_long(wire, run, hearer):
    data = motion(0.002)[0].data

    def hearing(program: str) -> Process:
        process = run([sys.executable, "-c", program])
        wire.until(lambda: wire.publishers[0].publish(data) or "hears" in process.log, "a message")
        return process

    first = hearing(KILLED)
    wire.spin_for(0.2)  # it waits for the next
    first.child.send_signal(signal.SIGSTOP)
    left = [left_between_messages(port) for port in ports_of(first.child.pid)]
    first.kill()
    if not any(left):
        pytest.skip("this DDS keeps no such ports")
    assert "subscribed anew as another participant" in hearing(hearer).log
