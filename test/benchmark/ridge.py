"""Ridge classification by least squares, its penalty chosen by leave-one-out, for wide features.

As the `RidgeClassifierCV` of scikit-learn, which goes with the transforms of aeon, but by the Gram
matrix, of products in float32, and from the largest penalty down only as long as the error falls.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np
from numpy.typing import NDArray

PENALTIES = np.logspace(3, -3, 10)  # aeon's


class Ridge:
    """Margins of the labels, each against the others (targets of -1 and 1)."""

    def __init__(self, features: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        """Fit on features [n, F] and numbers of labels [n]."""
        self._mean = features.mean(axis=0)
        centred = features - self._mean
        targets = np.where(labels[:, None] == np.arange(labels.max() + 1), 1.0, -1.0)
        self._offset = targets.mean(axis=0)
        gram = (centred @ centred.T).astype(np.float64)
        self.penalty, least, best = 0.0, np.inf, targets
        for penalty in PENALTIES:
            dual, error = _solved(gram, targets - self._offset, penalty)
            if error > least:
                break
            self.penalty, least, best = float(penalty), error, dual
        self._weights = centred.T @ best.astype(np.float32)

    def margins(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of features [n, F], [n, L]."""
        return np.asarray((features - self._mean) @ self._weights, np.float64) + self._offset


def _solved(
    gram: NDArray[np.float64], targets: NDArray[np.float64], penalty: float
) -> tuple[NDArray[np.float64], float]:
    """The dual weights [n, L], and the mean squared error of each row by a fit without it (PRESS).

    The intercept is not penalised: the share of the constant's direction, whose product is 0, is
    taken out of the inverse.
    """
    rows, linalg = len(gram), import_module("scipy.linalg")
    factor, _ = linalg.lapack.dpotrf(gram + penalty * np.eye(rows), lower=True, overwrite_a=True)
    inverse, _ = linalg.lapack.dpotri(factor, lower=True, overwrite_c=True)
    diagonal = inverse.diagonal() - 1 / (rows * penalty)
    dual = linalg.blas.dsymm(1.0, inverse, targets, lower=True)
    return dual, float(np.square(dual / diagonal[:, None]).mean())
