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


def vibration(targets: Vector, rng: np.random.Generator) -> Vector:
    """Acceleration [n, 3] (m/s^2) that the drives give the flange, for joint paths [n, joints].

    Lines locked to the motors' turn (frequency follows speed) and roughness around a structural
    mode; both grow with the speed of each joint, and each joint shakes in a direction of its own.
    """
    steps, joints = targets.shape
    speed = np.abs(np.gradient(targets, TIME_STEP_S, axis=0))
    directions = rng.normal(size=(joints, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    out = np.zeros((steps, 3))
    for joint in range(joints):
        if not speed[:, joint].any():
            continue
        shake = _ROUGHNESS * _band_noise(steps, rng)
        for line, strength in _RIPPLE.items():
            phase = line * _GEAR_RATIO * targets[:, joint] + rng.uniform(0.0, 2.0 * np.pi)
            shake += strength * np.sqrt(2.0) * np.sin(phase)
        vibration = speed[:, joint] / (speed[:, joint] + _HALF_SPEED)
        out += (vibration * shake)[:, None] * directions[joint]
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


def measure(
    values: Vector, grade: Grade, noise: float, rate_hz: float, rng: np.random.Generator
) -> Vector:
    """Add white noise (scaled by `noise`) and drifting bias, clip to range, quantise; [n, 6]."""
    walk = rng.normal(size=values.shape) * grade.walk / np.sqrt(rate_hz)
    bias = rng.normal(size=6) * grade.offset + np.cumsum(walk, axis=0)
    noisy = values + bias + rng.normal(size=values.shape) * grade.white * noise
    reported: Vector = np.clip(np.round(noisy / grade.step) * grade.step, -grade.limit, grade.limit)
    return reported


def stamps(
    count: int, rate_hz: float, start_s: float, lag_s: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Stamps [count] (ns from the physics' start): end of each sample, late by the lag, jittered.

    Jitter stays within 0.4 periods, so stamps never cross.
    """
    limit = 0.4 / rate_hz
    jitter = np.clip(rng.normal(0.0, _STAMP_JITTER_S, count), -limit, limit)
    return np.round((start_s + lag_s + np.arange(count) / rate_hz + jitter) * 1e9).astype(np.int64)


def _band_noise(steps: int, rng: np.random.Generator) -> Vector:
    """Unit-RMS noise through a second-order resonance at `_BAND_HZ`, in the frequency domain."""
    spectrum = np.fft.rfft(rng.normal(size=steps))
    ratio = np.fft.rfftfreq(steps, TIME_STEP_S) / _BAND_HZ
    noise: Vector = np.fft.irfft(spectrum * ratio / (1.0 - ratio**2 + 1j * ratio / _BAND_Q), steps)
    noise /= noise.std()
    return noise
