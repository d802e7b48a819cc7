"""Ways to train, held against each other on folds of whole runs: what generalises better?

python -m benchmark.ways --steps 600 --seeds 3 --out ways.npz [WAY...]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark import borealtc
from benchmark.series_peers import tasks_of
from benchmark.stacked_fits import Fit, Stack, Way
from benchmark.teachers import taught
from tao_lora_ros.training.augment import Augmentation
from tao_lora_ros.training.fit_config import BATCH
from tao_lora_ros.training.run_scores import confusion_of, scores_of

_GYRO = [i for i, name in enumerate(borealtc.CHANNELS) if "gyro" in name]


def _varied(**values: float) -> Way:
    return Way(replace(Augmentation(), **values))


WAYS = {
    "as it is": Way(),
    "decay 0.1": Way(decay=0.1),
    "decay 0.5": Way(decay=0.5),
    "decay 2": Way(decay=2.0),
    "labels smoothed by 0": Way(smoothing=0.0),
    "labels smoothed by 0.2": Way(smoothing=0.2),
    "averaging 0.99": Way(averaging=0.99),
    "averaging 0.995": Way(averaging=0.995),
    "averaging 0.999": Way(averaging=0.999),
    "forecast 0": Way(forecast=0.0),
    "forecast 2": Way(forecast=2.0),
    "runs alike": Way(lengths=0.0),
    "noise 0.1": Way(noise=0.1),
    "noise 0.2": Way(noise=0.2),
    "noise 0.4": Way(noise=0.4),
    "noise 0.8": Way(noise=0.8),
    "dropout 0.2": Way(dropout=0.2),
    "dropout 0.5": Way(dropout=0.5),
    "mixup 0.5": Way(mixup=0.5),
    "mixup 1": Way(mixup=1.0),
    "stretch 0.05": Way(stretch=0.05),
    "stretch 0.1": Way(stretch=0.1),
    "stretch 0.2": Way(stretch=0.2),
    "branch": Way(branch=True),
    "gain 0": _varied(scale=0.0),
    "gain 0.2": _varied(scale=0.2),
    "tilt 0": _varied(tilt_rad=0.0),
    "tilt 0.15": _varied(tilt_rad=0.15),
    "jitter 0.1": _varied(jitter=0.1),
    "loss of a quantity 0": _varied(dropout=0.0),
    "loss of a quantity 0.3": _varied(dropout=0.3),
    "no impacts": _varied(impact=0.0),
    "no turn, no mirror": _varied(turn=0.0, mirror=0.0),
    "rate 0.5": Way(rate=0.5),
    "rate 2": Way(rate=2.0),
    "robust 0.003": Way(robust=0.003),
    "robust 0.01": Way(robust=0.01),
    "robust 0.03": Way(robust=0.03),
    "loss of a quantity 0.03": _varied(dropout=0.03),
    "loss of a quantity 0, no impacts": _varied(dropout=0.0, impact=0.0),
    "loss of a quantity 0, averaging 0.999": replace(_varied(dropout=0.0), averaging=0.999),
    "loss of a quantity 0, mixup 0.5": replace(_varied(dropout=0.0), mixup=0.5),
    "loss of a quantity 0, branch": replace(_varied(dropout=0.0), branch=True),
}


TAUGHT = {f"teacher {share}": Way(teacher=share) for share in (0.2, 0.4, 0.6, 0.8)}


def main() -> None:
    """Fit all ways on all folds; print a table, and keep what was said of every window."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="*", default=[], metavar="WAY", help="default: all")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=150, help="fits side by side")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--teacher", type=Path, help="file of benchmark.teachers")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    runs = borealtc.imported_runs(Path(tempfile.gettempdir()) / "tao-lora-bench" / "borealtc")
    tasks = tasks_of(runs, 0, options.steps, 0)
    ways, teacher = dict(WAYS), {}
    if options.teacher:
        ways, teacher = ways | TAUGHT, taught(options.teacher, tasks)
    names = options.ways or list(ways)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    plan = [(n, s, f) for n in names for s in seeds for f in range(len(tasks))]
    without: dict[str, list[float]] = {name: [] for name in names}
    found: dict[tuple[str, int, int], NDArray[np.float32]] = {}
    truth: dict[int, NDArray[np.int64]] = {}
    for first in range(0, len(plan), options.at_once):
        part = plan[first : first + options.at_once]
        stack = Stack(tasks, [Fit(ways[n], s, f) for n, s, f in part], device, teacher)
        stack.train(options.steps, BATCH, seed=first + 1000 * options.first_seed)
        for key, (fit, probabilities, labels) in zip(part, stack.said(tasks), strict=True):
            found[key], truth[fit.fold] = probabilities.numpy(), labels.numpy()
        for key, (_, probabilities, labels) in zip(part, stack.said(tasks, _GYRO), strict=True):
            without[key[0]].append(float((probabilities.argmax(dim=1) == labels).float().mean()))
        print(f"{first + len(part)} of {len(plan)} fits", file=sys.stderr, flush=True)
        if options.out:
            named: dict[str, Any] = {
                f"{n}|{s}|{f}": p.astype(np.float16) for (n, s, f), p in found.items()
            }
            np.savez_compressed(options.out, **named)
    _print(found, truth, names, seeds)
    for name, right in without.items():
        print(f"| {name}, without a gyro | {np.mean(right):.4f} |")


def _print(
    found: dict[tuple[str, int, int], NDArray[np.float32]],
    truth: dict[int, NDArray[np.int64]],
    names: Sequence[str],
    seeds: Sequence[int],
) -> None:
    base: dict[str, NDArray[np.float64]] = {}
    for name in names:
        cells = []
        for metric in ("accuracy", "macro_f1"):
            scores = np.array(
                [[_score(found[name, s, f], truth[f], metric) for f in truth] for s in seeds]
            )
            more = (scores - base.setdefault(metric, scores)).mean(axis=0)
            error = more.std(ddof=1) / np.sqrt(len(more))
            between = scores.mean(axis=1).std(ddof=1) if len(seeds) > 1 else float("nan")
            cells += [f"{scores.mean():.4f}", f"{between:.4f}", f"{more.mean():+.4f} ± {error:.4f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _score(probabilities: NDArray[np.float32], truth: NDArray[np.int64], metric: str) -> float:
    labels = probabilities.shape[1]
    confusion = confusion_of(truth, probabilities.argmax(axis=1), labels)
    return float(scores_of(confusion[None])[metric][0])


if __name__ == "__main__":
    main()
