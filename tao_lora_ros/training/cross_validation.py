"""Honest scores: of every run by a model that never saw it, and of labels over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tao_lora_ros.model.label_filter import LabelFilter
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.training.folds import Fold
from tao_lora_ros.training.held_out import RunOutputs, hop_of, run_outputs
from tao_lora_ros.training.label_filters import choose_filter, filtered
from tao_lora_ros.training.run_scores import score_table

Folds = Sequence[Sequence[RunOutputs]]


@dataclass(frozen=True)
class Validation:
    """Scores of runs held out, ready for JSON, and the filter that was chosen by them."""

    scores: dict[str, Any]
    label_filter: LabelFilter


def cross_validate(
    folds: Sequence[Fold], labels: tuple[str, ...], fit_fold: Callable[[int, Fold], Mixer]
) -> list[list[RunOutputs]]:
    """What the models that `fit_fold` trains on a fold's training runs say of its others."""
    fitted = (fit_fold(number, fold) for number, fold in enumerate(folds, start=1))
    models = zip(folds, fitted, strict=True)
    return [run_outputs(model, fold.held_out, labels) for fold, model in models]


def validation(
    folds: Folds, labels: tuple[str, ...], window: int, rate_hz: float, how: str, notes: list[str]
) -> Validation:
    """Scores of runs held out, by fold, and the filter of labels that is best for them.

    Args:
        folds: what models that never saw them say of the runs.
        labels: of the model.
        window: rows of a window.
        rate_hz: of the rows.
        how: what was done, a sentence.
        notes: what is to be said of it, a sentence each.
    """
    choice = choose_filter(folds, window / rate_hz, hop_of(window) / rate_hz)
    other_order = score_table(choice.reordered, labels)
    scores = {
        "how": how,
        "notes": notes,
        "by_window": _by_window(folds, labels),
        "over_time": score_table(choice.whole, labels),
        "other_order": {name: other_order[name] for name in ("accuracy", "macro_f1")},
    }
    return Validation(scores, choice.chosen)


def scores_of_runs(
    runs: Sequence[RunOutputs],
    labels: tuple[str, ...],
    label_filter: LabelFilter | None,
    hop_s: float,
    how: str,
    trained_on: int = 0,
) -> dict[str, Any]:
    """The same tables of a model that is as it is, on labelled runs, some of which it may know."""
    found: dict[str, Any] = {"how": how, "notes": [], "by_window": _by_window([runs], labels)}
    if trained_on:
        found |= {"trained_on": trained_on}
    if label_filter:
        states = [[filtered(run, label_filter, hop_s) for run in runs]]
        found["over_time"] = score_table(states, labels)
    return found


def _by_window(folds: Folds, labels: tuple[str, ...]) -> dict[str, Any]:
    said = [[run.score(run.probabilities.argmax(axis=1)) for run in fold] for fold in folds]
    return score_table(said, labels)
