"""The demonstration: node, player and recorder as three processes, on real DDS topics."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from argparse import Namespace
from pathlib import Path

from rclpy.node import Node
from rich.console import Console, RenderableType
from rich.progress import Progress

from tao_lora_ros.bags.labels import read_contacts
from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.cli.children import ENDINGS, Child, ChildError, Family
from tao_lora_ros.cli.chosen import choose, ready
from tao_lora_ros.cli.live_view import View, progress, view_of
from tao_lora_ros.cli.ros_node import ros_node
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.hardware.process import usage
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.model.artifact import save_artifact
from tao_lora_ros.report.report import tiles, write_report
from tao_lora_ros.ros.distro import LOCAL_ONLY
from tao_lora_ros.ros.recorder import Recorder

NODE = "tao_lora"
SIMULATED_S = 30.0
_SEED = 7
_START_S = 300.0  # to import torch and compile the loops, on a slow machine
_STEP_S = 0.1
_IDLE_S = 0.5  # without an output for so long, the node has dealt with all


def run_demo(options: Namespace) -> int:
    """Play a recording to the node, show what it infers, write a report and a bag.

    Args:
        options: as of a replay, and: `bag`, recording to play (None simulates one, once, in
            `out/recording`); `out`, folder for `report.html`, the bag `recorded` and the processes'
            logs; `rate`, playing speed.

    Returns:
        The exit status; 0 where all went well. What went wrong is said on standard error.

    Raises:
        TaoLoraError, OSError: a recording or a folder will not do.
    """
    # A robot on this network must not receive simulated impacts.
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.update(LOCAL_ONLY | os.environ)
    # SIGINT too: a shell's background job is started ignoring it.
    for ending in ENDINGS:
        signal.signal(ending, signal.default_int_handler)
    console = Console()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        _demo(options, options.bag or _simulated(options.out / "recording", console), console)
    except ChildError as error:
        print(
            "\n".join(shown(line, MOST_LINE) for line in f"tao-lora: error: {error}".split("\n")),
            file=sys.stderr,
        )
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
    from tao_lora_ros.simulation.recording import SimulationConfig, record

    shutil.rmtree(path, ignore_errors=True)
    labels.unlink(missing_ok=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"simulating {SIMULATED_S:.0f} s", total=1.0)
        config = SimulationConfig(duration_s=SIMULATED_S, seed=_SEED)
        record(config, path, lambda done: bar.update(task, completed=done))
    return path


def _demo(options: Namespace, bag: Path, console: Console) -> None:
    out, rate = options.out, options.rate
    # The model that ships is calibrated for the simulated arm.
    chosen = ready(options, bag) if options.bag else choose(options, bag)
    sources = source_configs(chosen.settings)
    with BagReader(bag, sources, chosen.topics) as reader:
        messages, duration_s = reader.message_count, reader.duration_s
    contacts = read_contacts(bag)
    _say(console, f"{bag}: {messages} messages, {duration_s:.1f} s")
    parameters = ["--ros-args", "-p", f"store:={(out / 'events').resolve()}"]
    if options.bag:
        save_artifact(chosen.artifact, out / "model")
        parameters += ["-p", f"model:={(out / 'model').resolve()}"]
        _say(console, "\n".join(chosen.notices))
    with ros_node("tao_lora_demo") as ros, Family(out) as family:
        node = family.start("node", "tao_lora_ros.ros.run", *parameters)
        recorder = Recorder(ros, sources, NODE)

        def head(status: str) -> RenderableType:
            done = min(recorder.received / max(messages, 1), 1.0)
            return progress(status, done, f"{done * duration_s:.1f} of {duration_s:.1f} s")

        with view_of(recorder, console, head) as view:
            _start(ros, node, view)
            used_s = usage(node.pid).cpu_s
            arguments = [bag, "--rate", rate, "--subscribers", 2]
            arguments += [word for topic in options.topic for word in ("--topic", topic)]
            player = family.start("player", "tao_lora_ros.ros.player", *arguments)
            while player.running():
                node.check()
                _step(recorder, view, "playing")
            _drain(recorder, node, view)
            used_s = usage(node.pid).cpu_s - used_s
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
    if recorder.unread.text:
        _say(console, recorder.unread.text)
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
            raise ChildError(f"the node is not ready after {_START_S:g} s\n{node.last_lines()}")
        view.update("starting node")
        time.sleep(_STEP_S)


def _drain(recorder: Recorder, node: Child, view: View) -> None:
    """Let the node deal with what it still has in its queues."""
    idle_steps = 0
    while idle_steps * _STEP_S < _IDLE_S:
        idle_steps = 0 if _step(recorder, view, "finishing") else idle_steps + 1
        node.check()
    if not recorder.inferences:
        raise ChildError(f"the node gave no inference\n{node.last_lines()}")


def _step(recorder: Recorder, view: View, status: str) -> bool:
    """Poll for a tenth of a second, then draw; whether an output came."""
    before = len(recorder.inferences) + len(recorder.events)
    for _ in range(5):
        time.sleep(_STEP_S / 5)
        recorder.poll()
    view.update(status)
    return len(recorder.inferences) + len(recorder.events) > before
