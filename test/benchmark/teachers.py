"""What a peer says of runs that it never saw, for fits to learn from beside the labels.

A fit that holds out fold f is taught about the runs of fold g by a peer fitted without both, so
nothing of f reaches it.

python -m benchmark.teachers multirocket-hydra-ridge --out teacher.npz
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark import borealtc
from benchmark.series_peers import SUBJECTS, Task, tasks_of
from tao_lora_ros.training.folds import Fold

Said = dict[tuple[int, int], NDArray[np.float32]]  # by fold held out and run, margins [n, L]


def taught(file: Path, tasks: Sequence[Task]) -> Said:
    """Probabilities, as sure as they should have been over all runs that are trained on."""
    with np.load(file) as kept:
        margins = {tuple(int(n) for n in key.split("|")): kept[key] for key in kept.files}
    runs = dict(part for task in tasks for part in task.fold.held_out)
    label = {n: tasks[0].labels.index(run.spans[0].label) for n, run in runs.items()}
    scales = np.geomspace(0.2, 20.0, 25)
    found: Said = {}
    for fold in range(len(tasks)):
        own = {run: torch.from_numpy(m) for (f, run), m in margins.items() if f == fold}

        def surprise(by: float, own: dict[int, torch.Tensor] = own) -> float:
            logs = [-(by * m).log_softmax(dim=1)[:, label[run]].sum() for run, m in own.items()]
            return float(sum(logs))

        by = float(min(scales, key=surprise))
        found |= {(fold, run): (by * m).softmax(dim=1).numpy() for run, m in own.items()}
    return found


def _pair(subject: str, tasks: Sequence[Task], folds: tuple[int, int]) -> Said:
    """Of the runs of both folds, for fits that hold out the other."""
    torch.set_num_threads(1)
    training = [p for i, task in enumerate(tasks) if i not in folds for p in task.fold.held_out]
    first = tasks[folds[0]]
    task = replace(first, fold=Fold(training, []))
    predict = SUBJECTS[subject](task)
    found: Said = {}
    for own, other in (folds, folds[::-1]):
        for number, run in tasks[own].fold.held_out:
            for batch in task.halves([(number, run)]):
                if len(batch.labels):
                    said = predict(batch.windows.numpy())
                    found[other, number] = np.asarray(said, np.float32)
    return found


def main() -> None:
    """Fit a peer without each two folds, and keep what it says of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subject", choices=tuple(SUBJECTS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    runs = borealtc.imported_runs(Path(tempfile.gettempdir()) / "tao-lora-bench" / "borealtc")
    tasks = tasks_of(runs, 0, 600, 0)
    pairs = list(combinations(range(len(tasks)), 2))
    with ProcessPoolExecutor(options.processes) as pool:
        waiting = [pool.submit(_pair, options.subject, tasks, pair) for pair in pairs]
        said = [part.result() for part in waiting]
    named: dict[str, Any] = {f"{fold}|{run}": m for part in said for (fold, run), m in part.items()}
    np.savez_compressed(options.out, **named)


if __name__ == "__main__":
    main()
