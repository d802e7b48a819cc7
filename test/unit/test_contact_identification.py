"""Mass, mounting, centre of mass and inertia come out of motion, whatever few rows say else."""

from __future__ import annotations

import numpy as np
import pytest
from swung import CHANNELS, RATE_HZ, Tool, swung, turned

from tao_lora_ros.contact.calibration import calibrated
from tao_lora_ros.contact.contact_model import ContactModel, imus_of, terms_of, wrenches_of
from tao_lora_ros.contact.identification import gains_of, samples_of
from tao_lora_ros.detection.tail import NEVER

WRENCH = wrenches_of(CHANNELS)["wrench"]
ACCEL, GYRO = imus_of(CHANNELS)["imu"]


def model_of(*recordings: np.ndarray) -> tuple[ContactModel, str]:
    (model,), (line,) = calibrated(CHANNELS, recordings, RATE_HZ, 1.0)
    return model, line


def truth(tool: Tool, rows: np.ndarray) -> np.ndarray:
    """The load of noiseless rows without a bias."""
    return np.asarray(rows[:, 6:] - tool.bias)


@pytest.mark.parametrize("outliers", [0.0, 0.1])
def test_the_load_of_another_motion_is_foretold(outliers: float) -> None:
    rows = swung(40.0, seed=1)
    first = round(0.3 * len(rows))
    rows[first : first + round(outliers * len(rows)), 6:9] += (6.0, -9.0, 4.0)  # a hand
    gains = gains_of(samples_of([rows], WRENCH, ACCEL, GYRO, RATE_HZ))
    other = swung(20.0, seed=2, noise=0.0)
    expected = truth(Tool(), other)[1:]
    foretold = (terms_of(other, ACCEL, GYRO, RATE_HZ) @ gains.T)[1:]
    off = np.sqrt(((foretold - expected) ** 2).reshape(-1, 2, 3).sum(axis=2).mean(axis=0))
    assert off[0] < 0.1  # N, of 13
    assert off[1] < 0.01  # Nm, of 1


@pytest.mark.parametrize("seed", range(3))
def test_mass_mounting_centre_and_bias_come_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tool = Tool(
        mass=rng.uniform(0.3, 4.0),
        centre=tuple(rng.uniform(-0.1, 0.1, 3)),
        mounting=tuple(rng.uniform(-2.0, 2.0, 3)),
    )
    rows = swung(40.0, seed, tool)
    gains = gains_of(samples_of([rows], WRENCH, ACCEL, GYRO, RATE_HZ))
    mass, moment = gains[:3, :3], gains[3:, :3]
    turn = turned(*tool.mounting)
    np.testing.assert_allclose(mass, -tool.mass * turn, atol=0.02)
    x, y, z = tool.mass * np.subtract(tool.centre, tool.origin)
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    np.testing.assert_allclose(moment, -turn @ skew, atol=0.005)
    bias = (rows[:, 6:] - terms_of(rows, ACCEL, GYRO, RATE_HZ) @ gains.T)[1:].mean(axis=0)
    np.testing.assert_allclose(bias[:3], tool.bias[:3], atol=0.1)
    np.testing.assert_allclose(bias[3:], tool.bias[3:], atol=0.01)


_LONG_WAY = "a long way, is that its weight? Else force in kgf, or torque in lbf in?"


@pytest.mark.parametrize(
    ("part", "factor", "told"),
    [
        (slice(6, 12), 1.0, ""),
        (slice(9, 12), 1000.0, "torque in N mm, N cm or lbf in instead of Nm?"),
        (slice(9, 12), 100.0, "torque in N mm, N cm or lbf in instead of Nm?"),
        (slice(6, 9), 1000.0, "force in mN instead of N?"),
        (slice(6, 9), 1 / 9.80665, _LONG_WAY),  # kgf
        (slice(9, 12), 8.8507, _LONG_WAY),  # lbf in
    ],
)
def test_weight_and_lever_are_said_and_a_wrench_in_other_units(
    part: slice, factor: float, told: str
) -> None:
    rows = swung(30.0)
    rows[:, part] *= factor
    _, line = model_of(rows)
    said = line.rpartition("; ")[2]
    assert " N hang on it, " in said
    assert said.partition(" m from its axes")[2].removeprefix(": ") == told


