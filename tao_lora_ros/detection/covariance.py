"""Slow covariance of rows, and rows made white by it: what is usual comes out small.

Compiled loops over plain arrays, so that a row costs microseconds, alone or among many.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.compiled import compiled, inlined

Array = NDArray[np.float64]

REFRESH_ROWS = 16


class CovarianceState(NamedTuple):
    """Exponentially weighted covariance about zero of rows [N], float64; lower triangles alone.

    Old rows fade by the weight of every new one, so rounding errors fade with them and cannot pile
    up over hours. Until `memory_rows` have come, every row has an equal part.

    Args:
        memory_rows: rows after which a row's weight has fallen by e.
        prior: added before the rows are made white, [N, N], positive definite: an estimate from few
            rows knows nothing of the directions that these have not shown.
        value: the covariance, [N, N].
        factor: Cholesky factor of `value + prior`, [N, N], renewed every `REFRESH_ROWS` rows.
        rows: how many were learned, int64 [1].
    """

    memory_rows: int
    prior: Array
    value: Array
    factor: Array
    rows: NDArray[np.int64]


def new_covariance(memory_rows: int, prior: Array) -> CovarianceState:
    """One that has seen no row; `prior` [N, N] is symmetric and positive definite."""
    factor: Array = np.linalg.cholesky(prior).astype(np.float64)
    return CovarianceState(memory_rows, prior, np.zeros_like(prior), factor, np.zeros(1, np.int64))


@inlined
def learn(state, row, weight):
    """Add a row [N] with a weight from 0 (ignored) to 1.

    A channel that is NaN keeps its variance and forgets what it had in common with the others.
    """
    state.rows[0] += 1
    w = weight / min(state.rows[0], state.memory_rows)
    for i in range(len(row)):
        x = 0.0 if np.isnan(row[i]) else row[i]
        for j in range(i):
            product = 0.0 if np.isnan(row[j]) else x * row[j]
            state.value[i, j] += w * (product - state.value[i, j])
        if not np.isnan(row[i]):
            state.value[i, i] += w * (x * x - state.value[i, i])
    if state.rows[0] % REFRESH_ROWS == 0:
        factorize(state)


@compiled
def factorize(state):
    """Renew the factor: the Cholesky-Banachiewicz scheme."""
    factor = state.factor
    for i in range(len(factor)):
        for j in range(i + 1):
            rest = state.value[i, j] + state.prior[i, j]
            for k in range(j):
                rest -= factor[i, k] * factor[j, k]
            factor[i, j] = np.sqrt(rest) if i == j else rest / factor[j, j]


@inlined
def whiten(state, row, out):
    """Solve factor · out = row for a row [N], NaN taken as 0.

    For a row of the learned kind, `out` has unit variances and no correlation; each entry is what
    the entries before it do not explain, so its last ones are the innovation of the row's last
    channels given the others, and the sum of all squares is Mahalanobis's distance squared.
    """
    for i in range(len(row)):
        rest = 0.0 if np.isnan(row[i]) else row[i]
        for j in range(i):
            rest -= state.factor[i, j] * out[j]
        out[i] = rest / state.factor[i, i]
