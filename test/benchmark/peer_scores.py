"""Scores of many classifiers on the same folds, held against ours fold by fold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmark.series_peers import FoldOutputs
from tao_lora_ros.benchmarks.results import OURS, Measurement
from tao_lora_ros.model.label_filter import tempered
from tao_lora_ros.training.held_out import RunOutputs
from tao_lora_ros.training.label_filters import choose_filter
from tao_lora_ros.training.run_scores import RunScore, score_table, scores_of

BY_WINDOW, OVER_TIME = "folds, by window", "folds, over time"
_TEMPERATURES = np.geomspace(0.02, 2.0, 25)

Folds = Sequence[Sequence[RunOutputs]]
Scored = Sequence[Sequence[RunScore]]


def compared(
    trials: Mapping[str, Sequence[Sequence[FoldOutputs]]],
    labels: tuple[str, ...],
    window_s: float,
    hop_s: float,
) -> Iterator[Measurement]:
    """Every subject by window and over time, ours first.

    Of `accuracy` and `macro_f1`: the mean over folds (and seeds), `_std` over folds, `_more`, by
    how much it is above ours, and `_more_se`, the standard error of that over folds, paired;
    `run_accuracy`, the mean over runs, its `_std` and the `_tenth` best of ten.

    Args:
        trials: by subject, one a seed: outputs by fold.
        labels: names of the labels.
        window_s: seconds of a window.
        hop_s: seconds from one to the next.
    """
    ours: dict[tuple[str, str], NDArray[np.float64]] = {}
    for subject, seeds in trials.items():
        folds = [[fold.runs for fold in outputs] for outputs in seeds]
        told = folds if subject == OURS else [_tempered(each) for each in folds]
        cases: dict[str, list[Scored]] = {
            BY_WINDOW: [_by_window(each) for each in folds],
            OVER_TIME: [choose_filter(each, window_s, hop_s).whole for each in told],
        }
        for case, tables in cases.items():
            yield from _held_against(subject, case, tables, ours)
            of_runs = [score_table(table, labels)["of_runs"] for table in tables]
            for name, key in (("", "mean"), ("_std", "spread"), ("_tenth", "tenth")):
                value = float(np.mean([of[key] for of in of_runs]))
                yield Measurement(subject, case, f"run_accuracy{name}", value, "")
        yield _cost(subject, BY_WINDOW, seeds)


def windows_compared(
    trials: Mapping[str, Sequence[FoldOutputs]], case: str
) -> Iterator[Measurement]:
    """Every subject by window alone, ours first; `_std`, `_more` and `_more_se` of several folds.

    Args:
        trials: by subject, outputs by fold.
        case: a name for it.
    """
    ours: dict[tuple[str, str], NDArray[np.float64]] = {}
    for subject, outputs in trials.items():
        tables = [_by_window([fold.runs for fold in outputs])]
        yield from _held_against(subject, case, tables, ours)
        yield _cost(subject, case, [outputs])


def _held_against(
    subject: str,
    case: str,
    tables: Sequence[Scored],
    ours: dict[tuple[str, str], NDArray[np.float64]],
) -> Iterator[Measurement]:
    """Scores of a subject; those of the first become `ours`."""
    for metric in ("accuracy", "macro_f1"):
        scores = np.mean([_fold_scores(table, metric) for table in tables], axis=0)
        more = scores - ours.setdefault((case, metric), scores)
        yield Measurement(subject, case, metric, float(scores.mean()), "")
        if len(scores) > 1:
            yield Measurement(subject, case, f"{metric}_std", float(scores.std(ddof=1)), "")
            yield Measurement(subject, case, f"{metric}_more", float(more.mean()), "")
            error = float(more.std(ddof=1) / np.sqrt(len(more)))
            yield Measurement(subject, case, f"{metric}_more_se", error, "")


def _cost(subject: str, case: str, seeds: Sequence[Sequence[FoldOutputs]]) -> Measurement:
    taken = float(np.mean([fold.cpu_ms for outputs in seeds for fold in outputs]))
    return Measurement(subject, case, "cpu_ms", taken, "ms")


def _fold_scores(folds: Scored, metric: str) -> NDArray[np.float64]:
    return scores_of(np.array([sum(run.confusion for run in fold) for fold in folds]))[metric]


def _by_window(folds: Folds) -> Scored:
    return [[run.score(run.probabilities.argmax(axis=1)) for run in fold] for fold in folds]


def _tempered(folds: Folds) -> Folds:
    """Probabilities as sure as those of the other folds should have been; margins have no scale."""
    surprises = np.array([[_surprise(fold, by) for by in _TEMPERATURES] for fold in folds])
    others = surprises.sum(axis=0) - surprises
    return [
        [RunOutputs(r.number, r.name, r.truth, tempered(r.probabilities, by)) for r in fold]
        for fold, by in zip(folds, _TEMPERATURES[others.argmin(axis=1)], strict=True)
    ]


def _surprise(fold: Sequence[RunOutputs], temperature: float) -> float:
    """Sum of the negative logarithms of the true labels' probabilities."""
    true = [tempered(r.probabilities, temperature)[np.arange(len(r.truth)), r.truth] for r in fold]
    return -float(np.log(np.maximum(np.concatenate(true), 1e-12)).sum())
