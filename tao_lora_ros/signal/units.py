"""Signs that values are not what REP-103 wants: other units, no gyro, coarse steps, stuck axes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.texts import digits
from tao_lora_ros.signal.channels import SourceConfig, quantities

Array = NDArray[np.float64]

SAMPLES = 256  # that are looked at together
_BLOCKS = 8
GRAVITY = 9.80665  # m/s², standard
_ONE_G = (0.8, 1.2)
_DEGREE = np.pi / 180.0
# Of gravity's turning to the gyro's, where all is right; and how alike both have to be.
_RIGHT = (0.6, 1.6)
_ALIKE = 0.7
_LEAST_TURN = 0.02  # rad, root of the sum of squares
_SPIN = 10.0  # rad/s, root mean square: nothing that walks, drives or reaches keeps that up
# Cosines between the specific force and up, of an IMU that is hardly accelerated.
_AGAINST, _ALONG = -0.9, -0.5
_STILL = 0.03  # of an acceleration's size, by which it changes at rest
_LOOKS = 3  # with either
_COARSE = 7.0
_FEWEST_STEPS = 3


class UnitCheck:
    """Looks at a source's samples once in a while; a source has one.

    Args:
        config: the source.
    """

    def __init__(self, config: SourceConfig) -> None:
        self._channels = config.channels
        found = quantities(config.channels)
        self._accel = found.get(f"{config.name}.accel")
        self._gyro = found.get(f"{config.name}.gyro")
        self._coarse_ones: set[str] = set()
        self._moved = np.zeros(len(config.channels), bool)
        # Of gravity's turning as seen and as the gyro has it: seen · had, had², seen².
        self._turning = np.zeros(3)
        self._upward = np.zeros(3)  # at the last look
        self._size, self._large_ones = 0.0, 0  # of the acceleration then, and looks with one alike
        self._large_said = False
        self._against = 0  # looks at which gravity was; too few for ever where it was not once

    def look(self, values: Array, period_s: float, upward: Array | None = None) -> list[str]:
        """What is wrong with some samples, [`SAMPLES`, channels], `period_s` apart, in words.

        `upward` is where up is at the last of them by the IMU's own orientation, [3]; None: it
        reports none.
        """
        with np.errstate(divide="ignore", invalid="ignore"):  # what is absent or all 0
            return [
                *self._motion(values, period_s),
                *self._signs(values, upward),
                *self._coarse(values),
                *self._stuck(values),
            ]

    def _motion(self, values: Array, period_s: float) -> Iterator[str]:
        accel = None if self._accel is None else values[:, self._accel]
        gyro = None if self._gyro is None else values[:, self._gyro]
        if accel is not None:
            sizes = np.linalg.norm(_means(accel), axis=1)
            if sizes.min() >= _ONE_G[0] and sizes.max() <= _ONE_G[1]:
                yield f"gravity is about 1: g instead of m/s^2? Multiply by {GRAVITY}"
            elif large := self._large(sizes):
                yield (
                    f"gravity is about {digits(large, 4)}: mg, cm/s^2, ft/s^2 or counts instead of "
                    f"m/s^2? Multiply by {digits(GRAVITY / large, 4)}"
                )
        if gyro is not None and not gyro.any():
            yield "angular velocity is always 0: where there is no gyro, set its covariance -1"
        elif gyro is not None:
            ratio = self._turned(accel, gyro, period_s)
            spins = (gyro**2).sum(axis=1).mean() > _SPIN**2
            if spins or _RIGHT[0] < abs(ratio) / _DEGREE < _RIGHT[1]:
                yield (
                    "angular velocity is more than gravity shows: deg/s instead of rad/s? "
                    f"Multiply by {_DEGREE:.6f}"
                )
            elif _RIGHT[0] < -ratio < _RIGHT[1]:
                yield "gravity turns against the angular velocity: the sign of its axes is wrong"

    def _large(self, sizes: Array) -> float:
        """What at rest is more than gravity, look for look the same; 0: nothing, or it was said."""
        size = float(sizes.mean())
        still = np.ptp(sizes) < _STILL * size and size > _ONE_G[1] * GRAVITY
        same = abs(size - self._size) < _STILL * size
        self._size, self._large_ones = size, (self._large_ones * same + 1) * bool(still)
        if self._large_said or self._large_ones < _LOOKS:
            return 0.0
        self._large_said = True
        return size

    def _signs(self, values: Array, upward: Array | None) -> Iterator[str]:
        """Whether the specific force points down, by the orientation.

        Without one nobody knows: the IMU may be mounted so. The gyro does not tell either, as what
        turns as it says does so with the other sign too.
        """
        if self._accel is None or upward is None or np.array_equal(upward, self._upward):
            return
        self._upward = upward
        newest = _means(values[:, self._accel])[-1]
        size = float(np.linalg.norm(newest))
        if not (_ONE_G[0] < size < _ONE_G[1] or _ONE_G[0] < size / GRAVITY < _ONE_G[1]):
            return
        along = float(newest @ upward) / size
        self._against += 1 if along < _AGAINST else 0
        if along > _ALONG:
            self._against = -(1 << 31)
        if self._against >= _LOOKS:
            yield (
                "gravity points against its orientation: acceleration of the other sign (at rest "
                "+9.8 is up), or an orientation that is not in ENU?"
            )

    def _turned(self, accel: Array | None, gyro: Array, period_s: float) -> float:
        """How far gravity's direction u turns, by -ω dt × u; NaN where that is not known."""
        if accel is None:
            return np.nan
        means, rates = _means(accel), _means(gyro)
        up = means / np.linalg.norm(means, axis=1, keepdims=True)
        block_s = period_s * len(accel) / _BLOCKS
        seen = np.diff(up, axis=0)
        had = -block_s * np.cross((rates[1:] + rates[:-1]) / 2, (up[1:] + up[:-1]) / 2)
        new = np.array([(seen * had).sum(), (had * had).sum(), (seen * seen).sum()])
        if not np.isfinite(new).all():  # a channel is absent
            return np.nan
        self._turning += new
        both, had2, seen2 = self._turning
        if seen2 < _LEAST_TURN**2 or abs(both) < _ALIKE * np.sqrt(had2 * seen2):
            return np.nan
        return float(both / had2)

    def _coarse(self, values: Array) -> Iterator[str]:
        """Channels that seldom move, and then by whole steps: each looks like a blow."""
        changes = np.abs(np.diff(values, axis=0))
        for name, change in zip(self._channels, changes.T, strict=True):
            steps = change[change > 0.0]  # without NaN
            if name in self._coarse_ones or len(steps) < _FEWEST_STEPS:
                continue
            step = steps.min()
            times = float(step / np.sqrt((change**2).mean()))
            if times >= _COARSE and np.allclose(steps / step, np.round(steps / step), atol=0.01):
                self._coarse_ones.add(name)
                yield f"{name} moves in steps of {step:.3g}, {times:.0f} times its usual change"

    def _stuck(self, values: Array) -> Iterator[str]:
        """Channels that once changed at most samples and do no more: the last is repeated, say."""
        changing = (np.abs(np.diff(values, axis=0)) > 0.0).mean(axis=0)  # of an absent one 0
        absent = np.isnan(values).any(axis=0)
        still = (changing == 0.0) & ~absent & self._moved
        if stuck := [self._channels[i] for i in np.flatnonzero(still)]:
            yield (f"no longer changes: {', '.join(stuck)}, in {SAMPLES} samples: stuck?")
        self._moved |= changing > 0.5


def _means(values: Array) -> Array:
    """Of each block, [`_BLOCKS`, axes]."""
    return np.asarray(values.reshape(_BLOCKS, -1, values.shape[1]).mean(axis=1))
