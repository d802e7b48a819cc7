"""`tao-lora replay BAGS... --table FOLDER`: many bags on all cores or a Ray cluster."""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import ArgumentParser, Namespace
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn

from tao_lora_ros.cli.arguments import UsageError, expression, part_of, whole
from tao_lora_ros.cli.chosen import ready
from tao_lora_ros.cli.outputs import add_output, tell
from tao_lora_ros.engine.settings import read_settings
from tao_lora_ros.fleet.find import Bag, find_bags
from tao_lora_ros.fleet.gpu import check_gpu, gpu_process
from tao_lora_ros.fleet.pool import Pool
from tao_lora_ros.fleet.run import Run, replay_all
from tao_lora_ros.fleet.table import check_folder
from tao_lora_ros.fleet.task import How, artifact_sha256
from tao_lora_ros.fleet.workers import LocalWorkers, Open
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.model.artifact import default_artifact, load_artifact

_ONE_BAG = ("report", "rerun", "out", "store", "expect", "calibrate")
_MANY_BAGS = ("workers", "ray", "robot", "strict", "device")
_IN_TABLE = Path("-")
_COUNT = whole(1, 1024)  # of processes
_SAY_S = 30.0  # between lines of progress where nobody sees a bar


def add_workers_arguments(parser: ArgumentParser, default: str = "one a core") -> None:
    """`--workers` and `--ray`: what works on many bags."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=_COUNT, metavar="N", help=f"processes (default: {default})"
    )
    where.add_argument(
        "--ray", metavar="ADDRESS", help="a Ray cluster that runs; auto: one that runs here"
    )


def add_pool_arguments(parser: ArgumentParser) -> None:
    """What a command over many bags takes that is no replay."""
    add_workers_arguments(parser, "this one alone")
    _add_strict(parser)


def _add_strict(parser: ArgumentParser) -> None:
    what = "status 1 where a bag cannot be used"
    parser.add_argument("--strict", action="store_true", help=what)


def pool_of(options: Namespace) -> Pool:
    """What reads many bags, as the options say; `options.pool` from here on."""
    asked = options.workers is not None or options.ray
    options.pool = Pool(workers_of(options) if asked else None)
    return options.pool


def status_of(options: Namespace) -> int:
    """1 where a bag failed and that was asked for."""
    return int(options.strict and bool(options.pool.failed))


def add_table_arguments(parser: ArgumentParser) -> None:
    """What a replay of many bags takes beside what one takes."""
    what = "many bags: Parquet tables, gone on with"
    add_output(parser, "--table", grows=True, metavar="FOLDER", help=what)
    parser.add_argument(
        "--robot",
        type=expression,
        default="",
        metavar="REGEX",
        help="the robot is this expression's first group in a bag's path (default: its folder)",
    )
    add_output(
        parser,
        "--windows",
        nargs="?",
        const=_IN_TABLE,
        needs="pyarrow",
        metavar="FILE",
        help="write a row a window as Parquet, to FILE or, with --table, into a table of them",
    )
    _add_strict(parser)
    parser.add_argument(
        "--device",
        choices=("cuda",),
        help="with --table: run the model on a GPU, on windows of all bags together",
    )
    add_workers_arguments(parser)


def workers_of(options: Namespace) -> Open:
    """What opens the workers that were asked for."""
    if options.ray:
        from tao_lora_ros.fleet.ray_workers import RayWorkers, check_address

        check_address(options.ray)
        return partial(RayWorkers, address=options.ray)
    count = len(os.sched_getaffinity(0)) if options.workers is None else options.workers
    return partial(LocalWorkers, count=count)


def _gpu_of(options: Namespace) -> AbstractContextManager[str]:
    """Opens the GPU that was asked for; gives its address, empty without one."""
    if not options.device:
        return nullcontext("")
    if options.ray:
        raise UsageError("--device cuda is of this machine, it does not go with --ray")
    check_gpu("the CPU needs no --device")
    return gpu_process()


def how_of(options: Namespace) -> How:
    """How the options say that each bag is replayed.

    Raises:
        TaoLoraError: the parameter file or the model will not do.
    """
    settings = read_settings(options.params_file)
    model = options.model or settings.model or default_artifact()
    said = [asdict(settings) | {"model": ""}, bool(options.params_file), options.topic]
    said += [artifact_sha256(load_artifact(Path(model))), options.device]
    names = ("topic", "params_file", "model", "from_s", "to_s")
    asked = Namespace(**{name: getattr(options, name) for name in names})
    return How(
        partial(ready, asked), json.dumps(said), part_of(options), options.windows is not None
    )


def refuse_without_table(options: Namespace) -> None:
    """Refuse what only a replay of many bags takes."""
    if len(options.bags) > 1:
        raise UsageError(f"{len(options.bags)} bags: these need --table FOLDER")
    for name in _MANY_BAGS:
        if getattr(options, name):
            raise UsageError(f"--{name} is of many bags, it needs --table FOLDER")
    if options.windows == _IN_TABLE:
        raise UsageError("--windows needs a FILE, or --table FOLDER")


def replay_into_table(options: Namespace) -> int:
    """`tao-lora replay BAGS... --table FOLDER`; 1 where a bag failed and that was asked for."""
    for name in _ONE_BAG:
        if getattr(options, name):
            raise UsageError(f"--{name} is of one bag, it does not go with --table")
    if options.windows not in (None, _IN_TABLE):
        raise UsageError(f"--windows {options.windows}: no FILE goes with --table; put it last")
    run = replay_into(options.table, options)
    summary = (
        f"{run.bags} bags: {run.finished} replayed, {run.skipped} done before, {run.failed} bad; "
        f"{run.events} events in {run.robot_s:.0f} s of recordings, "
        f"{run.speed:.0f} times real time"
    )
    names = ("bags", "finished", "skipped", "failed", "events", "robot_s", "speed")
    found = {name: getattr(run, name) for name in names}
    tell(options, found | {"table": str(options.table)}, [summary, str(options.table)])
    return int(options.strict and run.failed > 0)


def replay_into(table: Path, options: Namespace) -> Run:
    """Replay the bags that the options name into a table, and tell how far it is."""
    check_folder(table)
    gpu, workers, how = _gpu_of(options), workers_of(options), how_of(options)
    bags = find_bags(options.bags, options.robot)  # last: it may take long
    with gpu as address, _Shown() as shown_run:
        return replay_all(bags, replace(how, gpu=address), table, workers, shown_run.tell)


class _Shown:
    """Tells how far a run is: by a bar on a terminal, else by a line now and then."""

    def __init__(self) -> None:
        columns = BarColumn(), TextColumn("{task.description}")
        self._bar = Progress(*columns, transient=True, disable=not sys.stderr.isatty())
        self._task = self._bar.add_task("", total=None)
        self._said_s = time.monotonic()

    def tell(self, bag: Bag, error: str, run: Run) -> None:
        text = f"{run.finished + run.skipped} of {run.bags} bags, {run.failed} bad"
        text += f", {run.speed:.0f} times real time, {run.left_s:.0f} s left"
        self._bar.update(
            self._task, description=text, completed=run.bytes_done, total=run.bytes_all
        )
        named = error if error.startswith(bag.name) else f"{bag.name}: {error}"
        lines = [shown(named, MOST_LINE)] if error else []
        if self._bar.disable and time.monotonic() - self._said_s > _SAY_S:
            self._said_s = time.monotonic()
            lines.append(text)
        for line in lines:
            print(line, file=sys.stderr)

    def __enter__(self) -> _Shown:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
