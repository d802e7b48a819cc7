"""From true values to what real sensors on a real arm report.

Typical values: noise and drive vibration as in recordings of an ATI Gamma on an industrial arm
(0.02 N at rest, 0.3 to 1.5 N RMS in motion, lines up to 300 Hz), ranges and resolution of an ATI
Gamma SI-65-5 and of an industrial 16 g, 500 deg/s IMU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scene import TIME_STEP_S, TOOL_LENGTH_M

Vector = NDArray[np.float64]

_GEAR_RATIO = 101.0  # of a strain wave gear
_RIPPLE = {1: 0.2, 2: 0.4, 6: 0.4, 12: 0.2}  # lines a motor turn: m/s^2 at full speed
_ROUGHNESS = 0.5  # band-limited part of the vibration, m/s^2
_BAND_HZ, _BAND_Q = 95.0, 3.0  # structural mode that the roughness excites
_HALF_SPEED = 0.3  # rad/s at which vibration has reached half its strength
_ROCKING = 0.004  # rad/s per m/s^2: an 80 Hz rocking about a lever of half a metre
_STAMP_JITTER_S = 20e-6
_FADE_STEPS = 400  # 0.1 s, several periods of the structural mode


@dataclass(frozen=True)
class Grade:
    """Six channels of one sensor, in its units; each field is one triple after the other.

    white: RMS of a sample; walk: bias drift per sqrt(s); offset: spread of the bias at the start;
    step: quantisation; limit: range.
    """

    white: Vector
    walk: Vector
    offset: Vector
    step: Vector
    limit: Vector


IMU = Grade(
    white=np.repeat([0.03, 0.002], 3),
    walk=np.repeat([0.001, 0.00005], 3),
    offset=np.repeat([0.05, 0.003], 3),
    step=np.repeat([0.0048, 0.0003], 3),
    limit=np.repeat([157.0, 8.73], 3),
)
WRENCH = Grade(
    white=np.repeat([0.02, 0.001], 3),
    walk=np.repeat([0.01, 0.0005], 3),
    offset=np.repeat([0.5, 0.05], 3),
    step=np.repeat([1 / 80, 10 / 13333], 3),
    limit=np.array([65.0, 65.0, 200.0, 5.0, 5.0, 5.0]),
)


class Vibration:
    """What the drives of one arm give its flange, part by part of its course.

    Lines locked to the motors' turn (frequency follows speed) and roughness around a structural
    mode; both grow with the speed of each joint, and each joint shakes in a direction of its own.
    """

    def __init__(self, joints: int, rng: np.random.Generator) -> None:
        self._rng = rng
        directions = rng.normal(size=(joints, 3))
        self._directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self._phases: dict[int, Vector] = {}  # of a joint's lines, drawn when it first moves
        self._ends: dict[int, Vector] = {}  # how a joint's roughness of the last part goes on

    def of(self, targets: Vector) -> Vector:
        """Acceleration [n, 3] (m/s^2) for the next part of the joint paths [n, joints]."""
        speed = np.abs(np.gradient(targets, TIME_STEP_S, axis=0))
        ends, self._ends = self._ends, {}
        out = np.zeros((len(targets), 3))
        for joint in np.flatnonzero(speed.any(axis=0)).tolist():
            noise = _band_noise(len(targets), self._rng)
            self._ends[joint] = noise[:_FADE_STEPS].copy()  # it is periodic
            if joint in ends:
                _fade(noise, ends[joint][: len(noise)])
            if joint not in self._phases:
                self._phases[joint] = self._rng.uniform(0.0, 2.0 * np.pi, len(_RIPPLE))
            shake = _ROUGHNESS * noise
            lines = zip(_RIPPLE.items(), self._phases[joint], strict=True)
            for (line, strength), start in lines:
                phase = line * _GEAR_RATIO * targets[:, joint] + start
                shake += strength * np.sqrt(2.0) * np.sin(phase)
            strong = speed[:, joint] / (speed[:, joint] + _HALF_SPEED)
            out += (strong * shake)[:, None] * self._directions[joint]
        return out


def shaken(acceleration: Vector, tool_mass_kg: float) -> tuple[Vector, Vector]:
    """What a vibration [n, 3] adds to IMU [n, 6] and wrench [n, 6]: the tool's inertia resists."""
    turn = np.array([[0.0, -_ROCKING, 0.0], [_ROCKING, 0.0, 0.0], [0.0, 0.0, 0.0]])
    imu = np.hstack([acceleration, acceleration @ turn.T])
    force = -tool_mass_kg * acceleration
    lever = np.array([0.0, 0.0, 0.5 * TOOL_LENGTH_M])
    return imu, np.hstack([force, np.cross(lever, force)])


