"""The node as a process of its own, and the other end of its topics and services, all real."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import WrenchStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from recordings import Message
from sensor_msgs.msg import Imu

from tao_lora_ros.msg import EventSamples, Inference, TransientEvent
from tao_lora_ros.ros.distro import LOCAL_ONLY

TIMEOUT_S = 30.0
START_S = 120.0  # a node imports and compiles first: beside other load that has taken over 30 s
INPUTS = (("imu", Imu), ("wrench", WrenchStamped))
DEEP = QoSProfile(depth=20_000, reliability=ReliabilityPolicy.RELIABLE)
EVENTS = QoSProfile(
    depth=1000,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# Nothing may be lost on the way, however slow the machine.
LOSSLESS = (
    "queue_depth:=20000",
    "qos_overrides./imu.subscription.reliability:=reliable",
    "qos_overrides./wrench.subscription.reliability:=reliable",
)
# A publisher that has matched a subscription may not be matched by it yet, and until then messages
# are lost. This one changes nothing in the node, which says that it got it.
PROBE = b"\0\1\0\0"


class Process:
    """A process of the node; what it writes is in `log`."""

    def __init__(self, log: Path, command: Iterable[str]) -> None:
        self._log = log
        with log.open("w") as out:
            self.child = subprocess.Popen(
                [*command], stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def log(self) -> str:
        """All output so far."""
        return self._log.read_text()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit status."""
        self.child.send_signal(number)
        return self.child.wait(TIMEOUT_S)

    def kill(self) -> None:
        """End it and its children, however they are."""
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


def node_command(parameters: Iterable[str]) -> list[str]:
    """Command of a node with these parameters, each `name:=value`."""
    command = [sys.executable, "-m", "tao_lora_ros.ros.run", "--ros-args"]
    return command + [word for parameter in parameters for word in ("-p", parameter)]


class Wire:
    """Publishes the inputs, keeps the outputs, calls the services of the node `tao_lora`.

    The node is in the root namespace, or in the one given.
    """

    def __init__(self, node: Node, namespace: str = "") -> None:
        self.node = node
        self.pipeline = f"{namespace}/tao_lora"
        self._names = [name for name, _ in INPUTS]
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self.publishers = [
            node.create_publisher(kind, f"{namespace}/{name}", DEEP) for name, kind in INPUTS
        ]
        self._clients: dict[str, Any] = {}
        self.inferences: list[Inference] = []
        self.events: list[TransientEvent] = []
        topic = f"{self.pipeline}/inference"
        node.create_subscription(Inference, topic, self.inferences.append, DEEP)
        self.join_events(self.events)
        self.samples: list[EventSamples] = []  # of these events
        topic = f"{self.pipeline}/event_samples"
        node.create_subscription(EventSamples, topic, self.samples.append, EVENTS)

    def join_events(self, into: list[TransientEvent]) -> None:
        """Subscribe to the events once more."""
        topic = f"{self.pipeline}/events"
        self.node.create_subscription(TransientEvent, topic, into.append, EVENTS)

    def watch(self) -> Watch:
        """All diagnostics from now on."""
        return Watch(self)

    def publish_as(self, source: int, kind: Any, name: str = "") -> None:
        """Publish an input under another type, and another name."""
        self.node.destroy_publisher(self.publishers[source])
        self._names[source] = name or self._names[source]
        self.publishers[source] = self.node.create_publisher(kind, self._names[source], DEEP)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()

    def until(self, condition: Callable[[], Any], what: str, timeout_s: float = TIMEOUT_S) -> None:
        """Take what arrives until the condition holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
            self._executor.spin_once(timeout_sec=0.02)

    def until_listening(self, process: Process) -> None:
        """Wait until the node hears and is heard."""

        before = len(process.log)

        def heard() -> bool:
            assert process.child.poll() is None, process.log
            for publisher in self.publishers:
                publisher.publish(PROBE)
            return all(f"refused: {name}: " in process.log[before:] for name in self._names)

        self.until(heard, "node on the graph", START_S)

    def play(self, messages: Iterable[Message], rate: float = 3.0) -> None:
        """Publish in this order, each when it is due; wait until the node has dealt with all."""
        begun, first_ns = time.monotonic(), None
        for message in messages:
            first_ns = message.stamp_ns if first_ns is None else first_ns
            due = begun + (message.stamp_ns - first_ns) * 1e-9 / rate
            self._executor.spin_once(timeout_sec=max(0.0, due - time.monotonic()))
            self.publishers[message.source].publish(message.data)
        self.settle()

    def spin_until(self, due: float) -> None:
        """Take what arrives until a time of the steady clock."""
        while True:
            left = due - time.monotonic()
            self._executor.spin_once(timeout_sec=max(0.0, left))
            if left <= 0:
                return

    def spin_for(self, seconds: float) -> None:
        """Take what arrives for so long."""
        self.spin_until(time.monotonic() + seconds)

    def settle(self) -> None:
        """Wait until the node has dealt with all that came: it looks for it after every answer."""
        self.state()
        self.state()

    def until_acknowledged(self) -> None:
        """Wait until all that was published came; with Fast DDS that takes up to 3 s."""
        for publisher in self.publishers:
            assert publisher.wait_for_all_acked(Duration(seconds=TIMEOUT_S))

    def ask(self, kind: Any, name: str, request: Any) -> Future:
        """Call a service of the node without waiting for the answer."""
        if name not in self._clients:  # kept: a new one's first answer may come before it is known
            self._clients[name] = self.node.create_client(kind, f"{self.pipeline}/{name}")
        client = self._clients[name]
        self.until(client.service_is_ready, name)
        return client.call_async(request)

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service of the node."""
        future = self.ask(kind, name, request)
        self.until(future.done, name)
        return future.result()

    def state(self) -> str:
        """The node's lifecycle state."""
        return self.call(GetState, "get_state", GetState.Request()).current_state.label

    def change(self, label: str) -> bool:
        """Ask for a lifecycle transition."""
        request = ChangeState.Request(transition=Transition(label=label))
        return self.call(ChangeState, "change_state", request).success

    def set_parameter(self, name: str, value: Any) -> SetParametersResult:
        """Set a parameter through the node's service."""
        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return self.call(SetParameters, "set_parameters", request).results[0]


