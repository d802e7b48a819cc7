"""A foot's load that comes back is an event of its own; an arm about its zero bears none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark.score import match
from benchmark.touchdowns import onsets_s, read_walks
from tao_lora_ros.detection.bearing import borne_loads
from tao_lora_ros.detection.calibration import calibrated, uncalibrated
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.router import Change, RouterConfig
from tao_lora_ros.detection.transients import Transient
from tao_lora_ros.engine.calibration import calibrated_on

CHANNELS = ("imu.accel_x", "imu.accel_y", "imu.accel_z", "ft.force_x", "ft.force_y", "ft.force_z")
RATE_HZ = 200.0
CONFIG = RouterConfig(off_score=0.7, hold_rows=13, max_transient_rows=400)
FORCES = ((3, 4, 5),)
AIR_ROWS = 10


def standing(seconds: float, load: float, seed: int = 0) -> NDArray[np.float64]:
    rows = np.random.default_rng(seed).normal(0, 0.5, (round(seconds * RATE_HZ), 6))
    rows[:, 5] += load
    return rows


def walking(load: float, steps: int = 8) -> tuple[NDArray[np.float64], list[int]]:
    """Feet that are lifted slowly and touch down at once, and the rows at which they do."""
    rows, downs = standing(1.0 + steps, load, 1), []
    for step in range(steps):
        first = round((1.0 + step) * RATE_HZ)
        unloads, flies = slice(first, first + 40), slice(first + 40, first + 100)
        rows[unloads, 5] -= load * np.linspace(0, 1, 40)
        rows[flies, 5] -= load
        downs.append(first + 100)
    return rows, downs


def deaf(load: float) -> Detector:
    """One whose other statistics see nothing."""
    known, _ = calibrated(uncalibrated(CHANNELS, RATE_HZ), [standing(30, load)], RATE_HZ, 1.0)
    return Detector(
        replace(known, thresholds=(99.0,) * 2, level_thresholds=(99.0,) * 2),
        CONFIG,
    )


def events(detector: Detector, rows: NDArray[np.float64]) -> list[Transient]:
    times_ns = np.arange(len(rows)) * 5_000_000
    return [
        transient
        for _, change, transient in detector.run(times_ns, rows)
        if change is Change.END and transient
    ]


@pytest.mark.parametrize("load", [15.0, 250.0, -800.0])
def test_every_touchdown_is_an_event_and_nothing_else_is(load: float) -> None:
    rows, downs = walking(load)
    found = events(deaf(load), rows)
    assert [event.onset_ns / 5e6 for event in found] == pytest.approx(downs, abs=3)
    assert all(event.touchdown for event in found)


def test_a_sensor_that_is_off_its_zero_in_the_air_is_followed_too() -> None:
    rows, downs = walking(250.0)
    rows[:, 5] += 40.0 * (rows[:, 5] < 10.0)  # 16 % of the load
    assert len(events(deaf(250.0), rows)) == len(downs)


def test_a_bounce_is_no_second_touchdown() -> None:
    rows, downs = walking(250.0, steps=1)
    rows[downs[0] + 6 : downs[0] + 11, 5] = 0.0
    assert len(events(deaf(250.0), rows)) == 1


def test_a_touchdown_within_a_motion_that_goes_on_is_an_event_of_its_own() -> None:
    rows, downs = walking(250.0, steps=3)
    shaken = slice(downs[1] - 60, downs[1] + 60)
    rows[shaken, :3] += np.random.default_rng(3).normal(0, 40.0, (120, 3))
    known, _ = calibrated(uncalibrated(CHANNELS, RATE_HZ), [standing(30, 250.0)], RATE_HZ, 1.0)
    found = events(Detector(known, CONFIG), rows)
    onsets = [event.onset_ns / 5e6 for event in found if event.touchdown]
    assert onsets == pytest.approx(downs, abs=3)
    assert any(not event.touchdown for event in found)


def test_what_is_near_zero_at_times_bears_no_load() -> None:
    arm = standing(30, 0.0)
    assert borne_loads([arm], FORCES, AIR_ROWS) == (0.0,)
    turning = arm + 20.0 * np.sin(np.arange(len(arm)) / 300.0)[:, None] * np.eye(6)[5]
    assert borne_loads([turning], FORCES, AIR_ROWS) == (0.0,)
    assert borne_loads([arm * np.nan], FORCES, AIR_ROWS) == (0.0,)


@pytest.mark.parametrize("axes", [(0, 1), (1, 2), (0, 1, 2)])
def test_a_tool_that_turns_is_no_load_of_the_ground(axes: tuple[int, ...]) -> None:
    """No IMU tells its weight, and it is as large whichever way it points."""
    rows = standing(30, 0.0)
    turn = np.arange(len(rows)) / 400.0
    rows[:, 3 + axes[0]] += 12.0 * np.sin(turn)
    rows[:, 3 + axes[1]] += 12.0 * np.cos(turn)
    assert borne_loads([rows], FORCES, AIR_ROWS) == (0.0,)


SIX = ("imu.accel", "imu.gyro", "ft.force", "ft.torque")
ALL = tuple(f"{name}_{axis}" for name in SIX for axis in "xyz")


def moved(directions: int, mass_kg: float, bias_n: float) -> NDArray[np.float64]:
    """Rows of an IMU that is pushed about in some directions, and of what that loads a wrench."""
    rng = np.random.default_rng(2)
    rows = rng.normal(0, 0.02, (round(20 * RATE_HZ), 12))
    times_s = np.arange(len(rows)) / RATE_HZ
    rows[:, 2] += 9.81
    for axis in range(3)[-directions:]:
        rows[:, axis] += 2.0 * np.sin((3.1 + 0.7 * axis) * times_s)
    rows[:, 6:9] += mass_kg * rows[:, :3] + rng.normal(0, 0.1, (len(rows), 3))
    rows[:, 8] += bias_n
    return rows


@pytest.mark.parametrize(
    ("directions", "mass_kg", "bias_n", "load"),
    [
        (3, 1.2, 0.0, 0.0),  # an arm that never turns its tool
        (2, 3.0, 0.0, 0.0),  # in a plane
        (3, 1.2, 4.0, 0.0),  # a sensor that is off its zero
        (1, 30.0, 0.0, 235.0),  # a robot that squats, an IMU on its body
        (3, 1.2, 250.0, 260.0),  # a foot that moves a little, far from what stands on it
    ],
)
def test_what_hangs_on_a_sensor_is_no_load_of_the_ground(
    directions: int, mass_kg: float, bias_n: float, load: float
) -> None:
    rows = moved(directions, mass_kg, bias_n)
    made = calibrated_on([rows], uncalibrated(ALL, RATE_HZ), ALL, RATE_HZ, 1.0)
    assert made.router.borne_loads == (pytest.approx(load, rel=0.1),)


def test_the_load_is_what_is_always_borne_in_absent_axes_too() -> None:
    rows = standing(30, 300.0)
    rows[:2000, 5] += 500.0  # on one leg
    rows[:, 3:5] = np.nan
    assert borne_loads([rows], FORCES, AIR_ROWS) == (pytest.approx(300.0, abs=2.0),)


def test_simulated_feet_touch_down(data_folder: Path, tmp_path: Path) -> None:
    """Recordings of two robots, calibrated on their standing; every step, and hardly more."""
    hits = steps = found = 0
    for walk in read_walks(data_folder):
        (tmp_path / walk.name).mkdir()
        onsets = np.array([onset_s for onset_s, _ in onsets_s(walk, tmp_path / walk.name)])
        truth = walk.touchdowns_s(0.05)
        hits += np.count_nonzero(match(truth, onsets, 0.05) >= 0)
        steps, found = steps + len(truth), found + len(onsets)
    assert 2 * hits / (steps + found) >= 0.95
