"""A run over many bags: what is not done yet is, and the tables are made of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tao_lora_ros.fleet.find import Bag
from tao_lora_ros.fleet.table import Table
from tao_lora_ros.fleet.task import How, Outcome, Task, failed, replay_bag
from tao_lora_ros.fleet.workers import MOST_TRIES, Open, done


@dataclass
class Run:
    """A run over many bags, as far as it is.

    Attributes:
        bags: all that were asked for.
        skipped: had been done before.
        finished: done now.
        failed: of all, those that gave an error.
        robot_s: seconds of recordings replayed now.
        seconds: since the beginning.
        bytes_done: of the bags replayed now, of `bytes_all`.
    """

    bags: int
    skipped: int = 0
    finished: int = 0
    failed: int = 0
    events: int = 0
    robot_s: float = 0.0
    seconds: float = 0.0
    bytes_done: int = 0
    bytes_all: int = 0

    @property
    def speed(self) -> float:
        """Seconds of recordings a second."""
        return self.robot_s / max(self.seconds, 1e-9)

    @property
    def left_s(self) -> float:
        """Seconds that the rest takes, by its bytes."""
        left = self.bytes_all - self.bytes_done
        return self.seconds * left / self.bytes_done if self.bytes_done else float("inf")


def replay_all(
    bags: Sequence[Bag],
    how: How,
    folder: Path,
    workers: Open,
    tell: Callable[[Bag, str, Run], None] = lambda *_: None,
) -> Run:
    """Replay bags into the tables of a folder; those done before with the same result are left.

    Args:
        bags: each another.
        how: how all are replayed.
        folder: of the tables.
        workers: opens what does a function for many items.
        tell: called with a bag that is done, its error (empty where there is none), and how far the
            run is.

    Raises:
        FleetError: another run is writing there, or the workers cannot be used.
    """
    with Table(folder) as table:
        table.forget_files_of(bag.name for bag in bags)
        tasks = [task for bag in bags if (task := _task(bag, how, table))]
        tasks.sort(key=lambda task: -task.bag.size)  # the last ones to end are short
        run = Run(len(bags), len(bags) - len(tasks), bytes_all=sum(t.bag.size for t in tasks))
        kept = {bag.name for bag in bags} - {task.bag.name for task in tasks}
        run.failed = sum(bool(table.receipts[name].row.get("error")) for name in kept)
        begun = time.perf_counter()
        try:
            with workers(partial(replay_bag, how)) if tasks else nullcontext() as opened:
                for task, outcome in done(opened, tasks) if opened else ():
                    outcome = outcome or failed(task, f"its worker died {MOST_TRIES} times")
                    table.put(outcome)
                    run.seconds = time.perf_counter() - begun
                    tell(task.bag, _count(outcome, table, run), run)
        finally:
            table.assemble()
    return run


def _task(bag: Bag, how: How, table: Table) -> Task | None:
    """What is to be done of a bag; None where its files are those that were done in this way."""
    receipt = table.receipts.get(bag.name)
    if receipt is None:
        return Task(bag)
    same = receipt.key and receipt.key == how.key(bag, receipt.row["bag_sha256"])
    unchanged = same and bag.stamp and receipt.stamp == bag.stamp
    return None if unchanged else Task(bag, receipt.key)


def _count(outcome: Outcome, table: Table, run: Run) -> str:
    row = table.receipts[outcome.bag.name].row
    error = str(row.get("error") or "")
    run.finished += outcome.row is not None
    run.skipped += outcome.row is None
    run.failed += bool(error)
    run.bytes_done += outcome.bag.size
    if outcome.row is not None:
        run.robot_s += row.get("duration") or 0.0
        run.events += row.get("events") or 0
    return error