def sample(values: Vector, every: int, count: int) -> Vector:
    """Means [count, 6] over `every` physics steps: the sensor's own anti-aliasing."""
    means: Vector = values[: count * every].reshape(count, every, -1).mean(axis=1)
    return means


class Sensor:
    """One sensor, whose bias drifts from part to part of a course."""

    def __init__(
        self, grade: Grade, noise: float, rate_hz: float, lag_s: float, rng: np.random.Generator
    ) -> None:
        """noise: factor on the white noise; lag_s: how much later it stamps a moment."""
        self._grade, self._noise, self._rng = grade, noise, rng
        self._rate_hz, self._lag_s = rate_hz, lag_s
        self.every = round(1.0 / (TIME_STEP_S * rate_hz))  # steps a sample
        self._bias: Vector | None = None
        self._count = 0

    def record(self, true: Vector) -> tuple[NDArray[np.int64], Vector]:
        """Stamps [n] (ns from the physics' start) and values [n, 6] of the next part's steps."""
        values = sample(true, self.every, len(true) // self.every)
        measured = self._measured(values)
        return self._stamps(len(values)), measured

    def _measured(self, values: Vector) -> Vector:
        """With white noise and drifting bias, within the range, quantised."""
        grade, rng = self._grade, self._rng
        walk = rng.normal(size=values.shape) * grade.walk / np.sqrt(self._rate_hz)
        if self._bias is None:
            self._bias = rng.normal(size=6) * grade.offset
        bias = self._bias + np.cumsum(walk, axis=0)
        self._bias = bias[-1]
        noisy = values + bias + rng.normal(size=values.shape) * grade.white * self._noise
        steps = np.round(noisy / grade.step) * grade.step
        return np.asarray(np.clip(steps, -grade.limit, grade.limit))

    def _stamps(self, count: int) -> NDArray[np.int64]:
        """End of each sample, late by the lag, jittered.

        Jitter stays within 0.4 periods, so stamps never cross.
        """
        limit = 0.4 / self._rate_hz
        jitter = np.clip(self._rng.normal(0.0, _STAMP_JITTER_S, count), -limit, limit)
        numbers = np.arange(self._count, self._count + count)
        self._count += count
        start_s = (self.every - 1) * TIME_STEP_S + self._lag_s
        return np.round((start_s + numbers / self._rate_hz + jitter) * 1e9).astype(np.int64)


def _fade(noise: Vector, before: Vector) -> None:
    """Let one noise go over into another of the same power, at its beginning."""
    share = np.linspace(0.0, 0.5 * np.pi, len(before))
    noise[: len(before)] = np.sin(share) * noise[: len(before)] + np.cos(share) * before


def _band_noise(steps: int, rng: np.random.Generator) -> Vector:
    """Unit-RMS noise through a second-order resonance at `_BAND_HZ`, in the frequency domain."""
    spectrum = np.fft.rfft(rng.normal(size=steps))
    ratio = np.fft.rfftfreq(steps, TIME_STEP_S) / _BAND_HZ
    noise: Vector = np.fft.irfft(spectrum * ratio / (1.0 - ratio**2 + 1j * ratio / _BAND_Q), steps)
    noise /= noise.std()
    return noise
