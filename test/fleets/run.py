"""`make fleet [ARGS="--bags 200 --kills 20"]`: many bags give what they give one by one.

Has a sparse bag of many gigabytes streamed. Then simulates bags, replays them one by one, on
processes, on a local Ray cluster of two workers (where Ray is installed) and with processes killed
at random, and compares the tables byte for byte. Ends with 1 where anything differs.
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

from fleets.kills import kill_and_resume
from fleets.sparse_bag import write_sparse_bag
from fleets.tables import content

from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.model.artifact import default_artifact, load_artifact
from tao_lora_ros.simulation.recording import SimulationConfig, simulate, write_recording

_TAO_LORA = [sys.executable, "-m", "tao_lora_ros.cli.entry"]
_DIFFERENT = 10  # simulated recordings; the others are their copies
_FOREIGN = Path(os.environ.get("TAO_LORA_DATA", "../shared/data")).resolve() / "bags"


def main() -> int:
    """Run all of it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bags", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each simulated bag")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--gigabytes", type=float, default=10.0, help="of the sparse bag")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # Loops are compiled for the place that they are imported from: here, before it is timed.
    Pipeline(Settings(), load_artifact(default_artifact())).warm()
    with tempfile.TemporaryDirectory(prefix="tao_lora_fleet_") as name:
        folder = Path(name)
        wrong = _long_bag(folder, options.gigabytes)
        return int(_tables(folder, options) or wrong)


def _tables(folder: Path, options: argparse.Namespace) -> bool:
    """Whether any way of running gives other tables than one by one."""
    bags = _make_bags(folder / "bags", options.bags, options.seconds)
    one_s = _timed(_command(bags, folder / "one", "--workers", "1"))
    expected = content(folder / "one")
    print(f"one by one: {one_s:.1f} s, {len(expected)} bytes of rows", flush=True)
    cores = len(os.sched_getaffinity(0))
    two_s = _timed(_command(bags, folder / "two", "--workers", "2"))
    print(f"2 processes on {cores} cores: {two_s:.1f} s, {one_s / two_s:.2f} times as fast")
    wrong = _said("2 processes", content(folder / "two") != expected)
    with _cluster() as address:
        if address:
            ray_s = _timed(_command(bags, folder / "ray", "--ray", address))
            print(f"Ray, 2 workers: {ray_s:.1f} s, {one_s / ray_s:.2f} times as fast")
            wrong |= _said("Ray", content(folder / "ray") != expected)
    command = _command(bags, folder / "killed", "--workers", "2")
    killed = kill_and_resume(command, folder / "killed", options.kills, options.seed)
    return wrong | _said(f"kill -9 {killed}", content(folder / "killed") != expected)


def _make_bags(folder: Path, count: int, seconds: float) -> list[str]:
    for number in range(count):
        bag = folder / f"robot_{number % _DIFFERENT}" / f"run_{number // _DIFFERENT}"
        bag.parent.mkdir(parents=True, exist_ok=True)
        if number < _DIFFERENT:
            write_recording(simulate(SimulationConfig(seconds, number)), bag)
        else:
            shutil.copytree(bag.parent / "run_0", bag, copy_function=os.link)
    return [str(folder), *([str(_FOREIGN)] if _FOREIGN.exists() else [])]


def _command(bags: list[str], table: Path, *arguments: str) -> list[str]:
    return [*_TAO_LORA, "replay", *bags, "--table", str(table), "--windows", *arguments]


def _timed(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def _said(what: str, differs: bool) -> bool:
    print(f"{what}: {'DIFFERENT' if differs else 'equal tables'}", flush=True)
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


def _long_bag(folder: Path, gigabytes: float) -> bool:
    """Whether a process over a long bag takes more than 500 MiB; before any other was started."""
    bag = folder / "long.mcap"
    seconds = write_sparse_bag(bag, int(gigabytes * 1e9))
    took_s = _timed(_command([str(bag)], folder / "long", "--workers", "1", "--strict"))
    most_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    size = bag.stat().st_size / 1e9
    print(f"{size:.1f} GB, {seconds:.0f} s long: {took_s:.1f} s; {most_mib:.0f} MiB at most")
    return most_mib > 500


if __name__ == "__main__":
    sys.exit(main())