def test_an_imu_that_explains_the_load_is_used_with_its_gyro() -> None:
    model, line = model_of(swung(30.0))
    assert (model.accel, model.gyro, model.terms) == (ACCEL, GYRO, 12)
    assert model.thresholds[0] < 1.0
    assert model.noise[0] < 0.1
    assert "by imu; lasting contacts from" in line
    assert "directions" not in line


def test_without_a_gyro_the_static_terms_alone_are_used() -> None:
    rows = swung(30.0)
    rows[:, 3:6] = np.nan
    model, _ = model_of(rows)
    assert (model.accel, model.gyro, model.terms) == (ACCEL, (), 3)


def test_what_motion_does_not_excite_is_not_identified_and_that_is_said() -> None:
    model, line = model_of(swung(30.0, speed=0.0))
    assert model.accel == ()
    assert "no IMU explains it" in line
    assert "its own slow baseline" in line
    rows = swung(30.0, noise=0.2)
    rows[:, 0], rows[:, 3:6] = 1.0, np.nan  # one axis never changes, and there is no gyro
    model, line = model_of(rows)
    assert np.abs(np.array(model.gains)[:3, 0]).max() < 1e-3
    assert "turned or moved in 2 of 3 directions" in line


def test_without_an_imu_the_wrench_is_held_against_itself() -> None:
    rows = swung(30.0, speed=0.0)[:, 6:]
    (model,), (line,) = calibrated(CHANNELS[6:], [rows], RATE_HZ, 1.0)
    assert (model.wrench, model.accel, model.terms) == ((0, 1, 2, 3, 4, 5), (), 0)
    assert line.startswith("contact load of wrench: no IMU rides along: lasting contacts from")


@pytest.mark.parametrize("seed", range(4))
def test_without_an_imu_its_own_force_tells_the_torque_of_what_hangs_on_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tool = Tool(mass=rng.uniform(0.3, 4.0), centre=tuple(rng.uniform(-0.1, 0.1, 3)))
    rows = swung(40.0, seed, tool, speed=0.1)[:, 6:]
    (model,), (line,) = calibrated(CHANNELS[6:], [rows], RATE_HZ, 1.0)
    assert model.by_own_force
    assert (model.accel, model.gyro, model.terms) == ((0, 1, 2), (), 3)
    assert not np.any(model.gains[:3])
    assert model.weight == 0.0
    x, y, z = turned(*tool.mounting) @ np.subtract(tool.centre, tool.origin)
    lever = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    np.testing.assert_allclose(model.gains[3:], lever, atol=0.01)  # m
    assert "; its torque by its own force, which leaves " in line


def test_a_wrench_whose_torque_is_not_reported_is_held_against_itself() -> None:
    rows = swung(30.0)[:, 6:]
    rows[:, 3:] = np.nan
    (model,), _ = calibrated(CHANNELS[6:], [rows], RATE_HZ, 1.0)
    assert model.accel == ()
    assert model.thresholds[1] == NEVER


def test_thresholds_follow_the_sensor_down_to_its_resolution() -> None:
    rows = swung(30.0, speed=0.0)[:, 6:]
    (usual,), _ = calibrated(CHANNELS[6:], [rows], RATE_HZ, 1.0)
    (fine,), _ = calibrated(CHANNELS[6:], [rows / 100.0], RATE_HZ, 1.0)
    np.testing.assert_allclose(np.array(usual.thresholds) / fine.thresholds, 100.0, rtol=0.01)
    steps = np.zeros_like(rows)
    steps[::997, 2] = 2.0  # N: of one count, for a row
    (coarse,), _ = calibrated(CHANNELS[6:], [steps], RATE_HZ, 1.0)
    assert coarse.thresholds[0] >= 2.0


def test_absent_axes_are_left_out() -> None:
    rows = swung(30.0)
    rows[:, 9:] = np.nan  # a force-only cell
    model, line = model_of(rows)
    assert model.accel == ACCEL
    assert model.thresholds[1] == NEVER
    assert "Nm" not in line


def test_of_two_imus_each_wrench_takes_the_one_that_rides_along() -> None:
    left, right = swung(30.0, seed=1), swung(30.0, seed=2, tool=Tool(mass=0.4))
    rows = np.hstack((left[:, :6], right[:, :6], left[:, 6:], right[:, 6:]))
    names = [f"{side}{name}" for half in (slice(6), slice(6, 12)) for side in ("l_", "r_")
             for name in CHANNELS[half]]  # fmt: skip
    models, lines = calibrated(names, [rows], RATE_HZ, 1.0)
    assert [model.accel[0] for model in models] == [0, 6]
    assert [model.wrench[0] for model in models] == [12, 18]
    assert ["by l_imu" in lines[0], "by r_imu" in lines[1]] == [True, True]


