"""`make bench PART=events|accuracy|latency|node JSON=FILE`: ours side by side with peers."""

from __future__ import annotations

import argparse
import logging
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmark.parts import ACCURACY
from tao_lora_ros.benchmarks.results import OURS, Measurement, read_results, table, write_results
from tao_lora_ros.cli.bench import progress


def _parser() -> ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmark.run", description=__doc__)
    parts = parser.add_subparsers(required=True, metavar="PART")

    events = _add(parts, "events", _events, "event detection: F1, delay, false alarms, cost")
    events.add_argument("--quick", action="store_true", help="about a tenth of it")
    events.add_argument(
        "--part",
        choices=(
            "sim",
            "real",
            "learning",
            "touchdowns",
            "presses",
            "sizes",
            "names",
            "unknown",
            "labels",
            "unseen-arms",
        ),
        help="simulated and KUKA scenes, terrain, learning while running on it, feet, lasting "
        "contacts, how hard, what events are called, which are unlike all names, what labels "
        "bring, or arms of other makers, alone (default: all)",
    )

    latency = _add(parts, "latency", _latency, "time of one inference, host to host")
    latency.add_argument("--quick", action="store_true", help="fewer batch sizes and calls")
    latency.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is")
    latency.add_argument(
        "--only", action="append", default=[], metavar="SUBJECT", help="leave the others out"
    )
    latency.add_argument("--model", choices=("base", "large"), help="leave the other out")
    latency.add_argument("--batch", type=int, metavar="N", help="leave other batch sizes out")

    node = _add(parts, "node", _node, "the node under load: CPU, latency, loss, memory")
    node.add_argument("--seconds", type=float, default=60.0, help="of each case (default 60)")
    node.add_argument(
        "--case", action="append", default=[], metavar="CASE", help="leave the others out"
    )

    accuracy = _add(parts, "accuracy", _accuracy, "every precision; fixed and routed hops")
    accuracy.add_argument(
        "--plot", type=Path, metavar="FILE", help="plot error against bytes (PNG, SVG)"
    )
    accuracy.add_argument("--quick", action="store_true", help="little of it, badly trained")
    accuracy.add_argument(
        "--part",
        action="append",
        default=[],
        choices=ACCURACY,
        help="that alone (repeatable); --json keeps a file's other parts",
    )
    return parser


def _add(parts: Any, name: str, run: Callable[[Namespace], None], what: str) -> ArgumentParser:
    parser: ArgumentParser = parts.add_parser(name, help=what)
    parser.set_defaults(run=run)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements as JSON")
    return parser


def _events(options: Namespace) -> None:
    from benchmark.events import PACKAGES, QUICK, Size, bench_events, default_cache

    say = progress()
    rows: list[Measurement] = []
    if options.part in (None, "sim"):
        rows += bench_events(QUICK if options.quick else Size(), default_cache(), say)
    if options.part in (None, "real"):
        rows += _real_events(options.quick, say)
    if options.part in (None, "learning"):
        rows += _learning(say)
    if options.part in (None, "presses"):
        rows += _presses(options.quick, say)
    if options.part in (None, "names"):
        rows += _names(options.quick, say)
    if options.part in (None, "unknown"):
        rows += _unknown(options.quick, say)
    if options.part in (None, "labels"):
        rows += _labels(options.quick, say)
    if options.part in (None, "touchdowns"):
        rows += _touchdowns(say)
    if options.part in (None, "sizes"):
        rows += _sizes(options.quick, say)
    if options.part in (None, "unseen-arms"):
        rows += _unseen_arms(options.quick, say)
    arguments = ["--quick"] * options.quick
    arguments += [f"--part {options.part}"] if options.part else []
    _report(options, "events", arguments, PACKAGES, rows)


def _real_events(quick: bool, say: Callable[[str], None]) -> list[Measurement]:
    from benchmark.real_events import bench_real

    data = _data("real-*", say)
    if not data:
        return []
    say("cases real-*: several minutes")
    return bench_real(data, quick)


def _learning(say: Callable[[str], None]) -> list[Measurement]:
    from benchmark.learning_runs import bench_learning

    data = _data("learning-*", say)
    return list(bench_learning(data)) if data else []


def _presses(quick: bool, say: Callable[[str], None]) -> list[Measurement]:
    from benchmark import kuka
    from benchmark.events import default_cache
    from benchmark.presses import bench_presses

    if find_spec("mujoco") is None:
        say("cases presses*: left out, MuJoCo is not installed; pip install mujoco")
        return []
    return list(bench_presses(2 if quick else 12, default_cache(), kuka.data_folder(), say))


def _sizes(quick: bool, say: Callable[[str], None]) -> list[Measurement]:
    if find_spec("mujoco") is None:
        say("cases sizes-*: left out, MuJoCo is not installed; pip install mujoco")
        return []
    from benchmark.sizes import bench_sizes

    return list(bench_sizes(2 if quick else 12, say))


