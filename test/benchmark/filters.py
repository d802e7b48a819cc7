"""What users of the peers do to the signals first; all causal."""

from __future__ import annotations

from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from benchmark.scenes import RATE_HZ

_FORCE = slice(6, 9)
Array = NDArray[np.float64]


def highpassed(rows: Array, corner_hz: float) -> Array:
    """Second-order Butterworth high-pass of the channels that the recording has, [n, k]."""
    signal = import_module("scipy.signal")
    numerator, denominator = signal.butter(2, corner_hz, "highpass", fs=RATE_HZ)
    present = _filled(rows[:, ~np.isnan(rows).all(axis=0)])
    start = signal.lfilter_zi(numerator, denominator)[:, None] * present[:1]
    return np.asarray(signal.lfilter(numerator, denominator, present, axis=0, zi=start)[0])


def force_norm(rows: Array, corner_hz: float) -> Array:
    """Length of the high-passed force in N, [n]."""
    return np.asarray(np.linalg.norm(highpassed(rows[:, _FORCE], corner_hz), axis=1))


def energy(rows: Array, corner_hz: float, memory_s: float) -> Array:
    """RMS over the channels of the high-passed rows, each over its own of the last while, [n].

    About 1 as long as the motion goes on as it did: the drift detectors take their input to be of
    one distribution, which a robot's bare force is not.
    """
    signal = import_module("scipy.signal")
    squares = highpassed(rows, corner_hz) ** 2
    weight = 1.0 / (memory_s * RATE_HZ)
    start = (1.0 - weight) * squares[: round(memory_s * RATE_HZ)].mean(axis=0)
    recent = signal.lfilter([weight], [1.0, weight - 1.0], squares, axis=0, zi=start[None])[0]
    before = np.vstack([recent[:1], recent[:-1]])
    return np.asarray(np.sqrt((squares / (before + 1e-12)).mean(axis=1)))


def _filled(rows: Array) -> Array:
    """The rows with every NaN replaced by the value before it, at the start by the one after."""
    known = ~np.isnan(rows)
    if known.all():
        return rows
    index = np.where(known, np.arange(len(rows))[:, None], 0)
    np.maximum.accumulate(index, axis=0, out=index)
    first = known.argmax(axis=0)
    index = np.maximum(index, first)
    return rows[index, np.arange(rows.shape[1])]
