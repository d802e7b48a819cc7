"""Whole runs in folds: what belongs together stays together, every label is spread over all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import Run, Span

Part = tuple[int, Run]  # the run's number among all, and the run or a stretch of it


@dataclass(frozen=True)
class Fold:
    """Runs to train on and runs to score, each with its number among all runs."""

    training: list[Part]
    held_out: list[Part]


@dataclass(frozen=True)
class Split:
    """Folds, and in words what could not be held out as whole runs."""

    folds: list[Fold]
    notes: list[str]


def runs_in(parts: Sequence[Part]) -> list[Run]:
    """The runs and stretches alone."""
    return [run for _, run in parts]


def names_in(parts: Sequence[Part]) -> list[str]:
    """The names of the runs, each once."""
    return list({number: run.name for number, run in parts}.values())


def groups_of(bags: Sequence[Path], runs: Sequence[Run], expression: str, folds: int) -> list[str]:
    """What each bag belongs to: the expression's first group in its path.

    Without an expression neighbours belong together, `folds` groups of the runs of the same labels
    in the order given: what was recorded one after another, in one place and weather, is alike.

    Raises:
        BagError: a path has no such group.
    """
    return [_told(bag, expression) for bag in bags] if expression else _neighbours(runs, folds)


def _told(bag: Path, expression: str) -> str:
    found = re.search(expression, str(bag))
    if not found or not found.groups():
        raise BagError(f"{bag}: its path has no group 1 of /{expression}/")
    return str(found[1])


def _neighbours(runs: Sequence[Run], folds: int) -> list[str]:
    alike: dict[frozenset[str], list[int]] = {}
    for number, run in enumerate(runs):
        alike.setdefault(frozenset(span.label for span in run.spans), []).append(number)
    groups = [""] * len(runs)
    for first, *others in alike.values():
        for rank, number in enumerate((first, *others)):
            groups[number] = f"{first} {rank * folds // (1 + len(others))}"
    return groups


def split(
    runs: Sequence[Run], groups: Sequence[str], count: int, gap: int, fewest: int = 2
) -> Split:
    """Hold every run out once, in at most `count` folds; deterministic.

    A group most of whose rows have labels that fewer than `fewest` groups have is not held out as
    a whole: too little would be left to learn them from. Its runs are held out by time instead, a
    stretch a fold.

    Args:
        runs: all runs.
        groups: what each belongs to.
        count: of folds, at least 2.
        gap: rows on either side of a stretch held out by time that are not trained on.
        fewest: groups of a label.
    """
    labels = sorted({span.label for run in runs for span in run.spans}) or [""]
    names = list(dict.fromkeys(groups))
    rows = np.zeros((len(names), len(labels)))
    for run, group in zip(runs, groups, strict=True):
        rows[names.index(group)] += _rows_by_label(run, labels)
    rare = (rows > 0).sum(axis=0) < fewest  # labels
    by_time = rows[:, rare].sum(axis=1) > rows.sum(axis=1) / 2
    whole = [name for name, cut in zip(names, by_time, strict=True) if not cut]
    folds = count if by_time.any() else min(count, len(whole))
    place = dict(zip(whole, _spread(rows[~by_time], folds), strict=True))
    made = [Fold([], []) for _ in range(folds)]
    for number, (run, group) in enumerate(zip(runs, groups, strict=True)):
        for fold, into in enumerate(made):
            if group not in place:
                training, held_out = _by_time(run, fold, folds, gap)
                into.training.extend((number, part) for part in training)
                into.held_out.append((number, held_out))
            else:
                side = into.held_out if place[group] == fold else into.training
                side.append((number, run))
    return Split(made, list(_notes(labels, rows, rare, by_time)))


def long_enough(folds: Sequence[Fold], rows: int) -> list[Fold]:
    """The folds that have a run or stretch of more than so many rows on both sides."""
    return [fold for fold in folds if min(_longest(fold.training), _longest(fold.held_out)) > rows]


def _longest(parts: Sequence[Part]) -> int:
    return max((len(run.values) for _, run in parts), default=0)


def _rows_by_label(run: Run, labels: Sequence[str]) -> NDArray[np.float64]:
    spans = run.spans or (Span(0, len(run.values), ""),)
    found = np.zeros(len(labels))
    for span in spans:
        if span.label in labels:  # a run without labels among labelled ones has none
            found[labels.index(span.label)] += span.end - span.first
    return found


def _spread(rows: NDArray[np.float64], folds: int) -> list[int]:
    """A fold for each group, by its rows of every label [G, L]: rarest and longest groups first."""
    shares = rows / np.maximum(rows.sum(axis=0), 1)
    held, sizes = np.zeros((folds, rows.shape[1])), np.zeros(folds)
    place = [0] * len(rows)
    for group in sorted(range(len(rows)), key=lambda g: (-shares[g].sum(), g)):
        costs = held @ shares[group]
        place[group] = min(range(folds), key=lambda f: (costs[f], sizes[f], f))
        held[place[group]] += shares[group]
        sizes[place[group]] += 1
    return place


def _by_time(run: Run, fold: int, folds: int, gap: int) -> tuple[list[Run], Run]:
    """What to train on beside a stretch, and the stretch."""
    rows = len(run.values)
    first, end = rows * fold // folds, rows * (fold + 1) // folds
    beside = [(0, first - gap), (end + gap, rows)]
    return [_stretch(run, a, b) for a, b in beside if b > a], _stretch(run, first, end)


def _stretch(run: Run, first: int, end: int) -> Run:
    spans = (
        Span(max(span.first, first) - first, min(span.end, end) - first, span.label)
        for span in run.spans
        if span.end > first and span.first < end
    )
    return Run(run.name, run.values[first:end], tuple(spans))


def _notes(
    labels: Sequence[str],
    rows: NDArray[np.float64],
    rare: NDArray[np.bool_],
    by_time: NDArray[np.bool_],
) -> Iterator[str]:
    for number in np.flatnonzero(rare).tolist():
        label, of = labels[number], rows[:, number] > 0
        groups = int(of.sum())
        what = f"{label or 'all'}: in {groups} run{'s' * (groups > 1)} or groups alone"
        if by_time[of].any():
            yield f"{what}, held out by time with a gap: runs never seen will score lower"
        elif groups == 1:
            yield f"{what}, so not learned where that is held out: record it in another run too"
