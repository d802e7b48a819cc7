"""Learn what events are called, from the raw samples of events with names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Phase
from tao_lora_ros.model.event_features import FEATURES, columns_of, event_features
from tao_lora_ros.model.event_head import EventHead, inputs_of, margins_of
from tao_lora_ros.model.likeness import Likeness
from tao_lora_ros.training.event_likeness import fitted_likeness, limit_of, slower

Array = NDArray[np.float64]

FOLDS = 5
_RIDGE = 2.0
_FEWEST = 2  # events of a name
# A head abstains where, held out, more than this share of what it calls so would be wrong; of that
# never more than the other share.
_WRONG = {Phase.ONSET: 0.05, Phase.END: 0.02}
_UNKNOWN = {Phase.ONSET: 1.0, Phase.END: 0.02}
_NEVER = 1.0  # a margin that hardly any probabilities have
# Robots lack sensors, and turn them otherwise: each event is learned from in all these ways.
_WITHOUT = (("gyro",), ("accel", "gyro"), ("force", "torque"))
_OFFSET_N = 2.0
_WHOLE = 3  # of these ways: as they are, turned, slower
# What was known before is learned again from so many events drawn as each name's were.
_DRAWN = 200


class EventNameError(TaoLoraError):
    """Names cannot be learned from these events; the text says why."""


@dataclass(frozen=True, eq=False)
class NamedEvent:
    """One event and what it is called.

    Args:
        raw: samples of each source from the pre-roll on, stamps less the source's lag.
        onset_ns, end_ns: of the event.
        name: of it.
        group: recording that it is of; events of one are held out together.
        known_ns: the newest sample when its onset was decided; 0: the onset.
        sigma: its size, of the sensor's noise; NaN where nobody knows.
    """

    raw: tuple[RawSamples, ...]
    onset_ns: int
    end_ns: int
    name: str
    group: str
    known_ns: int = 0
    sigma: float = nan


@dataclass(frozen=True, eq=False)
class EventFit:
    """A head, and what fits without an event's recording said of that event.

    Args:
        head: fitted on all events, its margins by what was held out.
        probabilities: at the end of each event, [n, names], in the order of `head.names`.
        like: whether each is like the others, [n].
    """

    head: EventHead
    probabilities: Array
    like: NDArray[np.bool_]


def fit_event_head(events: Sequence[NamedEvent], base: EventHead | None = None) -> EventFit:
    """Fit a head on events of some recordings.

    Multinomial logistic regression with a ridge, and Gaussians that tell what is unlike all events,
    each phase of an event for itself; margins and limits by `FOLDS`-fold cross-validation over the
    recordings.

    Args:
        events: with their names.
        base: head to start from: the ridge draws towards its weights, and the Gaussians towards its
            own. Where it has Gaussians its names stay: what it says of events drawn from these is
            learned again (Li and Hoiem 2016, Learning without forgetting; Shin et al. 2017,
            Continual learning with deep generative replay), and how likely each of them is
            beforehand stays, for nobody labels events as often as they happen.

    Raises:
        EventNameError: there are fewer than two names, or hardly any events of one.
    """
    counts = Counter(event.name for event in events)
    if len(counts) < 2 or min(counts.values()) < _FEWEST or "" in counts:
        there = ", ".join(f"{name or 'without a name'} {n}" for name, n in sorted(counts.items()))
        raise EventNameError(
            f"events by name: {there or 'none'}; expected two names, and {_FEWEST} events of each"
        )
    names = tuple(sorted({*counts, *(base.names if base and base.likeness else ())}))
    codes = np.array([names.index(event.name) for event in events])
    inputs = np.stack([_inputs(events, phase) for phase in Phase])  # [2, ways, n, F]
    blank = _blank(names, inputs[:, 0], base)
    likely = np.zeros((len(Phase), len(events), len(names)))
    far = np.zeros(likely.shape[:2])
    for fold in _folds(events):
        head = _fitted(blank, inputs[:, :, ~fold], codes[~fold])
        for phase in Phase:
            features = inputs[phase, 0, fold]
            likely[phase, fold] = head.probabilities(phase, features)
            far[phase, fold] = head.distances(phase, features)
    head = _fitted(blank, inputs, codes)
    assert head.likeness
    assert blank.likeness
    margins, limits = blank.margins.copy(), blank.likeness.limits
    for phase in Phase:
        # Few events tell little of what is usual: not less than before; too few tell no such share.
        if not limits[phase] or len(events) * _WRONG[phase] >= 1.0:
            found = _margins(phase, likely[phase], codes)
            margins[phase] = np.maximum(found, margins[phase])
    onset, end = (max(limit_of(far[phase], codes), limits[phase]) for phase in Phase)
    head = replace(head, margins=margins, likeness=replace(head.likeness, limits=(onset, end)))
    return EventFit(head, likely[Phase.END], far[Phase.END] <= end)


def _folds(events: Sequence[NamedEvent]) -> Iterator[NDArray[np.bool_]]:
    """Which events each fold holds out, [n]: whole recordings, or every so many of a single one."""
    groups = sorted({event.group for event in events})
    if len(groups) > 1:
        numbers = np.array([groups.index(event.group) for event in events])
    else:
        numbers = np.arange(len(events))
    count = min(FOLDS, int(numbers.max()) + 1)
    for fold in range(count):
        yield numbers % count == fold


def _inputs(events: Sequence[NamedEvent], phase: Phase) -> Array:
    """Features of all events as they are, turned, slower, and without sensors, [ways, n, F]."""
    rng = np.random.default_rng(0)
    found = []
    for event in events:
        raw, span_ns = event.raw, (event.onset_ns, event.end_ns)
        if phase is Phase.ONSET:
            known_ns = event.known_ns or event.onset_ns
            raw, span_ns = tuple(_until(s, known_ns) for s in raw), (event.onset_ns, 0)
        turned = [_turned(samples, rng) for samples in raw]
        slow = [slower(samples, rng) for samples in turned]
        ways = [event_features(way, *span_ns) for way in (raw, turned, slow)]
        for kinds in _WITHOUT:
            ways.append(ways[0].copy())
            ways[-1][columns_of(*kinds)] = np.nan
        found.append(np.stack(ways))
    return np.stack(found, axis=1)


def _until(samples: RawSamples, until_ns: int) -> RawSamples:
    known = samples.stamps_ns <= until_ns
    return replace(samples, stamps_ns=samples.stamps_ns[known], values=samples.values[known])


def _turned(samples: RawSamples, rng: np.random.Generator) -> RawSamples:
    """As of a sensor mounted otherwise, with an offset of its own, which only loads show."""
    values = samples.values.copy()
    for first, name in enumerate(samples.channels):
        if name.endswith(".accel_x"):
            turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
            values[:, first : first + 3] = values[:, first : first + 3] @ turn.T
        if name.endswith(".force_x"):
            values[:, first : first + 3] += _OFFSET_N * rng.normal(size=3)
    return replace(samples, values=values)


def _blank(names: tuple[str, ...], features: Array, base: EventHead | None) -> EventHead:
    """A head that knows what is usual, and of each name what `base` knows; features [2, n, F]."""
    weights = np.zeros((len(Phase), FEATURES, len(names)))
    bias, margins = np.zeros((2, len(Phase), len(names)))
    centres = np.full(weights.shape, np.nan)
    covariance = np.zeros((len(Phase), FEATURES, FEATURES))
    usual = [_usual(features[phase]) for phase in Phase]
    mean, std = (np.stack([one[i] for one in usual]) for i in range(2))
    if base:
        mean, std = base.mean, base.std
    known = base.names if base else ()
    for i, name in enumerate(names):
        if base and name in known:
            weights[:, :, i] = base.weights[:, :, known.index(name)]
            bias[:, i] = base.bias[:, known.index(name)]
            if base.likeness:
                centres[:, :, i] = base.likeness.centres[:, :, known.index(name)]
                margins[:, i] = base.margins[:, known.index(name)]
    likeness = Likeness((0.0, 0.0), centres, covariance)
    if base and base.likeness:
        likeness = replace(base.likeness, centres=centres)
    return EventHead(names, margins, mean, std, weights, bias, likeness)


def _usual(features: Array) -> tuple[Array, Array]:
    """Mean and deviation of features [n, F]; 0 and 1 of the unknown, 1 where all are the same."""
    mean, std = np.zeros(features.shape[1]), np.ones(features.shape[1])
    for i, column in enumerate(features.T):
        values = column[~np.isnan(column)]
        if len(values):
            mean[i] = values.mean()
            std[i] = values.std() if np.ptp(values) > 1e-9 else 1.0
    return mean, std


def _fitted(blank: EventHead, inputs: Array, codes: NDArray[np.int64]) -> EventHead:
    """A head on inputs [2, ways, n, F], the ridge around the blank one's weights."""
    assert blank.likeness
    values = np.stack([blank.standardised(phase, inputs[phase]) for phase in Phase])
    known = np.asarray(~np.isnan(blank.likeness.centres).all(axis=(0, 1)))
    labels = np.tile(np.eye(len(known))[codes], (values.shape[1], 1))
    rng = np.random.default_rng(0)
    found = []
    for phase in Phase:
        drawn = [
            blank.likeness.drawn(phase, name, _DRAWN, rng)
            for name in np.flatnonzero(known).tolist()
        ]
        rows = np.concatenate((values[phase].reshape(-1, FEATURES), *drawn))
        rows[:, np.isnan(values[phase]).all(axis=(0, 1))] = np.nan  # of a sensor that is not there
        start = blank.weights[phase], blank.bias[phase]
        found.append(_regression(inputs_of(rows), labels, values.shape[1], known, *start))
    weights, bias = (np.stack([one[i] for one in found]) for i in range(2))
    likeness = fitted_likeness(blank.likeness, values[:, :_WHOLE], codes)
    return replace(blank, weights=weights, bias=bias, likeness=likeness)


