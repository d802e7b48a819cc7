"""Simulated recordings of an arm's IMU and force/torque sensor, with the exact contact truth."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.writer import SourceRecording, joined, write_parts
from tao_lora_ros.signal.cdr import WRENCH

from . import sensors
from .kinematics import JOINTS, Kinematics
from .physics import Trace, Vector, World
from .planner import Planner
from .scene import TIME_STEP_S, Tool, load_model
from .truth import ContactInterval, Contacts

START_NS = 1_700_000_000_000_000_000  # stamp of the physics' start in every recording
_PART_S = 120.0  # at most, of what is in memory at once
_NOISE_RANGE = (0.5, 2.0)  # mounting noise: factor on noise and vibration, log-uniform

Part = tuple[SourceRecording, SourceRecording, SourceRecording]  # IMU, wrench, contact wrench


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
    course = _Course(config)
    parts = list(course.parts(progress))
    imu, wrench, contact_wrench = map(joined, zip(*parts, strict=True))
    return Recording(imu, wrench, contact_wrench, course.contacts(), config)


def record(
    config: SimulationConfig, path: Path, progress: Callable[[float], None] | None = None
) -> list[ContactInterval]:
    """Write a recording as it is simulated: a ROS 2 bag in the folder `path`, and the truth, which
    is returned too, in `<path>.labels.csv` beside it.

    Raises FileExistsError, naming it, when the folder or the labels exist.
    """
    labels = path.with_name(path.name + ".labels.csv")
    for existing in (path, labels):
        if existing.exists():
            raise FileExistsError(f"will not overwrite {existing}")
    path.parent.mkdir(parents=True, exist_ok=True)
    course = _Course(config)
    write_parts((part[:2] for part in course.parts(progress)), path)
    contacts = course.contacts()
    with labels.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(ContactInterval))
        for contact in contacts:
            start, end, label, peak_n, peak_sigma = astuple(contact)
            writer.writerow(
                (f"{start:.6f}", f"{end:.6f}", label, f"{peak_n:.4f}", f"{peak_sigma:.3f}")
            )
    return contacts


class _Course:
    """One recording as it comes about, in parts, so that an hour of it takes no more memory."""

    def __init__(self, config: SimulationConfig) -> None:
        mounting, motion, noise = (
            np.random.default_rng(child) for child in np.random.SeedSequence(config.seed).spawn(3)
        )
        if config.mounting_seed is not None:
            own, *_ = np.random.SeedSequence(config.mounting_seed).spawn(1)
            mounting = np.random.default_rng(own)
        self._tool = Tool(
            mass_kg=mounting.uniform(0.7, 1.4),
            mount_hz=mounting.uniform(60.0, 110.0),
            friction=mounting.uniform(0.15, 0.4),
        )
        self._level = config.noise_scale * float(np.exp(mounting.uniform(*np.log(_NOISE_RANGE))))
        self._config, self._motion, self._noise = config, motion, noise
        self._contacts = Contacts()
        self._square_n2, self._count = 0.0, 0  # mean over the steps so far of the vibration's force
        self._origin_s = 0.0

    def parts(self, progress: Callable[[float], None] | None) -> Iterator[Part]:
        """IMU, wrench and contact wrench, part after part."""
        config, noise, level = self._config, self._noise, self._level
        model = load_model(self._tool)
        planner = Planner(Kinematics(model), self._motion)
        script = (
            planner.plan_presses(config.duration_s)
            if config.presses
            else planner.plan(config.duration_s, config.contacts)
        )
        steps = round(config.duration_s / TIME_STEP_S)
        world = World(model)
        vibration = sensors.Vibration(JOINTS, noise)
        wrench = sensors.Sensor(sensors.WRENCH, level, config.wrench_rate_hz, 0.0, noise)
        imu = sensors.Sensor(sensors.IMU, level, config.imu_rate_hz, config.imu_lag_s, noise)
        part_progress = (lambda step: progress(step / steps)) if progress else None
        for part in _parts(steps, math.lcm(imu.every, wrench.every)):
            trace = world.run(script, part, part_progress)
            targets = script.targets(part, TIME_STEP_S)
            yield self._record(trace, level * vibration.of(targets), imu, wrench, part.start == 0)
            del trace  # before the next one is made
        if progress:
            progress(1.0)

    def _record(
        self, trace: Trace, shake: Vector, imu: sensors.Sensor, wrench: sensors.Sensor, first: bool
    ) -> Part:
        """What the sensors make of one part, which is taken in."""
        imu_shake, wrench_shake = sensors.shaken(shake, self._tool.mass_kg)
        loads = _dated(*wrench.record(trace.wrench + wrench_shake))
        motions = _dated(*imu.record(trace.imu + imu_shake))
        touched = loads[0], sensors.sample(trace.contact, wrench.every, len(loads[0]))
        self._contacts.add(trace)
        self._count += len(shake)
        square_n2 = float(np.mean(wrench_shake[:, :3] ** 2))
        self._square_n2 += (square_n2 - self._square_n2) * (len(shake) / self._count)
        if first:
            self._origin_s = (min(motions[0][0], loads[0][0]) - START_NS) * 1e-9
        return (
            SourceRecording("/imu", "sensor_msgs/msg/Imu", "imu_link", *motions),
            SourceRecording("/wrench", WRENCH, "ft_sensor", *loads),
            SourceRecording("/contact_wrench", WRENCH, "ft_sensor", *touched),
        )

    def contacts(self) -> list[ContactInterval]:
        """Every contact between tool and world so far."""
        sigma_n = float(np.hypot(np.sqrt(self._square_n2), self._level * sensors.WRENCH.white[0]))
        return self._contacts.intervals(sigma_n, self._origin_s)


def _dated(
    stamps: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return START_NS + stamps, values


def _parts(steps: int, whole: int) -> Iterator[range]:
    """All steps in parts of about the same length, of whole samples but for the last."""
    count = math.ceil(steps * TIME_STEP_S / _PART_S)
    bounds = [round(number * steps / count / whole) * whole for number in range(count)]
    yield from (range(start, end) for start, end in pairwise([*bounds, steps]))
