"""Score how much livelier the signals are than they have been, on several time scales at once.

A row's *energy* is the squared Mahalanobis distance of its change from the row before, under the
slow covariance of such changes, for each channel. Differences leave slow motion and gravity's
turning out. The covariance cancels what the channels usually do together, such as the drives'
vibration, which shakes the force sensor and the accelerometer alike: a blow on the tool does not,
and stands out (Basseville and Nikiforov 1993, Detection of Abrupt Changes, on innovations).

The statistic is then STA/LTA's (Allen 1978): the logarithm of the energy of the newest few rows
over its own recent mean. That mean is the largest of several memories: a robot that sets off grows
livelier within tenths of a second, which the short memories follow and an impact outruns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.covariance import StreamingCovariance

# Of an energy that is 1 on average: keeps the ratio finite where a channel falls silent.
ENERGY_FLOOR = 0.002
# A row this many times livelier than usual counts less, so that an outlier stays one.
CLIP = 8.0


@dataclass(frozen=True)
class Calibration:
    """What the analyzer needs to know, made by `router.calibration` and kept in the artifact.

    Args:
        scales: lengths of the fast windows in rows.
        thresholds: log-ratio of each scale at which it alarms.
        memories: lengths of the baseline's memories in rows.
        covariance_rows: memory of the slow covariance in rows.
        start_rows: rows that the covariance learns first, and then again the baseline before it
            is compared with.
        leak_rows: rows in which a frozen baseline rises by a factor e at the most, towards what
            it is now: motion that has grown livelier lets go of a transient, a contact does not.
        floors: standard deviation of each channel's resolution, in its unit.
        alarms_per_hour: false-alarm rate that the thresholds were set for.
    """

    scales: tuple[int, ...]
    thresholds: tuple[float, ...]
    memories: tuple[int, ...]
    covariance_rows: int
    start_rows: int
    leak_rows: int
    floors: tuple[float, ...]
    alarms_per_hour: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one row says.

    `score` is dimensionless and 1 at the threshold; `scale` is the window length (rows) that gave
    it; `liveliness` is the row's own energy over the usual; `deviations` are the channels' changes
    from the row before in their usual standard deviations, [C], 0 where a channel has no value.
    """

    score: float
    scale: int
    liveliness: float
    deviations: NDArray[np.float64]


class VarianceAnalyzer:
    """Streaming scores of rows [C]; the baseline learns only while it is not frozen."""

    def __init__(self, calibration: Calibration) -> None:
        self._scales = np.array(calibration.scales)
        self._thresholds = np.array(calibration.thresholds)
        self._memories = np.array(calibration.memories)[:, None]
        self._start_rows = calibration.start_rows
        self._leak = np.exp(1.0 / calibration.leak_rows)
        self._covariance = StreamingCovariance(
            calibration.covariance_rows, np.array(calibration.floors)
        )
        self._longest = max(calibration.scales)
        self._newest_first = np.arange(self._longest)
        self._which = np.arange(len(self._scales))
        self.clear()

    def recalibrate(self, thresholds: tuple[float, ...]) -> None:
        """Take other thresholds, one a scale; the past stays."""
        self._thresholds = np.array(thresholds)

    def clear(self) -> None:
        """Forget the past."""
        scales = len(self._scales)
        self._covariance.clear()
        self._before: NDArray[np.float64] | None = None
        self._energies = np.zeros(self._longest)
        self._means = np.zeros((len(self._memories), scales))
        self._lately = np.zeros(scales)  # short memory that never freezes
        self._rows = 0
        self._learned = 0
        # Energies wait here until their fast window has left them behind, so that an onset cannot
        # raise the baseline that it is compared with; NaN: not to be learned.
        self._waiting = np.full((self._longest, scales), np.nan)
        self.log_ratios = np.zeros(scales)  # of the newest row, one a scale

    def update(self, values: NDArray[np.float64], frozen: bool) -> Analysis:
        """Score one row, float64 [C], NaN where a channel has no value."""
        before, self._before = self._before, values
        change = np.full(len(values), np.nan) if before is None else values - before
        missing = np.isnan(change)
        change[missing] = 0.0
        present = len(change) - int(missing.sum())
        if present == 0:  # nothing to learn from; the past stays as it is
            return Analysis(0.0, self._longest, 0.0, change)
        energy = self._covariance.squared_distance(change) / present
        usual = float(self._means[:, 0].max()) + ENERGY_FLOOR
        fast = self._push(energy)
        if self.ready:
            self.log_ratios = np.log(
                (fast + ENERGY_FLOOR) / (self._means.max(axis=0) + ENERGY_FLOOR)
            )
        deviations = np.abs(change) / self._covariance.deviations
        if not frozen:
            trusted = self._rows <= self._start_rows or energy <= CLIP * usual
            known = np.where(missing, np.nan, change)
            self._covariance.push(known, 1.0 if trusted else CLIP * usual / energy)
        self._learn(fast, frozen)
        scores = self.log_ratios / self._thresholds
        best = int(scores.argmax())
        liveliness = energy / usual if self.ready else 0.0
        return Analysis(float(scores[best]), int(self._scales[best]), liveliness, deviations)

    def _push(self, energy: float) -> NDArray[np.float64]:
        """Mean energy of the newest rows of each scale."""
        at = self._rows % self._longest
        self._energies[at] = energy
        self._rows += 1
        newest_first = self._energies[(at - self._newest_first) % self._longest]
        return newest_first.cumsum()[self._scales - 1] / self._scales

    def _learn(self, fast: NDArray[np.float64], frozen: bool) -> None:
        weight = 1.0 / min(self._rows, int(self._memories.min()))
        self._lately += weight * (fast - self._lately)
        at = self._rows % self._longest
        leaving = self._waiting[(at - self._scales) % self._longest, self._which]
        if frozen:
            risen = np.minimum(self._means * self._leak, self._lately)
            self._means = np.maximum(self._means, risen)
        elif not np.isnan(leaving).any():
            self._learned += 1
            self._means += (leaving - self._means) / np.minimum(self._learned, self._memories)
        # Before the covariance knows the noise, energies are hundreds: not to be learned either.
        self._waiting[at] = np.nan if frozen or self._rows <= self._start_rows else fast

    @property
    def ready(self) -> bool:
        """Whether there is a baseline to compare with."""
        return self._learned >= self._start_rows

    def accept(self) -> None:
        """Take the energies of the last short memory as the new steady state."""
        self._means[:] = self._lately
        self._learned = self._start_rows
