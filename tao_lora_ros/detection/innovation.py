"""What of a row neither the other channels nor the rows before explain.

A row's *energy* is the mean square of its innovation: of the change of each channel from the row
before, what neither the other channels nor the last `LAGS` changes explain, in units of what is
usual. Differences leave slow motion and gravity's turning out. What is predictable cancels: the
drives' vibration, which shakes the force sensor and the accelerometer alike and rings on from row
to row. A blow on the tool is neither, and stands out (Basseville and Nikiforov 1993, Detection of
Abrupt Changes, on innovations). The prediction comes from a slow covariance of the changes with
part of the one that steady motion has had altogether, from the calibration: so the first motion
after a rest is no surprise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.covariance import Array
from tao_lora_ros.signal.compiled import inlined

LAGS = 2
# Of the covariance of all steady motion, as against that of the last while.
PRIOR_SHARE = 0.5
# Changes are cut off at so many times this quantile of theirs.
_CUT_OFF, _USUAL = 10.0, 0.99
_DIGITS = 8  # significant ones of the autocovariance


def autocovariance_of(
    recordings: Sequence[NDArray[np.float64]], floors: Sequence[float]
) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """That of the changes from row to row, at lags 0 to LAGS, [LAGS + 1][C][C].

    A missing change counts as none.

    Every lag is divided by the number of changes, not of products: only so is the matrix of all
    lags positive semidefinite (Brockwell and Davis 1991, Time Series, section 7.2). Changes far
    beyond the usual are cut off, so that a bad sample that was not found yet spoils nothing.
    """
    channels = len(floors)
    changes = [np.nan_to_num(np.diff(rows, axis=0)) for rows in recordings]
    count = sum(map(len, changes))
    if count:
        usual = np.quantile(np.abs(np.concatenate(changes)), _USUAL, axis=0)
        limits = _CUT_OFF * np.maximum(usual, floors)
        changes = [np.clip(part, -limits, limits) for part in changes]
    sums = np.zeros((LAGS + 1, channels, channels))
    for part in changes:
        for lag in range(LAGS + 1):
            sums[lag] += part[lag:].T @ part[: max(len(part) - lag, 0)]
    means = sums / max(count, 1)
    return tuple(
        tuple(tuple(float(f"{value:.{_DIGITS}g}") for value in row) for row in lag) for lag in means
    )


def prior(autocovariance: Sequence[Sequence[Sequence[float]]], floors: Sequence[float]) -> Array:
    """Prior covariance of LAGS + 1 changes in turn, oldest first, [(LAGS + 1) C] squared.

    Args:
        autocovariance: of the changes in steady motion, [LAGS + 1][C][C].
        floors: standard deviation of each channel's resolution, C of them.
    """
    at = [np.array(lag) for lag in autocovariance]
    steps = range(LAGS + 1)
    blocks = [[at[i - j] if i >= j else at[j - i].T for j in steps] for i in steps]
    variances = np.tile(np.array(floors) ** 2, LAGS + 1)
    return np.ascontiguousarray(PRIOR_SHARE * np.block(blocks) + np.diag(variances))


@inlined
def take_in(before, still, values, changes, deviations, covariance, stuck_rows):
    """Shift the changes [(LAGS + 1) C] by those of a row [C]; how many channels have one.

    A channel that has not changed for `stuck_rows` while others do is stuck, and has none.
    Also writes the new changes in usual standard deviations, the row itself to `before`, [C], and
    for how long each channel has not changed to `still`, [C].
    """
    older = len(changes) - len(values)
    for i in range(older):
        changes[i] = changes[i + len(values)]
    moves = False
    for c in range(len(values)):
        changes[older + c] = values[c] - before[c]
        before[c] = values[c]
        still[c] = still[c] + 1 if changes[older + c] == 0.0 else 0
        moves |= abs(changes[older + c]) > 0.0
    present = 0
    for c in range(len(values)):
        i = older + c
        if moves and still[c] >= stuck_rows:
            changes[i] = np.nan
        change = changes[i]
        deviations[c] = 0.0
        if not np.isnan(change):
            present += 1
            variance = covariance.value[i, i] + covariance.prior[i, i]
            deviations[c] = abs(change) / np.sqrt(variance)
    return present


@inlined
def mean_squares(white, channels, present, missing, usual):
    """Energy of a row, and the larger of it and of the mean over the changes before it too.

    An outlier stays among the changes for `LAGS` rows more, in which it may be well predicted.
    Channels that are `missing` have the `usual` energy: a mean of fewer varies more, and would
    alarm more often than it did in the calibration.
    """
    total, energy = 0.0, 0.0
    for i in range(len(white)):
        total += white[i] * white[i]
        if i >= len(white) - channels:
            energy += white[i] * white[i]
    energy += missing * usual
    count = present + missing
    return energy / count, max(energy, total / (LAGS + 1) + missing * usual) / count
