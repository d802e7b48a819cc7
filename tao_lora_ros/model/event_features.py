"""A whole event in numbers: how much each kind of sensor changed, when, and what is borne after.

Lengths of vectors alone, so that neither the mounting nor the number of axes matters; sizes within
an event are relative to its own largest change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.signal.channels import split_name

Array = NDArray[np.float64]

VERSION = 1  # of what the numbers mean; a head of another one is refused

BEFORE_S, AFTER_S = 0.25, 0.06  # of an onset and of an end: nothing beyond is looked at
_STEP_S = 0.002  # of the grid that samples are brought to, with a point at the onset
_EARLY_S = 0.006  # an onset may be dated late by so much
# Changes that no sensor resolves much better; of efforts, Nm.
_FLOORS = {"accel": 0.02, "gyro": 0.002, "force": 0.05, "torque": 0.005, "effort": 0.05}
_LONGEST_S = 4.0  # longer events are as long as this
_BEARS_N = 0.7  # a load this far from what gravity explains may be an offset
_GRAVITY = "force", "accel"
_SINCE_ONSET_S = np.array([-0.25, -0.15, -0.06, -0.008, 0.004, 0.012, 0.024, 0.048, 0.096, 0.192])
_SINCE_ONSET_S = np.append(_SINCE_ONSET_S, 0.384)
_SINCE_END_S = np.array([-0.1, -0.03, 0.02, AFTER_S])
_HELD_S = 0.1  # after the onset and before the end, what is between is held
_OF_A_KIND = 5 + 2 * (len(_SINCE_ONSET_S) - 1 + len(_SINCE_END_S) - 1)
_LOADS = 4
FEATURES = 1 + _OF_A_KIND * len(_FLOORS) + _LOADS


class _Stretch(NamedTuple):
    """Vectors of one sensor, [n, axes], at grid times in s."""

    times_s: Array
    vectors: Array


class _Sensor(NamedTuple):
    """One sensor's event: its samples (times in s since the onset), and its features."""

    samples: _Stretch
    numbers: Array


def event_features(raw: Sequence[RawSamples], onset_ns: int, end_ns: int = 0) -> Array:
    """What a head tells events apart by.

    Of several sensors of a kind the one that changed the most counts.

    Args:
        raw: samples of each source from the pre-roll on, stamps less the source's lag.
        onset_ns: when the event began.
        end_ns: when it was over; 0: it goes on, beyond the newest sample.

    Returns:
        float64 [FEATURES], NaN where it is not known.
    """
    if not end_ns:
        end_ns = max((int(s.stamps_ns[-1]) for s in raw if len(s.stamps_ns)), default=onset_ns)
    duration_s = (end_ns - onset_ns) * 1e-9
    chosen = {}
    numbers = [np.array([np.log(np.clip(duration_s, _STEP_S, _LONGEST_S))])]
    for kind, floor in _FLOORS.items():
        found = [
            _Sensor(samples, _numbers_of(samples, duration_s, floor))
            for samples in _samples_of(raw, kind, onset_ns, duration_s)
        ]
        if found:
            chosen[kind] = max(found, key=lambda sensor: float(sensor.numbers[0]))
        numbers.append(chosen[kind].numbers if found else np.full(_OF_A_KIND, np.nan))
    numbers.append(_borne(chosen, duration_s))
    return np.concatenate(numbers)


def columns_of(*kinds: str) -> list[int]:
    """Numbers of the features that come of sensors of these kinds."""
    found: list[int] = []
    for i, kind in enumerate(_FLOORS):
        found += range(1 + i * _OF_A_KIND, 1 + (i + 1) * _OF_A_KIND) if kind in kinds else ()
    return found + [*range(FEATURES - _LOADS, FEATURES)] * bool({*kinds} & {*_GRAVITY})


def _samples_of(
    raw: Sequence[RawSamples], kind: str, onset_ns: int, duration_s: float
) -> list[_Stretch]:
    """The samples of each source's sensor of this kind; of those with fewer than three, none."""
    found = []
    for source in raw:
        columns = [i for i, name in enumerate(source.channels) if split_name(name)[1] == kind]
        times_s = np.asarray((source.stamps_ns - onset_ns) * 1e-9, np.float64)
        values = source.values[:, columns]
        values = values[:, ~np.isnan(values).all(axis=0)]
        good = (times_s >= -BEFORE_S) & (times_s <= duration_s + AFTER_S)
        good &= ~np.isnan(values).any(axis=1)
        if values.size and good.sum() >= 3:
            found.append(_Stretch(times_s[good], values[good]))
    return found


