"""Two hosts on one cable: network namespaces that this test makes, joined by a veth pair."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from recordings import SECOND, START_NS, motion, write_ros2

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
from wire import Process

pytestmark = [pytest.mark.ros, pytest.mark.slow]
NODE = ("-m", "tao_lora_ros.ros.run")
SUBSCRIBER = """
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from tao_lora_ros.msg import TransientEvent
rclpy.init()
node = rclpy.create_node("subscriber")
qos = QoSProfile(
    depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
show = lambda event: print(event.sequence, event.phase, flush=True)
node.create_subscription(TransientEvent, "/tao_lora/events", show, qos)
rclpy.spin(node)
"""
# No shared memory, which would pass by the cable.
ENVIRONMENT = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}


class Host:
    """A network namespace with one end of the cable."""

    def __init__(self, name: str, device: str, address: str, folder: Path) -> None:
        self._name, self._device, self._folder = name, device, folder
        self._processes: list[Process] = []
        ip("link", "set", device, "netns", name)
        ip("-n", name, "address", "add", address, "dev", device)
        ip("-n", name, "link", "set", "lo", "up")
        self.plug()

    def plug(self) -> None:
        """Bring the cable's end up; multicast, by which DDS finds others, needs a route."""
        ip("-n", self._name, "link", "set", self._device, "up")
        ip("-n", self._name, "route", "replace", "224.0.0.0/4", "dev", self._device)

    def unplug(self) -> None:
        """Cut the cable at this end."""
        ip("-n", self._name, "link", "set", self._device, "down")

    def run(self, *arguments: str) -> Process:
        """Run this Python in the namespace."""
        log = self._folder / f"{self._name}_{len(self._processes)}.log"
        command = ["ip", "netns", "exec", self._name, sys.executable, *arguments]
        self._processes.append(Process(log, command))
        return self._processes[-1]

    def end(self) -> None:
        """Kill what runs here and take the namespace away."""
        for process in self._processes:
            process.kill()
        ip("netns", "delete", self._name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Host, Host]]:
    """The robot and its operator."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    names = [f"tao_{place}_{os.getpid()}" for place in ("robot", "desk")]
    devices = [f"tao{end}{os.getpid() % 100_000}" for end in "ab"]
    made: list[Host] = []
    try:
        ip("netns", "add", names[0])
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    ip("netns", "add", names[1])
    ip("link", "add", devices[0], "type", "veth", "peer", "name", devices[1])
    for name, device, address in zip(names, devices, ("10.99.0.1/24", "10.99.0.2/24"), strict=True):
        made.append(Host(name, device, address, tmp_path))
    yield made[0], made[1]
    for host in made:
        host.end()


def until(condition: Callable[[], bool], what: str, *processes: Process) -> None:
    deadline = time.monotonic() + 40.0
    while not condition():
        logs = "\n".join(process.log for process in processes)
        assert time.monotonic() < deadline, f"{what}: not within 40 s\n{logs}"
        time.sleep(0.05)


def test_events_cross_late_joiners_get_them_and_a_cut_cable_heals(hosts, tmp_path):
    robot, desk = hosts
    node = robot.run(*NODE, "--ros-args", "-p", f"store:={tmp_path / 'store'}")
    early = desk.run("-c", SUBSCRIBER)
    until(lambda: "reading" in node.log, "node", node)

    def play(number: int) -> None:
        start_ns = START_NS + 10 * number * SECOND
        bag = write_ros2(
            tmp_path / f"bag_{number}", motion(2.5, impacts_s=(2.0,), start_ns=start_ns)
        )
        player = robot.run("-m", "tao_lora_ros.ros.player", str(bag), "--rate", "2")
        until(lambda: player.child.poll() is not None, "end of the bag", player)
        assert player.child.returncode == 0, player.log

    play(0)
    until(lambda: early.log.split("\n")[:2] == ["0 0", "0 1"], "an event across", early, node)
    late = desk.run("-c", SUBSCRIBER)
    until(lambda: late.log == early.log, "past events", late)

    desk.unplug()
    play(1)
    until(lambda: "event 1 end: " in node.log, "an event", node)
    time.sleep(1.0)
    assert early.log.split() == ["0", "0", "0", "1"]
    desk.plug()
    until(lambda: len(early.log.splitlines()) == 4, "the missed event", early)
    until(lambda: late.log == early.log, "the missed event", late)
    assert node.stop() == 0
