"""Simulated recordings of an arm's IMU and force/torque sensor, with the exact contact truth."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.writer import SourceRecording, write_bag

from . import sensors
from .kinematics import Kinematics
from .motion import Planner
from .physics import World
from .scene import TIME_STEP_S, Tool, load_model
from .truth import ContactInterval, contact_intervals

__all__ = [
    "ContactInterval",
    "Recording",
    "SimulationConfig",
    "SourceRecording",
    "simulate",
    "write_recording",
]

START_NS = 1_700_000_000_000_000_000  # stamp of the physics' start in every recording
_NOISE_RANGE = (0.5, 2.0)  # mounting noise: factor on noise and vibration, log-uniform


@dataclass(frozen=True)
class SimulationConfig:
    """What to simulate.

    duration_s: length of the recording; seed: of everything random; contacts: False gives steady
    motion only, no strike and no contact; presses: instead of strikes and table a hand that presses
    while the arm moves, and strikes in between; mounting_seed: of tool, mounting and noise, which
    several recordings of one robot share (None: of the recording's own seed); imu_rate_hz,
    wrench_rate_hz: must divide the physics' rate of 4000 Hz; noise_scale: factor on noise and
    vibration beside the random mounting noise; imu_lag_s: how much later than the wrench the IMU
    stamps the same moment.

    Raises ValueError, naming field and value, for what cannot be simulated.
    """

    duration_s: float = 60.0
    seed: int = 0
    contacts: bool = True
    presses: bool = False
    mounting_seed: int | None = None
    imu_rate_hz: float = 500.0
    wrench_rate_hz: float = 1000.0
    noise_scale: float = 1.0
    imu_lag_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("duration_s", "imu_rate_hz", "wrench_rate_hz", "noise_scale"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite, got {value}")
        if not (np.isfinite(self.imu_lag_s) and self.imu_lag_s >= 0):
            raise ValueError(f"imu_lag_s must not be negative, got {self.imu_lag_s}")
        for name in ("seed", "mounting_seed"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("imu_rate_hz", "wrench_rate_hz"):
            steps = 1.0 / (TIME_STEP_S * getattr(self, name))
            if steps < 1 or abs(steps - round(steps)) > 1e-9:
                raise ValueError(
                    f"{name} must divide the physics' {1 / TIME_STEP_S:g} Hz, "
                    f"got {getattr(self, name)}"
                )
            if self.duration_s * getattr(self, name) < 1:
                raise ValueError(f"duration_s too short for a message, got {self.duration_s}")


@dataclass(frozen=True)
class Recording:
    """Both sensors and every contact between tool and world.

    contact_wrench: force and torque of all that touches the tool, about the sensor and in its
    frame, as the wrench would report them without tool, noise and bias.
    """

    imu: SourceRecording
    wrench: SourceRecording
    contact_wrench: SourceRecording
    contacts: list[ContactInterval]
    config: SimulationConfig


def simulate(
    config: SimulationConfig, progress: Callable[[float], None] | None = None
) -> Recording:
    """Simulate one recording; the same configuration gives the same bytes.

    progress: called now and then with the fraction of the physics done, 0 to 1.
    """
    mounting, motion, noise = (
        np.random.default_rng(child) for child in np.random.SeedSequence(config.seed).spawn(3)
    )
    if config.mounting_seed is not None:
        own, *_ = np.random.SeedSequence(config.mounting_seed).spawn(1)
        mounting = np.random.default_rng(own)
    tool = Tool(
        mass_kg=mounting.uniform(0.7, 1.4),
        mount_hz=mounting.uniform(60.0, 110.0),
        friction=mounting.uniform(0.15, 0.4),
    )
    level = config.noise_scale * float(np.exp(mounting.uniform(*np.log(_NOISE_RANGE))))
    model = load_model(tool)
    planner = Planner(Kinematics(model), motion)
    script = (
        planner.plan_presses(config.duration_s)
        if config.presses
        else planner.plan(config.duration_s, config.contacts)
    )
    steps = round(config.duration_s / TIME_STEP_S)
    trace = World(model).run(script, steps, progress)

    shake = level * sensors.vibration(script.targets(steps, TIME_STEP_S), noise)
    imu_shake, wrench_shake = sensors.shaken(shake, tool.mass_kg)
    wrench = _record(
        trace.wrench + wrench_shake, sensors.WRENCH, level, config.wrench_rate_hz, 0.0, noise
    )
    imu = _record(
        trace.imu + imu_shake, sensors.IMU, level, config.imu_rate_hz, config.imu_lag_s, noise
    )
    every = round(1.0 / (TIME_STEP_S * config.wrench_rate_hz))
    touched = wrench[0], sensors.sample(trace.contact, every, len(wrench[0]))
    first_ns = int(min(imu[0][0], wrench[0][0]))
    shake_n = np.sqrt(np.mean(wrench_shake[:, :3] ** 2))
    sigma_n = float(np.hypot(shake_n, level * sensors.WRENCH.white[0]))
    return Recording(
        imu=SourceRecording("/imu", "sensor_msgs/msg/Imu", "imu_link", *imu),
        wrench=SourceRecording("/wrench", "geometry_msgs/msg/WrenchStamped", "ft_sensor", *wrench),
        contact_wrench=SourceRecording(
            "/contact_wrench", "geometry_msgs/msg/WrenchStamped", "ft_sensor", *touched
        ),
        contacts=contact_intervals(trace, sigma_n, (first_ns - START_NS) * 1e-9),
        config=config,
    )


def _record(
    true: NDArray[np.float64],
    grade: sensors.Grade,
    level: float,
    rate_hz: float,
    lag_s: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Stamps [n] and values [n, 6] of one sensor, from its true values at every physics step."""
    every = round(1.0 / (TIME_STEP_S * rate_hz))
    count = len(true) // every
    values = sensors.measure(sensors.sample(true, every, count), grade, level, rate_hz, rng)
    stamps = sensors.stamps(count, rate_hz, (every - 1) * TIME_STEP_S, lag_s, rng)
    return START_NS + stamps, values


def write_recording(recording: Recording, path: Path) -> None:
    """Write a ROS 2 bag in the folder `path`, and the truth in `<path>.labels.csv` beside it.

    Raises FileExistsError, naming it, when the folder or the labels exist.
    """
    labels = path.with_name(path.name + ".labels.csv")
    for existing in (path, labels):
        if existing.exists():
            raise FileExistsError(f"will not overwrite {existing}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bag((recording.imu, recording.wrench), path)
    with labels.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(ContactInterval))
        for contact in recording.contacts:
            start, end, label, peak_n, peak_sigma = astuple(contact)
            writer.writerow(
                (f"{start:.6f}", f"{end:.6f}", label, f"{peak_n:.4f}", f"{peak_sigma:.3f}")
            )