def test_recordings_of_different_tools_give_no_model_and_that_is_said() -> None:
    tools = [Tool(mass=mass) for mass in (0.7, 1.0, 1.4)]
    recordings = [swung(20.0, seed, tool) for seed, tool in enumerate(tools)]
    models, (line,) = calibrated(CHANNELS, recordings, RATE_HZ, 1.0)
    assert models == ()
    assert "the recordings differ in what hangs on it" in line
    same = [swung(20.0, seed, Tool(bias=(seed, *[0.0] * 5))) for seed in range(3)]
    assert calibrated(CHANNELS, same, RATE_HZ, 1.0)[0]


@pytest.mark.parametrize("count", [0, 3, 100])
def test_too_little_is_said(count: int) -> None:
    models, (line,) = calibrated(CHANNELS, [swung(2.0)[:count]], RATE_HZ, 1.0)
    assert models == ()
    assert "not known, less than 2 s" in line


def test_a_contact_in_steady_motion_is_found_named_and_left_out() -> None:
    hand = np.zeros((round(60.0 * RATE_HZ), 6))
    hand[round(20.0 * RATE_HZ) : round(23.0 * RATE_HZ), 1] = 9.0
    clean, _ = model_of(swung(60.0, seed=1))
    model, line = model_of(swung(60.0, seed=1, contact=hand))
    assert "; left out: lasting contacts at 20.0 s (8.9 N)" in line
    assert model.thresholds[0] == pytest.approx(clean.thresholds[0], rel=0.1)


@pytest.mark.parametrize("imu", [True, False])
def test_a_recording_that_begins_in_contact_calibrates_as_one_that_does_not(imu: bool) -> None:
    hand = np.zeros((round(60.0 * RATE_HZ), 6))
    hand[: round(6.0 * RATE_HZ), 1] = 12.0
    channels = CHANNELS if imu else CHANNELS[6:]
    clean, pressed = (
        calibrated(channels, [rows if imu else rows[:, 6:]], RATE_HZ, 1.0)
        for rows in (
            swung(60.0, seed=1, speed=1.0 if imu else 0.0),
            swung(60.0, seed=1, speed=1.0 if imu else 0.0, contact=hand),
        )
    )
    (model,), (line,) = pressed
    assert "; left out: lasting contacts at 0.0 s (1" in line
    assert model.thresholds == pytest.approx(clean[0][0].thresholds, rel=0.1)
    assert model.usual == pytest.approx(clean[0][0].usual, abs=0.05)


def test_recordings_of_different_tares_have_no_usual_bias() -> None:
    tared = [swung(20.0, seed, Tool(bias=(seed, *[0.0] * 5))) for seed in range(3)]
    assert model_of(*tared)[0].usual == ()
    assert len(model_of(*tared[:1] * 2)[0].usual) == 6


def test_a_wrench_that_never_changes_and_one_in_other_units_break_nothing() -> None:
    rows = swung(20.0)
    rows[:, 6:] = 5.0
    models, (line,) = calibrated(CHANNELS, [rows], RATE_HZ, 1.0)
    assert models == ()
    assert line.endswith("not known, the wrench never changes")
    rows = swung(20.0)
    rows[:, 6:] *= 1e7
    (model,), _ = calibrated(CHANNELS, [rows], RATE_HZ, 1.0)
    assert model.by_own_force  # units cancel out in a lever


@pytest.mark.parametrize("axes", [(2,), (0, 2), (0, 1, 2)])
def test_legs_that_carry_a_trunk_hang_on_nothing(axes: tuple[int, ...]) -> None:
    """Their load follows the trunk's motion as they push it, along what they push."""
    rng, rows = np.random.default_rng(3), swung(30.0, speed=0.3)
    rows[:, 6:] = rng.normal(0.0, 0.3, (len(rows), 6))
    for axis in range(3):
        shifts = np.repeat(rng.normal(size=len(rows) // 40 + 1), 40)[: len(rows)]
        push = 8.0 * rows[:, 2] / (1 + 4 * (axis != 2)) + 12.0 * shifts
        rows[:, 6 + axis] = push if axis in axes else 0.0
    model, line = model_of(rows)
    assert model.accel == ()
    assert "no IMU explains it" in line