def _numbers_of(samples: _Stretch, duration_s: float, floor: float) -> Array:
    """Largest change (log), what of it came within a step, and how both went, [_OF_A_KIND]."""
    begin = _on_grid(samples, 0.0, (_SINCE_ONSET_S[0], _SINCE_ONSET_S[-1]))
    end = _on_grid(samples, duration_s, (_SINCE_END_S[0], AFTER_S))
    if not len(begin.times_s):  # it came to speak after all that
        return np.full(_OF_A_KIND, np.nan)
    before = begin.vectors[begin.times_s < -_EARLY_S]
    before = before if len(before) else begin.vectors[:1]
    usual = before.mean(axis=0)
    changes, steps = _lengths(begin.vectors - usual), _steps(begin.vectors)
    since = begin.times_s >= -_EARLY_S
    most = max(changes[since].max(initial=0.0), floor)
    steepest = max(steps[since].max(initial=0.0), floor)
    late = np.stack((_lengths(end.vectors - usual), _steps(end.vectors)))
    course = [
        np.log(np.sqrt(_means(values**2, times_s, edges_s)) + 0.3 * floor)
        - np.log([[most], [steepest]])
        for times_s, edges_s, values in (
            (begin.times_s, _SINCE_ONSET_S, np.stack((changes, steps))),
            (end.times_s, _SINCE_END_S, late),
        )
    ]
    held = _held(samples, duration_s, usual, np.median(_steps(before)) + 0.3 * floor, most)
    course = [part.ravel() for part in course]
    return np.concatenate(([np.log(most), np.log(steepest / most)], held, *course))


def _held(samples: _Stretch, duration_s: float, usual: Array, before: float, most: float) -> Array:
    """Of what lasts: its level and unrest (over the largest change), steps (over before's), [3]."""
    middle = _on_grid(samples, 0.0, (_HELD_S, min(duration_s, _LONGEST_S) - _HELD_S))
    if len(middle.times_s) < 3:
        return np.full(3, np.nan)
    level = middle.vectors.mean(axis=0)
    unrest = np.median(_lengths(middle.vectors - level))
    sizes = (
        _lengths((level - usual)[None])[0] / most,
        unrest / most,
        np.median(_steps(middle.vectors)) / before,
    )
    return np.log(np.array(sizes) + 0.01)


def _on_grid(samples: _Stretch, origin_s: float, reach_s: tuple[float, float]) -> _Stretch:
    """Samples at whole steps from the onset, within reach of an origin; times are since that."""
    first_s = max(origin_s + reach_s[0], samples.times_s[0])
    last_s = min(origin_s + reach_s[1], samples.times_s[-1])
    steps = np.arange(np.ceil(first_s / _STEP_S - 0.5), np.floor(last_s / _STEP_S + 0.5) + 1)
    times_s = steps * _STEP_S
    columns = [np.interp(times_s, samples.times_s, axis) for axis in samples.vectors.T]
    return _Stretch(times_s - origin_s, np.column_stack(columns))


def _lengths(vectors: Array) -> Array:
    return np.sqrt((vectors * vectors).sum(axis=1))


def _steps(vectors: Array) -> Array:
    """How far each vector is from the one before, [n]."""
    steps = np.zeros(len(vectors))
    steps[1:] = _lengths(vectors[1:] - vectors[:-1])
    return steps


def _means(values: Array, times_s: Array, edges_s: Array) -> Array:
    """Means of values [k, n] between each two edges, NaN where there is nothing, [k, edges - 1]."""
    bounds = np.searchsorted(times_s, edges_s - 1e-9)
    sums = np.zeros((len(values), len(times_s) + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    counts = bounds[1:] - bounds[:-1]
    between = np.abs(sums[:, bounds[1:]] - sums[:, bounds[:-1]])
    return np.where(counts > 0, between / np.maximum(counts, 1), np.nan)


def _borne(chosen: dict[str, _Sensor], duration_s: float) -> Array:
    """Load that gravity does not explain: after, soon after, and before (log of N), [_LOADS].

    What of the force is not along the specific force, so it needs no mass, but an IMU turned as the
    wrench is. It tells who lets go from who takes hold, as the shape of a change does not.
    """
    if any(kind not in chosen or chosen[kind].samples.vectors.shape[1] < 3 for kind in _GRAVITY):
        return np.full(_LOADS, np.nan)
    forces, accels = (chosen[kind].samples for kind in _GRAVITY)
    last_s = min(forces.times_s[-1], accels.times_s[-1])

    def load(from_s: float, to_s: float) -> float:
        force, up = (
            part.vectors[(part.times_s >= from_s) & (part.times_s < to_s)]
            for part in (forces, accels)
        )
        if not (len(force) and len(up)):
            return np.nan
        mean, along = force.mean(axis=0), up.mean(axis=0)
        across = mean - (mean * along).sum() / max((along * along).sum(), 1e-9) * along
        return float(np.log(np.sqrt((across * across).sum()) + _BEARS_N))

    before, soon = load(-BEFORE_S, -0.02), load(0.02, 0.12)
    after = load(max(duration_s - 0.03, last_s - 0.06), np.inf)
    return np.array([after - before, soon - before, before, after])
