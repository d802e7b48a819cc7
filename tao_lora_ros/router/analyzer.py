"""Score how much livelier every channel is than it has been, on several time scales at once.

The statistic is the idea of STA/LTA (Allen 1978), applied to variance: the logarithm of the
variance of the newest few rows over its own recent mean. Comparing short-window variances with
short-window variances leaves slow motion and gravity's turning out on both sides. The recent mean
is the largest of several memories: a robot that sets off grows livelier within tenths of a second,
which the short memories follow and an impact outruns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.variance import SlidingVariance


@dataclass(frozen=True)
class Calibration:
    """What the analyzer needs to know, made by `router.calibration` and kept in the artifact.

    Args:
        scales: fast window lengths in rows.
        thresholds: log-ratio of each scale at which it alarms.
        baselines: lengths of the baseline's memories in rows, shortest first.
        start_rows: rows that a baseline learns before it is compared with.
        leak_rows: rows in which a frozen baseline rises by a factor e at the most, towards what
            it is now: motion that has grown livelier lets go of a transient, a contact does not.
        top_k: how many of the liveliest channels are averaged.
        floors: standard deviation of each channel below which a change is of no interest, in the
            channel's unit (its resolution); it also keeps a silent channel's ratio finite.
        alarms_per_hour: false-alarm rate that the thresholds were set for.
    """

    scales: tuple[int, ...]
    thresholds: tuple[float, ...]
    baselines: tuple[int, ...]
    start_rows: int
    leak_rows: int
    top_k: int
    floors: tuple[float, ...]
    alarms_per_hour: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one row says.

    `score` is dimensionless and 1 at the threshold; `scale` is the window length (rows) that gave
    it; `rho` is the log-ratio of each channel on that scale, [C]; `deviation` is each channel's
    distance from its recent mean in baseline standard deviations, [C]. Channels without a value
    are 0.
    """

    score: float
    scale: int
    rho: NDArray[np.float64]
    deviation: NDArray[np.float64]


class VarianceAnalyzer:
    """Streaming scores of rows [C]; the baseline learns only while it is not frozen."""

    def __init__(self, calibration: Calibration) -> None:
        self._scales = calibration.scales
        self._thresholds = np.array(calibration.thresholds)
        self._floors = np.array(calibration.floors) ** 2
        self._top_k = calibration.top_k
        self._memories = np.array(calibration.baselines)[:, None, None]
        self._longest = max(calibration.scales)
        self._delays = np.array(calibration.scales)
        self._rows = np.arange(len(calibration.scales))
        self._start_rows = calibration.start_rows
        self._leak = np.exp(1.0 / calibration.leak_rows)
        self._variance = SlidingVariance(calibration.scales, len(calibration.floors))
        self.clear()

    def clear(self) -> None:
        """Forget the past."""
        shape = (len(self._scales), len(self._floors))
        self.pooled = np.zeros(len(self._scales))  # log-ratio of each scale at the newest row
        self._variance.clear()
        self._means = np.zeros((len(self._memories), *shape))
        self._lately = np.full(shape, np.nan)  # short memory that never freezes
        self._learned = np.zeros(shape)
        # Variances wait here until their fast window has left them behind, so that an onset
        # cannot raise the baseline that it is compared with.
        self._waiting = np.full((self._longest, *shape), np.nan)
        self._at = 0

    def update(self, values: NDArray[np.float64], frozen: bool) -> Analysis:
        """Score one row, float64 [C], NaN where a channel has no value."""
        mean = self._variance.mean
        fast = self._variance.push(values)
        ready = (self._learned >= self._start_rows) & ~np.isnan(fast)
        baseline = self._means.max(axis=0) + self._floors
        rho = np.where(ready, np.log((fast + self._floors) / baseline), 0.0)
        self.pooled = self._pool(rho, ready)
        scores = self.pooled / self._thresholds
        best = int(scores.argmax())
        deviation = np.where(ready[-1], np.abs(values - mean) / np.sqrt(baseline[-1]), 0.0)
        self._learn(fast, frozen)
        return Analysis(float(scores[best]), self._scales[best], rho[best], deviation)

    def _pool(self, rho: NDArray[np.float64], ready: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Mean of the k largest log-ratios of each scale, over the channels that have one."""
        k = self._top_k
        largest = np.partition(np.where(ready, rho, -np.inf), -k, axis=1)[:, -k:]
        present = np.minimum(ready.sum(axis=1), k)
        total = np.where(np.isinf(largest), 0.0, largest).sum(axis=1)
        return total / np.maximum(present, 1)

    def _learn(self, fast: NDArray[np.float64], frozen: bool) -> None:
        self._lately = np.where(
            np.isnan(self._lately), fast, self._lately + (fast - self._lately) / self._memories.min()
        )
        leaving = self._waiting[(self._at - self._delays) % self._longest, self._rows]
        if not frozen:
            known = ~np.isnan(leaving)
            self._learned += known
            weight = 1.0 / np.clip(self._learned, 1, self._memories)
            self._means += np.where(known, weight * (leaving - self._means), 0.0)
        else:
            risen = np.fmin(self._means * self._leak, self._lately)
            self._means = np.maximum(self._means, risen)
        self._waiting[self._at] = np.nan if frozen else fast
        self._at = (self._at + 1) % self._longest

    @property
    def ready(self) -> bool:
        """Whether some channel has a baseline on every scale."""
        return bool((self._learned >= self._start_rows).any(axis=1).all())

    def accept(self) -> None:
        """Take the variances of the last short memory as the new steady state."""
        known = ~np.isnan(self._lately)
        self._means = np.where(known, self._lately, self._means)
        self._learned = np.where(known, self._start_rows, self._learned)
