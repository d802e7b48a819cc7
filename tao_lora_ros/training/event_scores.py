"""How well events are named: right, wrong, unknown, and whether the probabilities are true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tao_lora_ros.messages.results import Phase
from tao_lora_ros.training.event_names import EventFit
from tao_lora_ros.training.event_truth import Found

UNKNOWN = "unknown"
LARGE_SIGMA = 5.0
_BINS = 10


def event_scores(found: Sequence[Found]) -> dict[str, Any]:
    """Scores of the events that have a true name.

    Returns:
        `events` and `without_name` (there is nothing where they are), shares `right`, `wrong` and
        `unknown`, the same of events that are not smaller than `LARGE_SIGMA` (`large_...`),
        `right_at_onset` and `wrong_at_onset` (else nothing was said yet), `ece` and the counts
        `confusion`, what was said by what it was.
    """
    known = [one for one in found if one.event.name]
    if not known:
        return {"events": 0, "without_name": len(found)}
    large = [one for one in known if not one.event.sigma < LARGE_SIGMA]
    first_right = [one.onset.label == one.event.name for one in known]
    first_said = [bool(one.onset.label) for one in known]
    confusion: dict[str, Counter[str]] = {}
    for one in known:
        said = confusion.setdefault(one.event.name, Counter())
        said[one.end.label or UNKNOWN] += 1
    return {
        "events": len(known),
        "without_name": len(found) - len(known),
        **_shares(known),
        **{
            f"large_{name}": value
            for name, value in {"events": len(large), **_shares(large)}.items()
        },
        "right_at_onset": float(np.mean(first_right)),
        "wrong_at_onset": float(np.mean(first_said) - np.mean(first_right)),
        "ece": calibration_error(
            [
                (one.end.probability, one.end.label == one.event.name)
                for one in known
                if one.end.label
            ]
        ),
        "confusion": {name: dict(sorted(said.items())) for name, said in sorted(confusion.items())},
    }


def scores_held_out(fit: EventFit, names: Sequence[str]) -> dict[str, Any]:
    """The same of events by their true names, as fits without their recordings call them."""
    sure = fit.like & fit.head.sure(Phase.END, fit.probabilities)
    guesses = [fit.head.names[i] for i in fit.probabilities.argmax(axis=1)]
    right = np.array([guess == name for guess, name in zip(guesses, names, strict=True)])
    confusion: dict[str, Counter[str]] = {name: Counter() for name in sorted(set(names))}
    for name, guess, known in zip(names, guesses, sure, strict=True):
        confusion[name][guess if known else UNKNOWN] += 1
    likely = fit.probabilities.max(axis=1)[sure]
    return {
        "events": len(names),
        "right": float(np.mean(sure & right)),
        "wrong": float(np.mean(sure & ~right)),
        "unknown": float(np.mean(~sure)),
        "ece": calibration_error(list(zip(likely, right[sure], strict=True))),
        "confusion": {name: dict(sorted(said.items())) for name, said in confusion.items()},
    }


def _shares(found: Sequence[Found]) -> dict[str, float]:
    right = sum(one.end.label == one.event.name for one in found)
    unknown = sum(not one.end.label for one in found)
    counts = {"right": right, "wrong": len(found) - right - unknown, "unknown": unknown}
    return {name: count / max(len(found), 1) for name, count in counts.items()}


def calibration_error(said: Sequence[tuple[float, bool]]) -> float:
    """Expected calibration error of (probability, right) of what was named (Guo et al. 2017)."""
    if not said:
        return float("nan")
    probabilities, right = np.array(said, float).T
    bins = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    return float(
        sum(
            np.mean(bins == i) * abs(right[bins == i].mean() - probabilities[bins == i].mean())
            for i in np.unique(bins)
        )
    )
