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
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from tao_lora_ros.bags.reader import BagError, BagReader
from tao_lora_ros.bags.record import RunRecord, read_contacts
from tao_lora_ros.cli.live import LiveView, PlainView

if TYPE_CHECKING:
    from tao_lora_ros.ros.recorder import Recorder

NODE = "tao_lora"
SIMULATED_S = 30.0
_SEED = 7
_START_S = 60.0  # to import torch and load the model, on a slow machine
_QUIET_S = 0.5  # without a message for so long, the node has dealt with all
_STOP_S = 10.0


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
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    try:
        out.mkdir(parents=True, exist_ok=True)
        _demo(bag or _simulated(out / "recording", console), out, rate, console)
    except (DemoError, BagError, ImportError, OSError) as error:
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
    from tao_lora_ros.bags.report import write_report
    from tao_lora_ros.ros.player import sources
    from tao_lora_ros.ros.recorder import Recorder

    with BagReader(bag, sources()) as reader:
        messages, duration_s = reader.message_count, reader.duration_s
    contacts = read_contacts(bag)
    console.print(
        f"{bag}: {messages} messages, {duration_s:.1f} s; ROS domain {os.environ['ROS_DOMAIN_ID']}",
        highlight=False,
        soft_wrap=True,
    )
    with _ros() as (ros_node, spin), Child("node", out, "tao_lora_ros.ros.node") as node:
        recorder = Recorder(ros_node, sources(), NODE)
        if console.is_terminal:
            view: LiveView | PlainView = LiveView(recorder, console, messages, duration_s)
        else:
            view = PlainView(recorder, console)
        with view:
            _wait_for_node(ros_node, node, lambda: (spin(), view.update("starting node")))
            used_s = node.cpu_s()
            play = ["tao_lora_ros.ros.player", bag, "--rate", rate, "--subscribers", 2]
            with Child("player", out, *play) as player:
                while player.running():
                    node.check()
                    spin()
                    view.update("playing")
            _drain(recorder, spin, view)
            used_s = node.cpu_s() - used_s
            node.stop(lambda: (spin(), view.update("stopping")))
    load = {"Node, of one core": f"{100 * used_s * rate / max(duration_s, 1e-9):.0f} %"}
    load["Node, a message"] = f"{1e6 * used_s / max(messages, 1):.0f} µs"
    record = recorder.record(f"Demonstration: {bag.name}", contacts, load)
    shutil.rmtree(out / "recorded", ignore_errors=True)
    recorder.write_bag(out / "recorded")
    write_report(record, out / "report.html")
    for line in _summary(record, messages, recorder.received):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"report: {out / 'report.html'}", f"bag: {out / 'recorded'}", sep="\n")
