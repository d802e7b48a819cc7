"""Labels over time: what many windows say together, by a hidden Markov model in continuous time.

A label holds for `dwell_s` on average, and any other may follow. Windows overlap and err alike, so
a second of them counts as `evidence_hz` independent ones, however many it has. The belief is that
of the forward algorithm (Rabiner 1989) on a classifier's posteriors (Bourlard and Morgan 1994).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LEAST = 1e-6  # a classifier is never so sure
_ODDS = 2.0  # another label has to be this many times as likely as the one that is held


@dataclass(frozen=True)
class LabelFilter:
    """How labels follow each other, and how sure windows are of them.

    Args:
        evidence_hz: independent windows a second.
        dwell_s: mean time that a label holds.
        temperature: of the belief, by which it becomes probabilities.
    """

    evidence_hz: float
    dwell_s: float
    temperature: float = 1.0

    def step(self, belief: Array, probabilities: Array, seconds: float) -> Array:
        """The belief [L] after a window's probabilities [L], `seconds` after the one before."""
        return forward(belief, probabilities, seconds, self.evidence_hz, self.dwell_s)

    def probabilities(self, belief: Array) -> Array:
        """A belief [L] as probabilities that come true as often as they say."""
        return tempered(belief, self.temperature)


def ignorance(labels: int) -> Array:
    """The belief before anything is known, [labels]."""
    return np.full(labels, 1.0 / labels)


def forward(
    belief: Array,
    probabilities: Array,
    seconds: float,
    evidence_hz: float | Array,
    dwell_s: float | Array,
) -> Array:
    """One step of the forward algorithm; of several filters at once [N, L], rates then [N, 1]."""
    stay = np.exp(-seconds / np.asarray(dwell_s))
    before = stay * belief + (1.0 - stay) / belief.shape[-1]
    evidence = np.log(np.maximum(probabilities, _LEAST)) * np.asarray(evidence_hz) * seconds
    return _normalised(np.log(before) + evidence)


def tempered(belief: Array, temperature: float) -> Array:
    """Beliefs [..., L] made less sure, the order of the labels as it is."""
    return _normalised(np.log(np.maximum(belief, np.finfo(float).tiny)) / temperature)


def held(state: NDArray[np.int64], belief: Array) -> NDArray[np.int64]:
    """States [...] after beliefs [..., L]: as before until another is likelier by far; -1: none."""
    likeliest = belief.argmax(axis=-1)
    own = np.take_along_axis(belief, np.maximum(state, 0)[..., None], axis=-1)[..., 0]
    return np.where((state < 0) | (belief.max(axis=-1) > _ODDS * own), likeliest, state)


def _normalised(logarithms: Array) -> Array:
    # The methods `max` and `sum` do the same, in twice the time where there are few numbers.
    powers = np.exp(logarithms - np.maximum.reduce(logarithms, axis=-1, keepdims=True))
    normalised: Array = powers / np.add.reduce(powers, axis=-1, keepdims=True)
    return normalised
