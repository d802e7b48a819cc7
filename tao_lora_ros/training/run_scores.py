"""How good a model is on whole runs that it never saw: tables of scores, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.training.dataset import UNKNOWN

_DRAWS = 1000  # sets of one run of each label
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class RunScore:
    """What was said of the windows of one run, or of a stretch of it.

    Args:
        number: of the run.
        name: of it.
        confusion: windows by what they are and by what was said, [L, L].
    """

    number: int
    name: str
    confusion: Counts


def confusion_of(truth: Counts, said: Counts, labels: int) -> Counts:
    """Windows by label (-1: left out) and by what was said, [labels, labels]."""
    known = truth != UNKNOWN
    pairs = truth[known] * labels + said[known]
    return np.bincount(pairs, minlength=labels**2).reshape(labels, labels)


def score_table(folds: Sequence[Sequence[RunScore]], labels: tuple[str, ...]) -> dict[str, Any]:
    """Scores of runs that were held out, fold by fold.

    Returns:
        `windows`; `accuracy` and `macro_f1`, each the `mean` over folds and its `spread` (standard
        deviation), and the same of `one_run_a_label`: of sets drawn of one run of each label;
        `of_runs`, the accuracy run by run; the counts `confusion` [truth][said]; rows of `classes`
        and `runs`. What cannot be told is NaN.
    """
    parts = [score for fold in folds for score in fold if score.confusion.any()]
    whole = _whole(parts)
    by_run = np.array([run.confusion for run in whole]).reshape(-1, len(labels), len(labels))
    by_fold = np.array([sum(s.confusion for s in fold) for fold in folds if fold], np.int64)
    confusion = by_run.sum(axis=0)
    rows = [_run_row(run, labels) for run in whole]
    return {
        "windows": int(confusion.sum()),
        **_spreads(by_fold),
        "one_run_a_label": _spreads(_sets(by_run)),
        "of_runs": _of_runs(np.array([row["accuracy"] for row in rows])),
        "confusion": confusion.tolist(),
        "classes": list(_class_rows(by_run, labels)),
        "runs": rows,
    }


def _whole(parts: Sequence[RunScore]) -> list[RunScore]:
    """The stretches of each run together."""
    found: dict[int, RunScore] = {}
    for part in parts:
        before = found[part.number].confusion if part.number in found else 0
        found[part.number] = RunScore(part.number, part.name, before + part.confusion)
    return [found[number] for number in sorted(found)]


def _sets(by_run: Counts) -> Counts:
    """Confusions of sets of runs, one of each label, [draws, L, L]."""
    rng = np.random.default_rng(0)
    having = [np.flatnonzero(of) for of in by_run.sum(axis=2).T if of.any()]
    if not having:
        return by_run
    drawn = np.stack([rng.choice(runs, _DRAWS) for runs in having], axis=1)
    sets: Counts = by_run[drawn].sum(axis=1)
    return sets


def scores_of(confusions: Counts) -> dict[str, NDArray[np.float64]]:
    """`accuracy` and `macro_f1` (over the labels that occur) of confusions [n, L, L], [n] each."""
    actual, said = confusions.sum(axis=2), confusions.sum(axis=1)
    right = np.diagonal(confusions, axis1=1, axis2=2)
    f1 = np.where(actual > 0, 2 * right / np.maximum(actual + said, 1), 0)
    return {
        "accuracy": right.sum(axis=1) / np.maximum(actual.sum(axis=1), 1),
        "macro_f1": f1.sum(axis=1) / np.maximum((actual > 0).sum(axis=1), 1),
    }


def _spreads(confusions: Counts) -> dict[str, dict[str, float]]:
    scores = scores_of(confusions)
    return {name: {"mean": _mean(of), "spread": _spread(of)} for name, of in scores.items()}


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _spread(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _of_runs(accuracies: NDArray[np.float64]) -> dict[str, float]:
    quantiles = dict(zip(("least", "tenth", "most"), (0.0, 0.1, 1.0), strict=True))
    return {"count": len(accuracies), "mean": _mean(accuracies), "spread": _spread(accuracies)} | {
        name: float(np.quantile(accuracies, q)) if len(accuracies) else float("nan")
        for name, q in quantiles.items()
    }


def _class_rows(by_run: Counts, labels: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    confusion = by_run.sum(axis=0)
    for code, label in enumerate(labels):
        right, actual = by_run[:, code, code], by_run[:, code].sum(axis=1)
        recalls = right[actual > 0] / actual[actual > 0]
        said = confusion[:, code].sum()
        yield {
            "label": label,
            "windows": int(actual.sum()),
            "recall": float(right.sum() / max(actual.sum(), 1)),
            "precision": float(right.sum() / max(said, 1)),
            "f1": float(2 * right.sum() / max(actual.sum() + said, 1)),
            "of_runs": _of_runs(recalls),
        }


def _run_row(run: RunScore, labels: tuple[str, ...]) -> dict[str, Any]:
    windows = int(run.confusion.sum())
    wrong = run.confusion.sum(axis=0) - np.diag(run.confusion)
    return {
        "run": run.name,
        "labels": [labels[i] for i in np.flatnonzero(run.confusion.any(axis=1))],
        "windows": windows,
        "accuracy": float(np.trace(run.confusion) / windows),
        "mistaken_for": labels[int(wrong.argmax())] if wrong.any() else "",
    }
