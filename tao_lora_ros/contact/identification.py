"""Identify the load to be expected of a wrench from steady motion, by robust least squares.

Both sides are averaged as the level test averages them. Rows that do not fit, such as those of a
contact that nobody saw, count less (Huber 1964, Robust estimation of a location parameter, by
iteratively reweighted least squares).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.contact import rigid_body
from tao_lora_ros.contact.contact_model import STATIC, Array, Columns, terms_of
from tao_lora_ros.contact.level_test import FILTER_S

FOLDS = 4
_ROUNDS = 10
_HUBER = 1.345  # usual deviations; 95 % efficient where all is Gaussian
# What is usual is told by this quantile of absolute deviations: most of a recording may be rest,
# and a fifth of it something else than steady motion. Of a Gaussian it is 1.28 deviations.
_QUANTILE, _OF_GAUSSIAN = 0.8, 1.2816
_OF_LENGTH = 1.2438  # the same of the length of three Gaussian axes, over its RMS
_STRONGLY = 0.2  # of the largest spread: a gain along such a direction is well known
_RIGID = 0.5  # of the largest gain, that every other has at least
_CLEARLY = 3.0  # times `LEAST`: the ridge takes less than a tenth


@dataclass(frozen=True)
class Samples:
    """Filtered rows to identify on.

    Args:
        terms: [n, k].
        loads: of the wrench, [n, 6]; axes that are never reported are 0.
        recording: that each row is of, [n]: each has a bias of its own.
        fold: which of `FOLDS` pieces of all recordings on end, [n].
        by_own_force: whether the terms are the loads' own force, which tells only their torque.
    """

    terms: Array
    loads: Array
    recording: NDArray[np.int64]
    fold: NDArray[np.int64]
    by_own_force: bool = False

    def __len__(self) -> int:
        return len(self.loads)

    def part(self, rows: NDArray[np.bool_]) -> Samples:
        """Some of the rows."""
        return replace(
            self,
            terms=self.terms[rows],
            loads=self.loads[rows],
            recording=self.recording[rows],
            fold=self.fold[rows],
        )


def samples_of(
    recordings: Sequence[Array], wrench: Columns, accel: Columns, gyro: Columns, rate_hz: float
) -> Samples:
    """What recordings [n, C] hold to identify on: averages that overlap by half."""
    length = max(round(FILTER_S * rate_hz), 1)
    parts = []
    for number, (rows, fold) in enumerate(zip(recordings, folds_of(recordings), strict=True)):
        terms = _averages(terms_of(rows, accel, gyro, rate_hz), length)
        loads = _averages(rows[:, list(wrench)], length)
        folds = fold[length - 1 :: max(length // 2, 1)]
        parts.append((terms, loads, np.full(len(loads), number), folds))
    terms, loads, recording, folds = (np.concatenate(part) for part in zip(*parts, strict=True))
    loads = np.where(np.isnan(loads).all(axis=0), 0.0, loads)
    known = np.asarray(np.isfinite(np.hstack((terms, loads))).all(axis=1))
    return Samples(terms, loads, recording, folds, accel == wrench[:3]).part(known)


def _averages(rows: Array, length: int) -> Array:
    """Of every half of `length` rows the average over the newest `length`."""
    if len(rows) < length:
        return np.empty((0, rows.shape[1]))
    windows = np.lib.stride_tricks.sliding_window_view(rows, length, axis=0)
    return np.asarray(windows[:: max(length // 2, 1)].mean(axis=-1))


def gains_of(samples: Samples) -> Array:
    """What each term adds to each axis of the wrench, [6, k]."""
    weights = np.ones(len(samples))
    for _ in range(_ROUNDS if len(samples) else 0):
        terms = _centred(samples.terms, weights, samples.recording)
        loads = _centred(samples.loads, weights, samples.recording)
        loads[:, :3] *= not samples.by_own_force
        gains = rigid_body.fit(terms, loads, weights)
        deviations = np.abs(loads - terms @ gains.T)
        usual = np.quantile(deviations, _QUANTILE, axis=0) / _OF_GAUSSIAN + 1e-9
        weights = _HUBER / np.maximum((deviations / usual).max(axis=1), _HUBER)
    return gains if len(samples) else np.zeros((6, samples.terms.shape[1]))


def _centred(values: Array, weights: Array, recording: NDArray[np.int64]) -> Array:
    """Values [n, k] less the weighted mean of their recording: its bias goes with it."""
    out = np.empty_like(values)
    for number in np.unique(recording):
        rows = recording == number
        out[rows] = values[rows] - np.average(values[rows], axis=0, weights=weights[rows])
    return out


def biases_of(samples: Samples, gains: Array) -> dict[int, Array]:
    """Of each recording, by its number: what gains [6, k] leave of each axis, the median, [6]."""
    left = samples.loads - samples.terms @ gains.T
    numbers = np.unique(samples.recording).tolist()
    return {n: np.median(left[samples.recording == n], axis=0) for n in numbers}


def fold_gains(samples: Samples) -> list[Array]:
    """The gains that each fold's rows are foretold with: those that the others give."""
    return [gains_of(samples.part(samples.fold != fold)) for fold in range(FOLDS)]


