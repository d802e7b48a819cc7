"""What a value of a sensor may be."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

# More than any robot's sensor reads, in its unit, and far from where squares overflow.
_LARGEST = {"accel": 1e5, "gyro": 1e4, "force": 1e7, "torque": 1e7, "effort": 1e7}


class Limits:
    """The largest magnitude of each value of a source.

    Args:
        quantities: that of each channel, such as `accel`.

    Attributes:
        harmless: what the magnitudes of all values together may be in any case.
    """

    def __init__(self, quantities: Iterable[str]) -> None:
        self._largest = np.array([_LARGEST[quantity] for quantity in quantities])
        self.harmless = float(self._largest.min(initial=np.inf))

    def problem(self, values: NDArray[np.float64]) -> str:
        """Why values [channels] are refused, in a word; empty where they are fine.

        One that is NaN is not reported, which is no problem unless all are.
        """
        if np.isinf(values).any() or np.isnan(values).all():
            return "not_finite"
        return "out_of_range" if (np.abs(values) > self._largest).any() else ""
