"""Choose the filter of labels over time, on runs that were held out: whole, and in other orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.model.label_filter import Array, LabelFilter, forward, held, ignorance, tempered
from tao_lora_ros.training.dataset import UNKNOWN
from tao_lora_ros.training.held_out import RunOutputs
from tao_lora_ros.training.run_scores import RunScore, scores_of

# Both in windows: evidence of so many in the time of one, and how long a label holds.
_CANDIDATES = tuple(product((0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0, 8.0), (0.5, 2.0, 8.0, 24.0, 80.0)))
_STRETCH = 24  # windows of a label in another order, about half a minute at 100 Hz
_TEMPERATURES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)

Folds = Sequence[Sequence[RunOutputs]]
Scores = list[list[RunScore]]  # by fold


@dataclass(frozen=True)
class FilterChoice:
    """A filter, and what it makes of each fold where it is chosen on the others.

    Args:
        chosen: on all folds.
        whole: scores of the runs as they were recorded.
        reordered: scores of stretches of them in random order.
    """

    chosen: LabelFilter
    whole: Scores
    reordered: Scores


def choose_filter(folds: Folds, window_s: float, hop_s: float) -> FilterChoice:
    """The filter that brings most on whole runs, of those that lose nothing on stretches reordered.

    Whole runs alone would favour one that never lets go, for most have one label; by macro-F1.

    Args:
        folds: what models that never saw them say of runs, one fold at least.
        window_s: of a window.
        hop_s: from one to the next.
    """
    rates, dwells = np.hsplit(np.array(_CANDIDATES) * (1 / window_s, window_s), 2)
    ways = folds, [[_reordered(fold, round(_STRETCH * window_s / hop_s))] for fold in folds]
    scores = [
        [[_scored(run, _beliefs(run, hop_s, rates, dwells)) for run in fold] for fold in way]
        for way in ways
    ]
    windows = [[[run.score(run.probabilities.argmax(axis=1))] for run in fold] for fold in folds]
    whole, reordered, plain = (
        np.array([_macro_f1(fold) for fold in way]) for way in (*scores, windows)
    )
    best = [_best(*(_others(of, i) for of in (whole, reordered, plain))) for i in range(len(folds))]
    rate, dwell = (float(of[_best(whole, reordered, plain), 0]) for of in (rates, dwells))
    runs = [run for way in ways for fold in way for run in fold]
    return FilterChoice(
        LabelFilter(rate, dwell, _temperature(runs, hop_s, rate, dwell)),
        *([[run[best[i]] for run in fold] for i, fold in enumerate(way)] for way in scores),
    )


def filtered(run: RunOutputs, by: LabelFilter, hop_s: float) -> RunScore:
    """The score of a run's states by a filter."""
    rate, dwell = np.array([[by.evidence_hz]]), np.array([[by.dwell_s]])
    return _scored(run, _beliefs(run, hop_s, rate, dwell))[0]


def _others(of: Array, fold: int) -> Array:
    """All folds but one, where there are others."""
    return np.delete(of, fold, axis=0) if len(of) > 1 else of


def _best(whole: Array, reordered: Array, plain: Array) -> int:
    """The number of a filter by macro-F1, [folds, N]; `plain` is that of each window by itself."""
    loses = reordered.mean(axis=0) < plain.mean(axis=0)
    if loses.all():
        return int(reordered.mean(axis=0).argmax())
    return int(np.where(loses, -1.0, whole.mean(axis=0)).argmax())


def _reordered(fold: Sequence[RunOutputs], stretch: int) -> RunOutputs:
    """The runs of a fold as one, in stretches of so many windows in random order."""
    parts = [
        (run.truth[i : i + stretch], run.probabilities[i : i + stretch])
        for run in fold
        for i in range(0, len(run.truth), stretch)
    ]
    order = np.random.default_rng(0).permutation(len(parts))
    truth, probabilities = (np.concatenate([parts[i][k] for i in order]) for k in range(2))
    return RunOutputs(0, "reordered", truth, probabilities)


def _beliefs(run: RunOutputs, hop_s: float, rates: Array, dwells: Array) -> Array:
    """Beliefs of N filters, rates and dwells [N, 1], after each window: [n, N, L]."""
    belief = np.tile(ignorance(run.probabilities.shape[1]), (len(rates), 1))
    found = np.empty((len(run.truth), *belief.shape))
    for i, window in enumerate(run.probabilities):
        found[i] = belief = forward(belief, window, hop_s, rates, dwells)
    return found


def _scored(run: RunOutputs, beliefs: Array) -> list[RunScore]:
    """A run's score by each of N filters."""
    states = np.empty(beliefs.shape[:2], np.int64)
    state = np.full(beliefs.shape[1], -1)
    for i, belief in enumerate(beliefs):
        states[i] = state = held(state, belief)
    return [run.score(said) for said in states.T]


def _macro_f1(fold: Sequence[Sequence[RunScore]]) -> NDArray[np.float64]:
    """Of all runs of a fold together, by filter, [N]."""
    confusions = np.array([[one.confusion for one in run] for run in fold]).sum(axis=0)
    return scores_of(confusions)["macro_f1"]


def _temperature(runs: Sequence[RunOutputs], hop_s: float, rate: float, dwell: float) -> float:
    """That of the least mean surprise at the true labels."""
    of = np.array([[rate]]), np.array([[dwell]])
    beliefs = np.concatenate([_beliefs(run, hop_s, *of)[:, 0] for run in runs])
    truth = np.concatenate([run.truth for run in runs])
    beliefs, truth = beliefs[truth != UNKNOWN], truth[truth != UNKNOWN]

    def surprise(temperature: float) -> float:
        likelihoods = tempered(beliefs, temperature)[np.arange(len(truth)), truth]
        return -float(np.log(np.maximum(likelihoods, np.finfo(float).tiny)).mean())

    return min(_TEMPERATURES, key=surprise)