class Watch:
    """All diagnostics from now on."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._arrays: list[DiagnosticArray] = []
        self.subscription = wire.node.create_subscription(
            DiagnosticArray, "/diagnostics", self._arrays.append, DEEP
        )

    @property
    def stamps_ns(self) -> list[int]:
        """When each was made, by the node's clock."""
        stamps = [array.header.stamp for array in self._arrays]
        return [stamp.sec * 1_000_000_000 + stamp.nanosec for stamp in stamps] or [0]

    @property
    def names(self) -> set[str]:
        """All parts that were reported on, of whatever node."""
        return {status.name for array in self._arrays for status in array.status}

    def of(self, name: str) -> list[dict]:
        """The reports on one part so far: its values, its level and its message."""
        found = [
            s for a in self._arrays for s in a.status if s.name == f"{self._wire.pipeline}: {name}"
        ]
        return [
            {pair.key: pair.value for pair in status.values}
            | {"level": int.from_bytes(status.level, "big"), "message": status.message}
            for status in found
        ]

    def until(self, name: str, condition) -> None:
        """Wait for a report on one part that is so."""
        self._wire.until(lambda: any(map(condition, self.of(name))), f"diagnostics of {name}")


@cache
def own_domain() -> int:
    """A DDS domain that no other process of this machine gets here until this one ends."""
    for domain in range(1, 102):
        try:
            lock = _opened(Path(gettempdir(), f"tao_lora_domain_{domain}"))
        except PermissionError:  # another user's, who keeps it to himself
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return domain
    raise RuntimeError("all DDS domains from 1 to 101 are taken by other test runs")


def _opened(file: Path) -> int:
    """A file that is there or is made; another user's may be locked, but not be written to."""
    try:
        return os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return os.open(file, os.O_RDONLY | os.O_CREAT, 0o644)


def open_wire() -> Wire:
    """A wire on a domain of this process alone."""
    os.environ["ROS_DOMAIN_ID"] = str(own_domain())
    os.environ.update(LOCAL_ONLY)
    if not rclpy.ok():
        rclpy.init()
    return Wire(rclpy.create_node("wire"))