def _labels(quick: bool, say: Callable[[str], None]) -> list[Measurement]:
    from benchmark.events import default_cache
    from benchmark.labels import bench_labels

    if find_spec("mujoco") is None:
        say("cases labels-*: left out, MuJoCo is not installed; pip install mujoco")
        return []
    return list(bench_labels(quick, default_cache(), say))


def _unknown(quick: bool, say: Callable[[str], None]) -> list[Measurement]:
    from benchmark.events import default_cache
    from benchmark.unknown import bench_unknown

    if find_spec("mujoco") is None:
        say("cases unknown-*: left out, MuJoCo is not installed; pip install mujoco")
        return []
    return list(bench_unknown(quick, default_cache(), say))


def _names(quick: bool, say: Callable[[str], None]) -> list[Measurement]:
    from benchmark.events import default_cache
    from benchmark.names import bench_names

    if find_spec("mujoco") is None:
        say("cases names-*: left out, MuJoCo is not installed; pip install mujoco")
        return []
    return list(bench_names(quick, default_cache(), say))


def _touchdowns(say: Callable[[str], None]) -> list[Measurement]:
    from benchmark.touchdowns import bench_touchdowns

    data = _data("touchdowns-*", say)
    return bench_touchdowns(data) if data else []


def _unseen_arms(quick: bool, say: Callable[[str], None]) -> list[Measurement]:
    from benchmark.other_arms import models
    from benchmark.unseen_arms import bench_unseen_arms

    if find_spec("mujoco") is None or models() is None:
        say("cases unseen-*: left out; pip install mujoco; pip install --no-deps robosuite")
        return []
    return list(bench_unseen_arms(quick, say))


def _data(cases: str, say: Callable[[str], None]) -> Path | None:
    from benchmark import borealtc

    data = borealtc.data_file().parents[1]
    if data.is_dir():
        return data
    say(f"cases {cases}: left out, {data} does not exist; set TAO_LORA_DATA")
    return None


def _latency(options: Namespace) -> None:
    import torch

    logging.disable(logging.INFO)  # ONNX's exporter and quantiser report every node
    from tao_lora_ros.benchmarks.latency import PACKAGES, QUICK, Size, bench_latency

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cpu":
        from benchmark.cpu_peers import CPU_PEERS as PEERS
    else:
        from benchmark.gpu_peers import GPU_PEERS as PEERS
    size = QUICK if options.quick else Size()
    arguments = [f"--device {device}", *["--quick"] * options.quick]
    if options.model:
        size = replace(size, models=(options.model,))
        arguments.append(f"--model {options.model}")
    if options.batch:
        size = replace(size, batches=(options.batch,))
        arguments.append(f"--batch {options.batch}")
    rows = bench_latency(size, device, options.only, progress(), PEERS)
    arguments += [f"--only {subject}" for subject in options.only]
    _report(options, "latency", arguments, PACKAGES, rows)


def _node(options: Namespace) -> None:
    from benchmark.plain_node import PLAIN, plain_command
    from tao_lora_ros.benchmarks.node import PACKAGES, bench_node, our_command

    subjects = {OURS: our_command, PLAIN: plain_command}
    rows = bench_node(options.case, options.seconds, progress(), subjects)
    arguments = [f"--seconds {options.seconds:g}", *(f"--case {case}" for case in options.case)]
    _report(options, "node", arguments, PACKAGES, rows)


def _accuracy(options: Namespace) -> None:
    from benchmark import accuracy
    from benchmark.events import default_cache

    size = accuracy.QUICK if options.quick else accuracy.Size()
    rows = accuracy.bench_accuracy(
        size, default_cache(), progress(), options.part or accuracy.PARTS
    )
    if options.json:
        kept = read_results(options.json) if options.json.exists() else []
        measured = {accuracy.part_of(row) for row in rows}
        together = [row for row in kept if accuracy.part_of(row) not in measured] + rows
        there = {accuracy.part_of(row) for row in together}
        arguments = ["--quick"] * options.quick
        arguments += [f"--part {part}" for part in accuracy.PARTS if part in there]
        command = _command("accuracy", arguments)
        write_results(options.json, command, accuracy.PACKAGES, together)
    print(table(accuracy.without_spread(rows)))
    if options.plot:
        accuracy.plot(rows, options.plot)


def _report(
    options: Namespace,
    part: str,
    arguments: Sequence[str],
    packages: Iterable[str],
    rows: Sequence[Measurement],
) -> None:
    if options.json:
        write_results(options.json, _command(part, arguments), packages, rows)
    print(table(rows))


def _command(part: str, arguments: Sequence[str]) -> str:
    words = " ".join(arguments)
    return f"make bench PART={part}" + (f' ARGS="{words}"' if words else "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one part."""
    options = _parser().parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    main()
