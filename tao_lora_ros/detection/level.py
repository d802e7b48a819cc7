"""The energy of a source against the calibration's own level, beside against its recent past.

A ratio to the recent past alone (STA/LTA) is insensitive where steady motion has rare rough moments
that follow steadier ones; a fixed level alone (a jerk threshold) is where it has rough and steadier
stretches. Here the energy is held against a weighted geometric mean of both: its recent mean, and
its mean over the calibration, which is 1. Of recorded terrains this finds more than either, and
more than both with the alarms shared between them (test/benchmark/results/NOTES-detection.md).
Where motion has more energy than all of the calibration, a memory of seconds takes the latter's
place; it never falls below it, and does not learn in transients.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.covariance import Array
from tao_lora_ros.detection.innovation import LAGS, PRIOR_SHARE, prior
from tao_lora_ros.signal.compiled import inlined

# Weight of the recent mean, as against the calibration's.
SHARE = 0.5
# What a force moves at once, as against what follows through a lever or an integral.
_DIRECT = ("accel", "force", "effort")


def level_channels(channels: Iterable[str]) -> tuple[tuple[int, ...], ...]:
    """Channels that make up each level: of every source those that a force moves at once.

    A source that has none of these gives all that it has.

    Args:
        channels: names, such as `imu.accel_x`.
    """
    sources: dict[str, list[tuple[int, bool]]] = {}
    for i, channel in enumerate(channels):
        source, _, axis = channel.rpartition(".")
        sources.setdefault(source, []).append((i, axis.startswith(_DIRECT)))
    levels = []
    for found in sources.values():
        direct = tuple(i for i, is_direct in found if is_direct)
        levels.append(direct or tuple(i for i, _ in found))
    return tuple(levels)


def level_filters(
    levels: Sequence[Sequence[int]],
    autocovariance: Sequence[Sequence[Sequence[float]]],
    floors: Sequence[float],
) -> Array:
    """What makes the innovations of steady motion out of LAGS + 1 changes, [C, (LAGS + 1) C].

    They have unit variance and nothing in common over the whole calibration. Rows of channels that
    belong to no level are 0.
    """
    channels = len(floors)
    factor = np.linalg.cholesky(prior(autocovariance, floors) / PRIOR_SHARE)
    filters = np.linalg.inv(factor)[LAGS * channels :]
    used = [channel for level in levels for channel in level]
    filters[[channel for channel in range(channels) if channel not in used]] = 0.0
    return np.ascontiguousarray(filters)


def level_numbers(levels: Sequence[Sequence[int]], channels: int) -> NDArray[np.int64]:
    """Which level each channel belongs to, [C], -1: none."""
    numbers = np.full(channels, -1)
    for number, level in enumerate(levels):
        numbers[list(level)] = number
    return numbers


@inlined
def level_energies(filters, numbers, changes, out, counts):
    """Mean square of the innovations of each level, [levels], NaN where no channel has a change.

    `changes` [(LAGS + 1) C] are the newest, NaN where there is none; `counts` [levels] is written.
    """
    out[:] = 0.0
    counts[:] = 0
    channels = len(numbers)
    older = len(changes) - channels
    for c in range(channels):
        if numbers[c] < 0 or np.isnan(changes[older + c]):
            continue
        innovation = 0.0
        for i in range(older + c + 1):
            if not np.isnan(changes[i]):
                innovation += filters[c, i] * changes[i]
        out[numbers[c]] += innovation * innovation
        counts[numbers[c]] += 1
    for level in range(len(out)):
        out[level] = out[level] / counts[level] if counts[level] else np.nan
