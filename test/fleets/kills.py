"""A command over many bags whose processes are killed at random, until it has done them all."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


def kill_and_resume(
    command: list[str],
    table: Path,
    kills: int,
    seed: int = 0,
    victims: Sequence[str] = ("worker", "driver"),
) -> dict[str, int]:
    """Kill a worker or the driver (the command itself) so often while it works, then let it end.

    Where it ended before all kills were done, its receipts are taken away by half.

    Returns:
        How often each was killed.

    Raises:
        RuntimeError: the command failed.
    """
    draw, killed = random.Random(seed), dict.fromkeys(victims, 0)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while sum(killed.values()) < kills:
        _wait_for_work(process, table)
        time.sleep(draw.uniform(0.0, 1.0))
        workers = _workers(process.pid)
        if process.poll() is None and workers:
            victim = draw.choice(victims)
            os.kill(process.pid if victim == "driver" else draw.choice(workers), signal.SIGKILL)
            killed[victim] += 1
        if process.poll() is not None or sum(killed.values()) == kills:
            process.wait()
            done = sorted((table / "receipts").glob("*.json"))
            for file in draw.sample(done, len(done) // 2):
                file.unlink()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    if process.wait():
        raise RuntimeError(f"{' '.join(command)}: status {process.returncode}")
    return killed


def _wait_for_work(process: subprocess.Popen, table: Path) -> None:
    """Until bags were done by this process, or it has ended."""
    before = _receipts(table)
    while process.poll() is None and _receipts(table) == before:
        time.sleep(0.01)


def _receipts(table: Path) -> set[tuple[str, int]]:
    return {(f.name, f.stat().st_mtime_ns) for f in (table / "receipts").glob("*.json")}


def _workers(pid: int) -> list[int]:
    """Processes that multiprocessing started for another."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        named = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    except OSError:
        return []
    return [child for child, line in named.items() if b"spawn_main" in line]
