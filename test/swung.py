"""A tool that is swung about on a force sensor, with an IMU beside it: made by the formulas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from recordings import START_NS, Message, imu, wrench

from tao_lora_ros.contact import calibration as contact_calibration
from tao_lora_ros.detection.calibration import calibrated, uncalibrated
from tao_lora_ros.model.artifact import Artifact

Matrix = NDArray[np.float64]
RATE_HZ = 200.0
CHANNELS = tuple(
    f"{source}_{axis}"
    for source in ("imu.accel", "imu.gyro", "wrench.force", "wrench.torque")
    for axis in "xyz"
)
NOISE = np.repeat([0.05, 0.002, 0.1, 0.004], 3)


def turned(*vector: float) -> Matrix:
    """The rotation [3, 3] about a vector by its length (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    x, y, z = np.array(vector) / max(angle, 1e-12)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross)


@dataclass(frozen=True)
class Tool:
    """All in the IMU's frame; `mounting` turns it into the sensor's.

    centre, origin: where the centre of mass and the sensor's origin are, seen from the IMU [3], m;
    inertia: about the sensor's origin [3, 3], kg m^2; bias: of force and torque [6].
    """

    mass: float = 1.3
    centre: tuple[float, ...] = (0.02, -0.01, 0.09)
    origin: tuple[float, ...] = (0.03, 0.0, 0.02)
    inertia: tuple[tuple[float, ...], ...] = (
        (0.012, 0.001, 0.0), (0.001, 0.011, -0.002), (0.0, -0.002, 0.006),
    )  # fmt: skip
    mounting: tuple[float, ...] = (0.4, -0.9, 1.7)  # rotation vector
    bias: tuple[float, ...] = (3.0, -8.0, 1.0, 0.2, -0.1, 0.4)


def _smooth(
    count: int, scale: NDArray[np.float64] | float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Sums of sines of 0.1 to 2 Hz, [count, 3]."""
    times = np.arange(count)[:, None, None] / RATE_HZ
    hz, phase = rng.uniform(0.1, 2.0, (1, 6, 3)), rng.uniform(0.0, 2.0 * np.pi, (1, 6, 3))
    return np.asarray(np.sin(2.0 * np.pi * hz * times + phase).sum(axis=1) * scale)


def swung(
    seconds: float,
    seed: int = 0,
    tool: Tool | None = None,
    speed: float = 0.6,
    noise: float = 1.0,
    contact: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Rows of all channels, [n, 12].

    Args:
        seconds: how long.
        seed: of motion and noise.
        tool: what is swung.
        speed: of the rotation, rad/s; 0: at rest.
        noise: factor on the sensors'.
        contact: further force and torque on the sensor, [n, 6].
    """
    tool = tool or Tool()
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE_HZ)
    rates = _smooth(count, speed, rng)
    attitude = np.eye(3)
    gravity = np.empty((count, 3))
    for i, rate in enumerate(rates):
        gravity[i] = 9.81 * attitude[2]
        attitude = attitude @ turned(*rate / RATE_HZ)
    specific = gravity + _smooth(count, 0.4 * bool(speed), rng)
    turning = np.gradient(rates, axis=0) * RATE_HZ
    inertia = np.array(tool.inertia)

    def felt_at(point: tuple[float, ...]) -> NDArray[np.float64]:
        """Specific force at a point of the tool."""
        p = np.array(point)
        return specific + np.cross(turning, p) + np.cross(rates, np.cross(rates, p))

    force = -tool.mass * felt_at(tool.centre)
    lever = np.subtract(tool.centre, tool.origin)
    torque = -tool.mass * np.cross(lever, felt_at(tool.origin))
    torque -= turning @ inertia + np.cross(rates, rates @ inertia)
    turn = turned(*tool.mounting).T
    loads = np.hstack((force @ turn, torque @ turn)) + tool.bias
    rows = np.hstack((specific, rates, loads + (0.0 if contact is None else contact)))
    return np.asarray(rows + noise * NOISE * rng.normal(size=rows.shape))


PRESS_S, TAPS_S = (6.0, 9.0), (7.0, 8.0)


def handled(seconds: float = 12.0, seed: int = 2) -> NDArray[np.float64]:
    """The tool is swung, pressed with 8 N from `PRESS_S` on, and tapped meanwhile at `TAPS_S`."""
    contact = np.zeros((round(seconds * RATE_HZ), 6))
    start, end = (round(at * RATE_HZ) for at in PRESS_S)
    contact[start:end, :3] = (4.8, 0.0, -6.4)
    taps = [round(at * RATE_HZ) for at in TAPS_S]
    for tap in taps:
        contact[tap : tap + 2, 1] += 25.0
    rows = swung(seconds, seed, contact=contact)
    for tap in taps:
        rows[tap : tap + 4, :3] += np.outer([1.0, -0.6, 0.3, -0.1], [6.0, -4.0, 5.0])
    return rows


def messages_of(rows: NDArray[np.float64]) -> list[Message]:
    """An Imu and a wrench of each row, in turn."""
    messages = []
    for i, row in enumerate(rows.tolist()):
        stamp = START_NS + round(i * 1e9 / RATE_HZ)
        messages.append(Message(0, stamp, imu(stamp, row[:6])))
        messages.append(Message(1, stamp, wrench(stamp, row[6:])))
    return messages


@cache
def swung_artifact() -> Artifact:
    """Detection alone, calibrated on a minute of the tool being swung."""
    rows = [swung(60.0, seed=1)]
    calibration, _ = calibrated(uncalibrated(CHANNELS, RATE_HZ), rows, RATE_HZ, 1.0)
    models, _ = contact_calibration.calibrated(CHANNELS, rows, RATE_HZ, 1.0)
    return Artifact("swung", "1", None, RATE_HZ, CHANNELS, (), calibration, models)
