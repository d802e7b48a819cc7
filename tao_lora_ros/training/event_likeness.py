"""Learn what events that have names are like, and how unlike them an event may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Phase
from tao_lora_ros.model.likeness import Likeness

Array = NDArray[np.float64]

_LIKE = 0.98  # of the events held out are like those that were learned
_SLOWEST_HZ = 100.0
# What is known beforehand counts as so many events: that features do not depend on each other, and
# of what was learned before its covariance, and each of its centres.
_APART, _COVARIANCE, _CENTRE = 60.0, 500.0, 20.0
_LEAST_SPREAD = 0.02  # variance of any mixture of features, standardised


def limit_of(distances: Array, codes: NDArray[np.int64]) -> float:
    """The distance that events held out seldom exceed, all names counting alike, both [n]."""
    order = np.argsort(distances)
    reached = np.cumsum(1.0 / np.bincount(codes)[codes[order]])
    return float(distances[order][np.searchsorted(reached, _LIKE * reached[-1])])


def fitted_likeness(before: Likeness, values: Array, codes: NDArray[np.int64]) -> Likeness:
    """Gaussians of one covariance, drawn towards those from before (the conjugate prior).

    Args:
        before: NaN centres of names that were not known, covariance 0 of features never seen.
        values: standardised features of events as they are and in other ways, [2, ways, n, F].
        codes: names of the events by number, [n].
    """
    found = [_gaussians(before, phase, values[phase], codes) for phase in Phase]
    centres, covariance = (np.stack([one[i] for one in found]) for i in range(2))
    return replace(before, centres=centres, covariance=covariance)


def _gaussians(
    before: Likeness, phase: Phase, values: Array, codes: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Centres [F, N] and covariance [F, F]; values [ways, n, F]."""
    ways, count, features = values.shape
    centres = before.centres[phase].copy()
    for i, centre in enumerate(centres.T):
        own = values[:, codes == i].reshape(-1, features)
        events = (~np.isnan(own)).sum(axis=0) / ways
        known = np.where(np.isnan(centre), 0.0, _CENTRE)
        total = np.nansum(own, axis=0) / ways + known * np.nan_to_num(centre)
        centres[:, i] = total / np.maximum(events + known, 1e-9)
    left = (values - centres.T[codes]).reshape(-1, features)
    there = ~np.isnan(left)
    # Of the known alone, by one factor a feature: counted pair by pair it were no covariance.
    usual = np.sqrt(np.maximum(there.sum(axis=0), 1))
    left = np.nan_to_num(left) / usual
    own = left.T @ left
    prior = before.covariance[phase]
    weight = np.where(prior != 0.0, _COVARIANCE, 0.0)
    spreads = _APART * np.diag(np.maximum(own.diagonal(), _LEAST_SPREAD))
    drawn = (weight * prior + count * own + spreads) / (weight + count + _APART)
    seen = np.flatnonzero(there.any(axis=0) | (prior.diagonal() > 0.0))
    return centres, _positive(drawn, seen)


def _positive(matrix: Array, seen: NDArray[np.int64]) -> Array:
    """A covariance [F, F] without spreads below the least; 0 of features never seen."""
    spreads, directions = np.linalg.eigh(matrix[np.ix_(seen, seen)])
    found = np.zeros_like(matrix)
    found[np.ix_(seen, seen)] = (directions * np.maximum(spreads, _LEAST_SPREAD)) @ directions.T
    return np.asarray((found + found.T) / 2.0, np.float32).astype(np.float64)


def slower(samples: RawSamples, rng: np.random.Generator) -> RawSamples:
    """As of a sensor of a lower rate, that takes single samples or means."""
    stamps_ns, values = samples.stamps_ns, samples.values
    if len(stamps_ns) < 2:
        return samples
    rate_hz = (len(stamps_ns) - 1) * 1e9 / max(int(stamps_ns[-1] - stamps_ns[0]), 1)
    fastest = np.log(max(rate_hz / _SLOWEST_HZ, 1.0))
    every = min(round(float(np.exp(rng.uniform(0.0, fastest)))), len(stamps_ns))
    at = np.arange(every - 1 - rng.integers(every), len(stamps_ns), every)
    if rng.random() < 0.5:
        at = at[at >= every - 1]
        sums = np.lib.stride_tricks.sliding_window_view(values, every, axis=0).mean(axis=-1)
        return replace(samples, stamps_ns=stamps_ns[at], values=sums[at - every + 1])
    return replace(samples, stamps_ns=stamps_ns[at], values=values[at])