def _regression(
    rows: Array, labels: Array, ways: int, known: NDArray[np.bool_], weights: Array, bias: Array
) -> tuple[Array, Array]:
    """Weights [F, N] and bias [N] by L-BFGS, from these on.

    Args:
        rows: inputs, [n, F]: those with labels, each event's in so many ways, and those without,
            of which it is learned what the weights so far say.
        labels: 1 for each row's name, [with labels, N].
        ways: of these each counts by its share.
        known: the names that there were, [N], whose bias stays.
        weights, bias: to begin with.
    """
    inputs, answers, start, usual, new = map(
        torch.from_numpy, (rows, labels, weights, bias, ~known)
    )
    before = (inputs[len(labels) :] @ start + usual).masked_fill(new, -torch.inf).softmax(dim=1)
    answers = torch.cat((answers, before))
    counts = torch.ones(len(rows), dtype=torch.float64)
    counts[: len(labels)] /= ways
    fitted, moved = start.clone().requires_grad_(), torch.zeros_like(usual).requires_grad_()
    optimizer = torch.optim.LBFGS([fitted, moved], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = inputs @ fitted + usual + new * moved
        wrong = counts @ F.cross_entropy(logits, answers, reduction="none")
        value = wrong + _RIDGE / 2 * (fitted - start).square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return fitted.detach().numpy(), (usual + new * moved).detach().numpy()


def _margins(phase: Phase, probabilities: Array, codes: NDArray[np.int64]) -> Array:
    """For each name the smallest margin with which few enough of those called so are wrong, [N].

    All names count alike: how often each happens differs from robot to robot.
    """
    margins, said = margins_of(probabilities), probabilities.argmax(axis=-1)
    weights = 1.0 / np.bincount(codes)[codes]
    found = np.zeros(probabilities.shape[-1])
    for name in np.unique(said):
        called = said == name
        found[name] = _margin(phase, margins[called], weights[called], codes[called] != name)
    return found


def _margin(phase: Phase, margins: Array, weights: Array, wrong: NDArray[np.bool_]) -> float:
    order = np.argsort(margins)
    named, missed = (np.cumsum(w[order][::-1])[::-1] for w in (weights, weights * wrong))
    most = int(_UNKNOWN[phase] * len(order))
    good = np.flatnonzero((missed <= _WRONG[phase] * named)[: most + 1])
    first = int(good[0]) if len(good) else most
    if first == len(order):
        return _NEVER
    return float(margins[order[first]]) if first else 0.0
