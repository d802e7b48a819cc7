"""`tao-lora bench`: measurements side by side with peers, as JSON and as tables."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from tao_lora_ros.benchmarks.events import PACKAGES, QUICK, Size, bench_events, default_cache
from tao_lora_ros.benchmarks.results import read_results, table, write_results


def add_bench_parser(subparsers: Any) -> None:
    """Add `bench` and its own commands to the subparsers of `tao-lora`."""
    bench = subparsers.add_parser("bench", help="measure, side by side with peers")
    commands = bench.add_subparsers(required=True, metavar="COMMAND")

    events = commands.add_parser("events", help="event detection: F1, delay, false alarms, cost")
    events.set_defaults(run=_events)
    events.add_argument("--json", type=Path, metavar="FILE", help="write the measurements as JSON")
    events.add_argument("--quick", action="store_true", help="about a tenth of it")

    show = commands.add_parser("table", help="the measurements of a JSON file as tables")
    show.set_defaults(run=_table)
    show.add_argument("file", type=Path)


def _events(options: Namespace) -> None:
    begun = time.monotonic()
    rows = bench_events(
        QUICK if options.quick else Size(),
        default_cache(),
        lambda line: print(f"{time.monotonic() - begun:6.0f} s  {line}", flush=True),
    )
    if options.json:
        command = "tao-lora bench events" + " --quick" * options.quick
        write_results(options.json, command, PACKAGES, rows)
    print(table(rows))


def _table(options: Namespace) -> None:
    print(table(read_results(options.file)))
