"""`tao-lora bench`: measurements side by side with peers, as JSON and as tables."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tao_lora_ros.benchmarks.results import Measurement, read_results, table, write_results


def add_bench_parser(subparsers: Any) -> None:
    """Add `bench` and its own commands to the subparsers of `tao-lora`."""
    bench = subparsers.add_parser("bench", help="measure, side by side with peers")
    commands = bench.add_subparsers(required=True, metavar="COMMAND")

    _add_command(
        commands, "events", _events, "event detection: F1, delay, false alarms, cost"
    ).add_argument("--quick", action="store_true", help="about a tenth of it")
    latency = _add_command(commands, "latency", _latency, "time of one inference, host to host")
    latency.add_argument("--quick", action="store_true", help="fewer batch sizes and calls")
    latency.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is")
    latency.add_argument(
        "--only", action="append", default=[], metavar="SUBJECT", help="leave the others out"
    )
    _add_command(commands, "memory", _memory, "bytes of the weights, and bytes moved")
    node = _add_command(commands, "node", _node, "the node under load: CPU, latency, loss, memory")
    node.add_argument("--seconds", type=float, default=60.0, help="of each case (default 60)")
    node.add_argument(
        "--case", action="append", default=[], metavar="CASE", help="leave the others out"
    )

    precision = _add_command(
        commands, "accuracy", _accuracy, "every precision; fixed and routed hops"
    )
    precision.add_argument(
        "--plot", type=Path, metavar="FILE", help="plot error against bytes (PNG, SVG)"
    )
    precision.add_argument("--quick", action="store_true", help="little of it, badly trained")
    precision.add_argument(
        "--part",
        action="append",
        default=[],
        choices=("borealtc", "tcn", "sim", "hops"),
        help="that alone (repeatable); --json keeps a file's other parts",
    )

    show = commands.add_parser("table", help="the measurements of a JSON file as tables")
    show.set_defaults(run=_table)
    show.add_argument("file", type=Path)


def _add_command(
    commands: Any, name: str, run: Callable[[Namespace], None], what: str
) -> ArgumentParser:
    parser: ArgumentParser = commands.add_parser(name, help=what)
    parser.set_defaults(run=run)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements as JSON")
    return parser


def _events(options: Namespace) -> None:
    from tao_lora_ros.benchmarks.events import PACKAGES, QUICK, Size, bench_events, default_cache

    rows = bench_events(QUICK if options.quick else Size(), default_cache(), _progress())
    _report(options, "events" + " --quick" * options.quick, PACKAGES, rows)


def _latency(options: Namespace) -> None:
    import torch

    logging.disable(logging.INFO)  # ONNX's exporter and quantiser tell of every node
    from tao_lora_ros.benchmarks.latency import PACKAGES, QUICK, Size, bench_latency

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    size = QUICK if options.quick else Size()
    rows = bench_latency(size, device, options.only, _progress())
    command = f"latency --device {device}" + " --quick" * options.quick
    command += "".join(f" --only {subject}" for subject in options.only)
    _report(options, command, PACKAGES, rows)


def _memory(options: Namespace) -> None:
    from tao_lora_ros.benchmarks.memory import PACKAGES, bench_memory

    _report(options, "memory", PACKAGES, bench_memory())


def _node(options: Namespace) -> None:
    from tao_lora_ros.benchmarks.node import PACKAGES, bench_node

    rows = bench_node(options.case, options.seconds, _progress())
    command = f"node --seconds {options.seconds:g}"
    command += "".join(f" --case {case}" for case in options.case)
    _report(options, command, PACKAGES, rows)


def _progress() -> Callable[[str], None]:
    begun = time.monotonic()
    return lambda line: print(f"{time.monotonic() - begun:6.0f} s  {line}", flush=True)


def _report(
    options: Namespace, command: str, packages: Iterable[str], rows: Sequence[Measurement]
) -> None:
    if options.json:
        write_results(options.json, f"tao-lora bench {command}", packages, rows)
    print(table(rows))


def _accuracy(options: Namespace) -> None:
    from tao_lora_ros.benchmarks import accuracy
    from tao_lora_ros.benchmarks.events import default_cache

    size = accuracy.QUICK if options.quick else accuracy.Size()
    rows = accuracy.bench_accuracy(
        size, default_cache(), _progress(), options.part or accuracy.PARTS
    )
    if options.json:
        kept = read_results(options.json) if options.json.exists() else []
        measured = {accuracy.part_of(row) for row in rows}
        together = [row for row in kept if accuracy.part_of(row) not in measured] + rows
        there = {accuracy.part_of(row) for row in together}
        command = "accuracy" + " --quick" * options.quick
        command += "".join(f" --part {part}" for part in accuracy.PARTS if part in there)
        write_results(options.json, f"tao-lora bench {command}", accuracy.PACKAGES, together)
    print(table(accuracy.without_spread(rows)))
    if options.plot:
        accuracy.plot(rows, options.plot)


def _table(options: Namespace) -> None:
    print(table(read_results(options.file)))


def main() -> None:
    """`python -m tao_lora_ros.cli.bench latency`: alone, where what other commands import lacks."""
    parser = argparse.ArgumentParser(prog="tao-lora")
    add_bench_parser(parser.add_subparsers(required=True))
    options = parser.parse_args(["bench", *sys.argv[1:]])
    options.run(options)


if __name__ == "__main__":
    main()
