"""`make fleet [ARGS="--part kills --bags 200 --seconds 3"]`: many bags as one by one.

Parts, in this order: a sparse bag of many gigabytes streams (`long`); simulated bags give the same
tables, byte for byte, one by one, on two processes and on a local Ray cluster of two workers, where
Ray is installed (`tables`), and with processes killed at random (`kills`); other commands write the
same files (`commands`); what a bag costs on one process and on two (`scaling`). Ends with 1 where
anything differs.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from fleets.commands import written
from fleets.kills import kill_and_resume
from fleets.sparse_bag import write_sparse_bag
from fleets.tables import content
from numpy.typing import NDArray

from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.model.artifact import default_artifact, load_artifact
from tao_lora_ros.simulation.recording import SimulationConfig, record

_TAO_LORA = [sys.executable, "-m", "tao_lora_ros.cli.entry"]
_CORES = os.sched_getaffinity(0)
_DIFFERENT = 10  # simulated recordings; the others are their copies
_FOREIGN = Path(os.environ.get("TAO_LORA_DATA", "../shared/data")).resolve() / "bags"


def main() -> int:
    """Run the parts that were asked for; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=_PARTS, help="default: all")
    parser.add_argument("--bags", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each simulated bag")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--gigabytes", type=float, default=10.0, help="of the sparse bag")
    parser.add_argument("--turns", type=int, default=1, help="of the scaling")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # Loops are compiled for the place that they are imported from: here, before it is timed.
    Pipeline(Settings(), load_artifact(default_artifact())).warm()
    with tempfile.TemporaryDirectory(prefix="tao_lora_fleet_") as name:
        parts = options.part or list(_PARTS)
        wrong = [part(Path(name), options) for key, part in _PARTS.items() if key in parts]
    return int(any(wrong))


def _tables(folder: Path, options: argparse.Namespace) -> bool:
    """Whether two processes or a Ray cluster give other tables than one by one."""
    bags, expected = _one_by_one(folder, options)
    _spent(_command(bags, folder / "two", "--workers", "2"))
    wrong = _said("2 processes", content(folder / "two") != expected)
    with _cluster() as address:
        if address:
            _spent(_command(bags, folder / "ray", "--ray", address))
            wrong |= _said("Ray, 2 workers", content(folder / "ray") != expected)
    return wrong


def _commands(folder: Path, options: argparse.Namespace) -> bool:
    """Whether import, calibrate, train and evaluate write other files with workers than alone."""
    bags = _make_bags(folder / "bags", 3, min(options.seconds, 6.0))
    expected = written(_TAO_LORA, bags, folder / "alone")
    found = written(_TAO_LORA, bags, folder / "on_two", "--workers", "2")
    wrong = _said(f"2 processes, {len(expected)} files of other commands", found != expected)
    with _cluster() as address:
        if address:
            found = written(_TAO_LORA, bags, folder / "on_ray", "--ray", address)
            wrong |= _said(f"Ray, {len(expected)} files of other commands", found != expected)
    return wrong


def _kills(folder: Path, options: argparse.Namespace) -> bool:
    """Whether kills at random give other tables than one by one."""
    bags, expected = _one_by_one(folder, options)
    command = _command(bags, folder / "killed", "--workers", "2")
    killed = kill_and_resume(command, folder / "killed", options.kills, options.seed)
    return _said(f"kill -9 {killed}", content(folder / "killed") != expected)


def _one_by_one(folder: Path, options: argparse.Namespace) -> tuple[list[str], bytes]:
    """The bags, and what all tables of them have to hold; replayed for the first part that asks."""
    bags = _make_bags(folder / "bags", options.bags, options.seconds)
    bags += [str(_FOREIGN)] if _FOREIGN.exists() else []
    _spent(_command(bags, folder / "one", "--workers", "1"))
    expected = content(folder / "one")
    print(f"one by one: {len(expected)} bytes of rows", flush=True)
    return bags, expected


def _scaling(folder: Path, options: argparse.Namespace) -> bool:
    """Tell what all bags take on one process and on one a core; that proves nothing by itself."""
    bags, cores = _make_bags(folder / "bags", options.bags, options.seconds), len(_CORES)
    for turn in range(options.turns):
        took = []
        for workers in (1, cores):
            table = folder / f"scaling_{turn}_{workers}"
            wall_s, cpu_s = _spent(_command(bags, table, "--workers", str(workers)))
            took.append((wall_s, cpu_s / workers))
            print(
                f"{len(bags)} bags of {options.seconds:g} s, {workers} processes, with starts: "
                f"{wall_s:.1f} s, {cpu_s / workers:.1f} CPU s a process; load "
                f"{os.getloadavg()[0]:.1f} on {cores} cores",
                flush=True,
            )
        wall, cpu = ((one / many) / cores for one, many in zip(*took, strict=True))
        print(f"scaling: {wall:.2f} N by time, {cpu:.2f} N by CPU time", flush=True)
    return False


def _make_bags(folder: Path, count: int, seconds: float) -> list[str]:
    bags = []
    for number in range(count):
        bag = folder / f"robot_{number % _DIFFERENT}" / f"run_{number // _DIFFERENT}"
        bags.append(str(bag))
        if bag.exists():
            continue
        bag.parent.mkdir(parents=True, exist_ok=True)
        if number < _DIFFERENT:
            record(SimulationConfig(seconds, number), bag)
        else:
            shutil.copytree(bag.parent / "run_0", bag, copy_function=os.link)
    return bags


def _command(bags: list[str], table: Path, *arguments: str) -> list[str]:
    return [*_TAO_LORA, "replay", *bags, "--table", str(table), "--windows", *arguments]


def _spent(command: list[str]) -> NDArray[np.float64]:
    """Run a command; seconds on the wall and of the CPU that it took with all its processes."""
    begun = _clocks()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[-4:])}: status {done.returncode}: {done.stderr[-2000:]}")
    return _clocks() - begun


def _clocks() -> NDArray[np.float64]:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return np.array([time.perf_counter(), used.ru_utime + used.ru_stime])


def _said(what: str, differs: bool) -> bool:
    print(f"{what}: {'DIFFERENT' if differs else 'equal'}", flush=True)
    return differs


@contextmanager
def _cluster() -> Iterator[str]:
    """The address of a Ray cluster of two workers; empty where Ray is not installed."""
    try:
        from ray.cluster_utils import Cluster
    except ImportError:
        print("Ray: not installed, skipped")
        yield ""
        return
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def _long(folder: Path, options: argparse.Namespace) -> bool:
    """Whether a process over a long bag takes more than 500 MiB; before any other was started."""
    bag = folder / "long.mcap"
    seconds = write_sparse_bag(bag, int(options.gigabytes * 1e9))
    took_s, _ = _spent(_command([str(bag)], folder / "long", "--workers", "1", "--strict"))
    most_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    size = bag.stat().st_size / 1e9
    bag.unlink()
    print(f"{size:.1f} GB, {seconds:.0f} s long: {took_s:.1f} s; {most_mib:.0f} MiB at most")
    return most_mib > 500


_PARTS = {
    **{"long": _long, "tables": _tables, "commands": _commands},
    **{"kills": _kills, "scaling": _scaling},
}


if __name__ == "__main__":
    sys.exit(main())
