"""`tao-lora bench`: what the model and the node cost on this machine, as JSON and as tables."""

from __future__ import annotations

import argparse
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tao_lora_ros.benchmarks.results import OURS, Measurement, read_results, results, table
from tao_lora_ros.cli.arguments import MOST_S, UsageError, number
from tao_lora_ros.cli.outputs import add_json_and_force, check_outputs, tell
from tao_lora_ros.fleet.gpu import check_gpu


def add_bench_parser(subparsers: Any) -> None:
    """Add `bench` and its own commands to the subparsers of `tao-lora`."""
    bench = subparsers.add_parser("bench")
    commands = bench.add_subparsers(required=True, metavar="COMMAND")

    latency = _add_command(commands, "latency", _latency, "time of one inference, host to host")
    latency.add_argument("--quick", action="store_true", help="fewer batch sizes and calls")
    latency.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is")
    latency.add_argument(
        "--only", action="append", default=[], metavar="SUBJECT", help="leave the others out"
    )
    _add_command(commands, "memory", _memory, "bytes of the weights, and bytes moved")
    node = _add_command(commands, "node", _node, "the node under load: CPU, latency, loss, memory")
    lasting = number(least=1.0, most=MOST_S)
    node.add_argument("--seconds", type=lasting, default=60.0, help="of each case")
    node.add_argument(
        "--case", action="append", default=[], metavar="CASE", help="leave the others out"
    )

    show = commands.add_parser("table", help="the measurements of a JSON file as tables")
    show.set_defaults(run=_table)
    show.add_argument("file", type=Path, help="what --json of the others wrote")


def _add_command(
    commands: Any, name: str, run: Callable[[Namespace], None], what: str
) -> ArgumentParser:
    parser: ArgumentParser = commands.add_parser(name, help=what)
    parser.set_defaults(run=run)
    add_json_and_force(parser)
    return parser


def _latency(options: Namespace) -> None:
    import torch

    from tao_lora_ros.benchmarks.latency import AUTO, LOOP, PACKAGES, QUICK, Size, bench_latency

    if options.device == "cuda":
        check_gpu("take --device cpu")
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    size = QUICK if options.quick else Size()
    _check_names("--only", options.only, (LOOP, OURS, *[AUTO] * (device == "cuda")))
    rows = bench_latency(size, device, options.only, progress(), peers={})
    command = f"latency --device {device}" + " --quick" * options.quick
    command += "".join(f" --only {subject}" for subject in options.only)
    _report(options, command, PACKAGES, rows)


def _memory(options: Namespace) -> None:
    from tao_lora_ros.benchmarks.memory import PACKAGES, bench_memory

    _report(options, "memory", PACKAGES, bench_memory())


def _node(options: Namespace) -> None:
    from tao_lora_ros.benchmarks.node import CASES, PACKAGES, bench_node, our_command

    _check_names("--case", options.case, [case.name for case in CASES])
    rows = bench_node(options.case, options.seconds, progress(), {OURS: our_command})
    command = f"node --seconds {options.seconds:g}"
    command += "".join(f" --case {case}" for case in options.case)
    _report(options, command, PACKAGES, rows)


def _check_names(option: str, given: Iterable[str], known: Iterable[str]) -> None:
    if unknown := set(given) - set(known):
        raise UsageError(f"{option} {min(unknown)}: there are: {', '.join(known)}")


def progress() -> Callable[[str], None]:
    """Prints a line with the seconds that went by."""
    begun = time.monotonic()
    return lambda line: print(
        f"{time.monotonic() - begun:6.0f} s  {line}", flush=True, file=sys.stderr
    )


def _report(
    options: Namespace, command: str, packages: Iterable[str], rows: Sequence[Measurement]
) -> None:
    found = results(f"tao-lora bench {command}", packages, rows)
    tell(options, found, [table(rows)])


def _table(options: Namespace) -> None:
    print(table(read_results(options.file)))


def main() -> None:
    """`python -m tao_lora_ros.cli.bench latency`: alone, where what other commands import lacks."""
    parser = argparse.ArgumentParser(prog="tao-lora")
    add_bench_parser(parser.add_subparsers(required=True))
    options = parser.parse_args(["bench", *sys.argv[1:]])
    check_outputs(options)
    options.run(options)


if __name__ == "__main__":
    main()
