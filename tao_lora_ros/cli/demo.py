"""The demonstration: node, player and recorder as three processes, on real DDS topics."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.progress import Progress

from tao_lora_ros.bags.reader import BagError, BagReader
from tao_lora_ros.bags.record import read_contacts
from tao_lora_ros.bags.report import tiles, write_report
from tao_lora_ros.cli.live import View, view_of
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.ros.distro import LOCAL_ONLY
from tao_lora_ros.ros.recorder import Recorder

NODE = "tao_lora"
SIMULATED_S = 30.0
_SEED = 7
_START_S = 60.0  # to import torch and load the model, on a slow machine
_STEP_S = 0.1
_QUIET_S = 0.5  # without an output for so long, the node has dealt with all
_STOP_S = 10.0
_LOG_LINES = 8
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(RuntimeError):
    """The demonstration failed; the text says why."""


def run_demo(bag: Path | None, out: Path, rate: float = 1.0) -> int:
    """Play a recording to the node, show what it infers, write a report and a bag.

    Args:
        bag: recording to play; None simulates one, once, in `out/recording`.
        out: folder for `report.html`, the bag `recorded` and the processes' logs.
        rate: playing speed.

    Returns:
        The exit status; 0 where all went well. What went wrong is said on standard error.
    """
    # A robot on this network must not hear simulated impacts.
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.update(LOCAL_ONLY | os.environ)
    # SIGINT too: a shell's background job is started deaf to it.
    for ending in _ENDINGS:
        signal.signal(ending, signal.default_int_handler)
    console = Console()
    try:
        out.mkdir(parents=True, exist_ok=True)
        _demo(bag or _simulated(out / "recording", console), out, rate, console)
    except (DemoError, BagError, OSError) as error:
        print(f"tao-lora: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tao-lora: interrupted", file=sys.stderr)
        return 130
    return 0


def _simulated(path: Path, console: Console) -> Path:
    """A simulated recording; the labels are written last, so with them it is complete."""
    labels = path.with_name(f"{path.name}.labels.csv")
    if labels.exists() and path.exists():
        return path
    from tao_lora_ros.simulation.recording import SimulationConfig, simulate, write_recording

    shutil.rmtree(path, ignore_errors=True)
    labels.unlink(missing_ok=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"simulating {SIMULATED_S:.0f} s", total=1.0)
        config = SimulationConfig(duration_s=SIMULATED_S, seed=_SEED)
        recording = simulate(config, lambda done: bar.update(task, completed=done))
    write_recording(recording, path)
    return path


def _demo(bag: Path, out: Path, rate: float, console: Console) -> None:
    sources = source_configs(Settings())
    with BagReader(bag, sources) as reader:
        messages, duration_s = reader.message_count, reader.duration_s
    contacts = read_contacts(bag)
    _say(console, f"{bag}: {messages} messages, {duration_s:.1f} s")
    store = ("--ros-args", "-p", f"store:={(out / 'events').resolve()}")
    with _ros_node() as ros, Family(out) as family:
        node = family.start("node", "tao_lora_ros.ros.run", *store)
        recorder = Recorder(ros, sources, NODE)
        with view_of(recorder, console, messages, duration_s) as view:
            _start(ros, node, view)
            used_s = node.cpu_s()
            arguments = (bag, "--rate", rate, "--subscribers", 2)
            player = family.start("player", "tao_lora_ros.ros.player", *arguments)
            while player.running():
                node.check()
                _step(recorder, view, "playing")
            _drain(recorder, node, view)
            used_s = node.cpu_s() - used_s
            node.end()  # closes the event that is open
            _step(recorder, view, "done")
    load = {
        "Node, of one core": f"{used_s * rate / max(duration_s, 1e-9):.0%}",
        "Node, a message": f"{1e6 * used_s / max(messages, 1):.0f} µs",
    }
    record = recorder.record(f"Demonstration: {bag.name}", contacts, load)
    shutil.rmtree(out / "recorded", ignore_errors=True)
    recorder.write_bag(out / "recorded")
    write_report(record, out / "report.html")
    _say(console, f"sent {messages} messages, received {recorder.received}")
    for name, value, more in tiles(record):
        _say(console, f"{name}: {value}" + (f" ({more})" if more else ""))
    _say(console, f"report: {out / 'report.html'}\nbag: {out / 'recorded'}")


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _start(ros: Node, node: Child, view: View) -> None:
    """Wait until the node advertises."""
    deadline = time.monotonic() + _START_S
    while not ros.count_publishers(f"{NODE}/inference"):
        node.check()
        if time.monotonic() > deadline:
            raise DemoError(f"the node is not ready after {_START_S:g} s\n{node.last_lines()}")
        view.update("starting node")
        time.sleep(_STEP_S)


def _drain(recorder: Recorder, node: Child, view: View) -> None:
    """Let the node deal with what it still has in its queues."""
    quiet_steps = 0
    while quiet_steps * _STEP_S < _QUIET_S:
        quiet_steps = 0 if _step(recorder, view, "finishing") else quiet_steps + 1
        node.check()
    if not recorder.inferences:
        raise DemoError(f"the node gave no inference\n{node.last_lines()}")


def _step(recorder: Recorder, view: View, status: str) -> bool:
    """Poll for a tenth of a second, then draw; whether an output came."""
    before = len(recorder.inferences) + len(recorder.events)
    for _ in range(5):
        time.sleep(_STEP_S / 5)
        recorder.poll()
    view.update(status)
    return len(recorder.inferences) + len(recorder.events) > before


@contextmanager
def _ros_node() -> Iterator[Node]:
    # rclpy's own handler would swallow Ctrl-C.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node("tao_lora_demo")
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown()


class Child:
    """A Python module as a process of its own, which does not outlive the `with` block.

    Its output goes to `<name>.log`. It has a session of its own, so that Ctrl-C reaches it from
    here alone, in order.
    """

    def __init__(self, name: str, out: Path, module: str, *arguments: object) -> None:
        self.name = name
        self._log = out / f"{name}.log"
        command = [sys.executable, "-u", "-m", module, *map(str, arguments)]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def running(self) -> bool:
        """Whether it still runs.

        Raises:
            DemoError: it failed.
        """
        code = self._process.poll()
        if code:
            raise DemoError(f"the {self.name} failed with {code}\n{self.last_lines()}")
        return code is None

    def check(self) -> None:
        """Raise DemoError where it does not run any more."""
        if not self.running():
            raise DemoError(f"the {self.name} ended early\n{self.last_lines()}")

    def last_lines(self) -> str:
        """The end of its log."""
        lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join(f"  {line}" for line in lines)

    def cpu_s(self) -> float:
        """Processor seconds used so far; NaN where there is no /proc."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return float("nan")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Interrupt it as Ctrl-C does; kill it where that does not help."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Family:
    """Starts children, and ends all of them however it is left.

    An interrupt in the middle of a start waits until the child is known: else it would stay.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._children: list[Child] = []

    def start(self, name: str, module: str, *arguments: object) -> Child:
        """Start a child."""
        with _uninterrupted():
            self._children.append(Child(name, self._out, module, *arguments))
        return self._children[-1]

    def __enter__(self) -> Family:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in reversed(self._children):
            child.end()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold interrupts back until the end of the block."""
    caught: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: caught.append(number))
        for number in _ENDINGS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        raise KeyboardInterrupt
