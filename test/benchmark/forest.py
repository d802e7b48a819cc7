"""The peer on hand-made features: a random forest, as a robot team would try it first."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_TREES, _LEAF = 200, 3
_BANDS = 8


def features(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Spread, extremes, quartiles, roughness and log-power in eight bands of [B, T, C]."""
    centred = windows - windows.mean(axis=1, keepdims=True)
    rows = windows.shape[1]
    hann = np.hanning(rows)[None, :, None]
    power = np.abs(np.fft.rfft(centred * hann, axis=1)) ** 2
    edges = np.unique(np.round(np.geomspace(1, power.shape[1], _BANDS + 1)).astype(int))
    bands = [power[:, a:b].mean(axis=1) for a, b in pairwise(edges)]
    parts = [
        np.log(centred.std(axis=1) + 1e-4),
        centred.min(axis=1),
        centred.max(axis=1),
        *np.percentile(centred, (25, 75), axis=1),
        np.log(np.abs(np.diff(windows, axis=1)).mean(axis=1) + 1e-5),
        *(np.log(band + 1e-6) for band in bands),
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


def grow(
    training: NDArray[np.float32], labels: NDArray[np.int64], seed: int
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """A forest grown on labelled windows: windows to shares of the labels in order, [n, L].

    Raises:
        ImportError: scikit-learn is missing.
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        _TREES, min_samples_leaf=_LEAF, class_weight="balanced_subsample", random_state=seed
    )
    forest.fit(features(training), labels)
    return lambda windows: forest.predict_proba(features(windows))