def unexplained(samples: Samples, gains: Sequence[Array]) -> Array:
    """What the gains, of each fold, leave of force (N) and torque (Nm): RMS lengths, [2].

    Those of Gaussian axes of the same quantile, which outliers leave alone. The bias is that of
    each recording and fold.
    """
    if not len(samples):
        return np.zeros(2)
    groups = samples.recording * FOLDS + samples.fold
    left = samples.loads.copy()
    for number in np.unique(groups):
        rows = groups == number
        left[rows] -= samples.terms[rows] @ gains[number % FOLDS].T
        left[rows] -= np.median(left[rows], axis=0)
    lengths = np.linalg.norm(left.reshape(-1, 2, 3), axis=2)
    return np.asarray(np.quantile(lengths, _QUANTILE, axis=0) / _OF_LENGTH)


def directions(samples: Samples) -> int:
    """In how many of 3 directions the specific force changed enough to be identified."""
    return int((_spreads(samples)[0] > _CLEARLY * rigid_body.LEAST).sum())


def _spreads(samples: Samples) -> tuple[Array, Array]:
    """How far the specific force spreads along its principal directions, and these, in rows."""
    centred = samples.terms[:, :STATIC] - samples.terms[:, :STATIC].mean(axis=0)
    _, spreads, axes = np.linalg.svd(centred, full_matrices=False)
    return spreads / np.sqrt(len(centred)), axes


def rigid(samples: Samples, gains: Array) -> bool:
    """Whether gains [6, k] of force may be those of a body that hangs on the sensor.

    Such a body loads it by its mass along every direction alike. Legs that carry a trunk, which its
    IMU explains in part, do not. Of one direction alone nothing can be told, nor of axes that are
    not there: of k axes and d directions at least k + d - 3 gains are equal.
    """
    spreads, axes = _spreads(samples)
    known = axes[spreads > max(_STRONGLY * spreads[0], _CLEARLY * rigid_body.LEAST)]
    reported = np.flatnonzero(np.abs(samples.loads[:, :3]).any(axis=0))
    alike = np.linalg.svd(gains[reported][:, :STATIC] @ known.T, compute_uv=False)
    equal = len(reported) + len(known) - 3
    return bool(equal < 2 or alike[equal - 1] >= _RIGID * alike[0])


def folds_of(recordings: Sequence[Array]) -> list[NDArray[np.int64]]:
    """Which of `FOLDS` pieces of all recordings on end each row belongs to, [n] a recording."""
    ends = np.cumsum([len(rows) for rows in recordings])
    pieces = np.arange(ends[-1]) * FOLDS // max(ends[-1], 1)
    return list(np.split(pieces, ends[:-1]))
