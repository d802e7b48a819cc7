"""river's drift detectors, which say yes or no row by row and have a parameter, no statistic.

Chosen like those of `peers`, anew under the rule's confidence bound: one after the other, twice,
the corner (5 to 120 Hz), the memory (8 ms to half a second), the slack (0.3 to 12) or the clock (1
to 4 rows), and what is looked at: the energy, the length of the force, and the logarithm of
either (calibrated on seeds 230000 to 230019, scored on 210000 to 210009).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.detectors import begins, strictest
from benchmark.filters import energy
from benchmark.scenes import RATE_HZ, Scene
from benchmark.score import Detections


@dataclass
class DriftPeer:
    """A drift detector on the energy of all channels.

    Args:
        highpass_hz: corner of the high-pass before it.
        memory_s: of the energy that counts as usual.
        hold_s: an alarm this soon after another belongs to it.
    """

    highpass_hz: float = 40.0
    memory_s: float = 0.016
    hold_s: float = 0.128

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("river", "scipy")
    largest: ClassVar[float]  # of the parameter; more of it means fewer alarms

    def make(self, parameter: float) -> Any:
        """The detector with this parameter."""
        raise NotImplementedError

    def calibrate(self, steady: Sequence[Scene], alarms_per_hour: float) -> None:
        """Set the parameter."""
        signals = [self._signal(scene.rows) for scene in steady]
        self.parameter = strictest(
            lambda parameter: [self._drifts(signal, parameter) for signal in signals],
            self.largest,
            alarms_per_hour,
        )

    def detect(self, scene: Scene) -> Detections:
        """Where the detector says drift."""
        drifts = self._drifts(self._signal(scene.rows), self.parameter)
        at = scene.times_s[begins(drifts, round(self.hold_s * RATE_HZ))]
        return Detections(at, at)

    def _signal(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return energy(rows, self.highpass_hz, self.memory_s)

    def _drifts(self, signal: NDArray[np.float64], parameter: float) -> NDArray[np.bool_]:
        detector = self.make(parameter)
        drifts = np.zeros(len(signal), bool)
        for i, value in enumerate(signal.tolist()):
            detector.update(value)
            drifts[i] = detector.drift_detected
        return drifts


@dataclass
class Adwin(DriftPeer):
    """ADWIN (Bifet and Gavaldà 2007); the parameter is -log10 of its significance.

    Args:
        clock: rows from one look to the next.
    """

    clock: int = 1

    name = "river-adwin"
    largest = 300.0

    def make(self, parameter: float) -> Any:
        """ADWIN at significance 10 to the minus parameter."""
        drift = import_module("river.drift")
        return drift.ADWIN(delta=10.0**-parameter, clock=self.clock, min_window_length=2)


@dataclass
class PageHinkley(DriftPeer):
    """The Page-Hinkley test for a rise (Page 1954); the parameter is its threshold.

    Args:
        slack: what a row may lie above the mean without counting.
    """

    highpass_hz: float = 20.0
    slack: float = 4.0

    name = "river-page-hinkley"
    largest = 1000.0

    def make(self, parameter: float) -> Any:
        """The test at this threshold."""
        drift = import_module("river.drift")
        return drift.PageHinkley(delta=self.slack, threshold=parameter, mode="up")
