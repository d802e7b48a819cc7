"""Values in other units than REP-103's are told of, with the factor; good ones never are."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from recordings import PERIOD_NS, SECOND, START_NS, imu

from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.source import SourceConfig
from tao_lora_ros.signal.units import SAMPLES, UnitCheck

PERIOD_S = PERIOD_NS / SECOND
GRAVITY = 9.80665
DEGREES = 180.0 / np.pi


def arm(seed: int = 0, looks: int = 4, slow: float = 1.0) -> NDArray[np.float64]:
    """An Imu that turns about all axes, exactly as its gyro says, and is shaken: [n, 6]."""
    rng = np.random.default_rng(seed)
    count = looks * SAMPLES
    times = np.arange(count) * PERIOD_S
    phase = rng.uniform(0, 6, (3, 1))
    rates = (
        slow
        * np.array([[1.5], [1.1], [0.8]])
        * np.sin(np.array([[2.1], [3.3], [2.7]]) * times + phase)
    )
    up = np.empty((count, 3))
    up[0] = [0.0, 0.0, 1.0]
    for i in range(1, count):
        step = up[i - 1] - PERIOD_S * np.cross(rates[:, i], up[i - 1])
        up[i] = step / np.linalg.norm(step)
    shaken = rng.normal(0, 0.3, (count, 3))
    return np.hstack([GRAVITY * up + shaken, rates.T + rng.normal(0, 0.01, (count, 3))])


def warnings(values: NDArray[np.float64], msgtype: str = IMU) -> list[str]:
    check = UnitCheck(SourceConfig("s", msgtype))
    looks = values.reshape(-1, SAMPLES, values.shape[1])
    return list(dict.fromkeys(text for look in looks for text in check.look(look, PERIOD_S)))


@given(seed=st.integers(0, 50), slow=st.sampled_from([0.0, 0.1, 1.0]))
def test_a_good_imu_is_never_told_of(seed: int, slow: float) -> None:
    assert warnings(arm(seed, slow=slow)) == []


@given(seed=st.integers(0, 50))
def test_g_is_told_of_with_the_factor(seed: int) -> None:
    values = arm(seed)
    values[:, :3] /= GRAVITY
    (text,) = warnings(values)
    assert text.startswith("gravity is about 1: g instead of m/s^2?")
    assert text.endswith("9.80665")


@pytest.mark.parametrize("size", [1000.0, 980.665, 32.174, 9806.65, 16384.0, 2048.0])
def test_gravity_in_other_units_or_counts_is_told_of_with_the_factor(size: float) -> None:
    values = arm(slow=0.1)
    values[:, :3] *= size / GRAVITY
    (text,) = {re.sub(r"[\d.]+\d(e[-+]?\d+)?", "N", text) for text in warnings(values)}
    assert (
        text == "gravity is about N: mg, cm/s^2, ft/s^2 or counts instead of m/s^2? Multiply by N"
    )
    factor = float(warnings(values)[0].rpartition(" ")[2])
    assert factor == pytest.approx(GRAVITY / size, rel=0.02)


def test_a_strong_acceleration_is_no_other_unit() -> None:
    values = arm(looks=8)
    times = np.arange(len(values)) * PERIOD_S
    values[:, 0] += 20.0 + 15.0 * np.sin(2.0 * times)  # such as a swung tool's
    assert warnings(values) == []


@pytest.mark.parametrize("slow", [0.1, 0.3, 1.0])
def test_degrees_are_told_of_with_the_factor(slow: float) -> None:
    values = arm(slow=slow, looks=8)
    values[:, 3:] *= DEGREES
    (text,) = warnings(values)
    assert text.endswith("deg/s instead of rad/s? Multiply by 0.017453")


def test_a_gyro_of_the_other_sign_is_told_of() -> None:
    values = arm(looks=8)
    values[:, 3:] *= -1.0
    (text,) = warnings(values)
    assert text == "gravity turns against the angular velocity: the sign of its axes is wrong"


def test_a_gyro_that_is_always_zero_is_told_of() -> None:
    values = arm()
    values[:, 3:] = 0.0
    (text,) = warnings(values)
    assert text.startswith("angular velocity is always 0")


def test_absent_parts_are_nothing_to_tell_of() -> None:
    values = arm()
    values[:, 3:] = np.nan
    assert warnings(values) == []
    values = arm()
    values[:, 1] = np.nan
    assert warnings(values) == []


def test_a_compensated_imu_is_not_in_g() -> None:
    values = arm(slow=0.0)
    values[:, :3] -= [0.0, 0.0, GRAVITY]
    assert warnings(values) == []


@pytest.mark.parametrize(("step", "told"), [(0.01, False), (0.5, False), (4.0, True)])
def test_coarse_steps_are_told_of_by_channel_once(step: float, told: bool) -> None:
    rng = np.random.default_rng(1)
    load = rng.normal(0, 0.2, (4 * SAMPLES, 6))
    load[:, 1] = step * np.round((load[:, 1] + 1.52) / step)
    found = warnings(load, WRENCH)
    assert [text.partition(" moves")[0] for text in found] == (["s.force_y"] if told else [])


def test_an_axis_that_no_longer_changes_is_told_of() -> None:
    values = arm()
    values[SAMPLES:, :3] = values[SAMPLES, :3]  # a driver that repeats the last acceleration
    (text,) = warnings(values)
    assert text.startswith("no longer changes: s.accel_x, s.accel_y, s.accel_z, in 256 samples")


def test_an_axis_that_never_changed_is_not_stuck() -> None:
    load = np.random.default_rng(1).normal(0, 0.2, (4 * SAMPLES, 6))
    load[:, 5] = 0.25
    assert warnings(load, WRENCH) == []


def test_an_impact_among_zeros_is_no_coarse_step() -> None:
    load = np.zeros((SAMPLES, 6))
    load[100:110, 2] = 30 * np.exp(-np.arange(10) / 3)
    assert warnings(load, WRENCH) == []


def about(axis: int, angle: float) -> NDArray[np.float64]:
    """A quaternion, x y z w."""
    turn = np.zeros(4)
    turn[axis], turn[3] = np.sin(angle / 2), np.cos(angle / 2)
    return turn


def product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """The turn by `b`, then by `a`."""
    vector = a[3] * b[:3] + b[3] * a[:3] + np.cross(a[:3], b[:3])
    return np.array([*vector, a[3] * b[3] - a[:3] @ b[:3]])


def seen_from(turned: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """A vector of the world in the frame of what is turned so."""
    back = turned * [-1.0, -1.0, -1.0, 1.0]
    return product(product(back, np.array([*vector, 0.0])), turned)[:3]


def oriented(stamp_ns: int, row: NDArray[np.float64], quaternion: Sequence[float]) -> bytes:
    """An Imu that reports its orientation, x y z w."""
    data = imu(stamp_ns, row)
    at = len(data) - 37 * 8
    return data[:at] + struct.pack("<5d", *quaternion, 0.01) + data[at + 40 :]


def signs_told(accel_sign: float, mounted: NDArray[np.float64], orientation: str) -> list[str]:
    """What is said of an IMU that leans to and fro, however it is mounted."""
    intake = Intake(Settings(), 500.0)
    rng = np.random.default_rng(0)
    for i in range(3 * 1024):
        leaning = product(about(0, 0.2 * np.sin(i / 900)), about(1, 0.1 * np.cos(i / 700)))
        turned = product(leaning, mounted)
        up = seen_from(turned, np.array([0.0, 0.0, GRAVITY]))
        row = np.concatenate([accel_sign * up, np.zeros(3)]) + rng.normal(0, 0.05, 6)
        said = {
            "enu": turned,
            "ned": product(about(0, np.pi), turned),
            "unset": [0.0, 0.0, 0.0, 1.0],
            "zeros": [0.0, 0.0, 0.0, 0.0],
            "stands still": mounted,
        }
        if orientation == "none":
            data = imu(START_NS + i * PERIOD_NS, row)
        else:
            data = oriented(START_NS + i * PERIOD_NS, row, said[orientation])
        intake.push(0, data)
    return [text for text in intake.sources[0].warnings if "orientation" in text]


MOUNTED = [
    about(0, 0.0),
    about(0, np.pi),  # upside down
    product(about(2, 0.7), about(0, 1.2)),
]


@pytest.mark.parametrize("mounted", MOUNTED, ids=["level", "upside down", "aslant"])
def test_gravity_of_the_other_sign_is_told_of_where_an_orientation_tells(
    mounted: NDArray[np.float64],
) -> None:
    (text,) = signs_told(-1.0, mounted, "enu")
    assert text.startswith("gravity points against its orientation: acceleration of the other sign")
    assert len(signs_told(1.0, mounted, "ned")) == 1
    assert signs_told(1.0, mounted, "enu") == []


@pytest.mark.parametrize("orientation", ["none", "unset", "zeros", "stands still"])
def test_where_nothing_tells_the_sign_of_gravity_nothing_is_said(orientation: str) -> None:
    assert signs_told(-1.0, MOUNTED[1], orientation) == []


def test_the_intake_says_it_once() -> None:
    intake = Intake(Settings(), 500.0)
    values = arm(looks=12)
    values[:, :3] /= GRAVITY
    for i, row in enumerate(values):
        intake.push(0, imu(START_NS + i * PERIOD_NS, row))
    source = intake.sources[0]
    assert len(source.notices) == 1
    assert source.warnings == source.notices
