"""Whether an event is like those that names were learned from, by its Mahalanobis distance.

Each name is a Gaussian over the standardised features of an event, all of one covariance; how far
the nearest is tells what was never learned (Lee et al. 2018, A simple unified framework for
detecting out-of-distribution samples and adversarial attacks). What is not known of an event, as of
a sensor that a robot lacks, is left out of the Gaussians.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.results import Phase

Array = NDArray[np.float64]

_FEWEST = 8  # features known, below which nothing is like anything


@dataclass(frozen=True, eq=False)
class Likeness:
    """What the events of each name were, for each phase of an event.

    Args:
        limits: the largest distance that is still like a name, of each phase.
        centres: of the names, [2, F, N], standardised.
        covariance: of the standardised features about them, [2, F, F]; 0 of those never seen.
    """

    limits: tuple[float, float]
    centres: Array
    covariance: Array

    def seen(self, phase: Phase) -> NDArray[np.int64]:
        """Which features there were."""
        return np.flatnonzero(self.covariance[phase].diagonal() > 0.0)

    def distances(self, phase: Phase, values: Array) -> Array:
        """Mean square deviation of a known feature from the nearest name, [n].

        Args:
            values: standardised features, [n, F], NaN where unknown.

        Returns:
            The squared Mahalanobis distances over the number of features; infinite where hardly any
            is known.
        """
        known = np.zeros(values.shape, bool)
        known[:, self.seen(phase)] = ~np.isnan(values[:, self.seen(phase)])
        found = np.full(len(values), np.inf)
        for pattern in np.unique(known, axis=0) if len(known) > 1 else known:
            rows, (at,) = (known == pattern).all(axis=1), np.nonzero(pattern)
            if len(at) < _FEWEST:
                continue
            left = values[rows][:, at, None] - self.centres[phase][at]  # [n, known, N]
            flat = left.transpose(1, 0, 2).reshape(len(at), -1)
            solved = np.linalg.solve(self.covariance[phase][np.ix_(at, at)], flat)
            squares = (flat * solved).sum(axis=0).reshape(left.shape[0], -1)
            found[rows] = squares.min(axis=1) / len(at)
        return found

    def drawn(self, phase: Phase, name: int, count: int, rng: np.random.Generator) -> Array:
        """Events as a name's were, [count, F], standardised; NaN where nothing was ever seen."""
        seen = self.seen(phase)
        values = np.full((count, self.centres.shape[1]), np.nan)
        spread = self.covariance[phase][np.ix_(seen, seen)]
        values[:, seen] = rng.multivariate_normal(self.centres[phase, seen, name], spread, count)
        return values
