"""The simulated arm weighs, strikes, touches and reports as a real one would."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="the simulation needs mujoco")
pytest.importorskip("rosbags", reason="the simulation writes bags with rosbags")

from rosbags.highlevel import AnyReader

from tao_lora_ros.simulation.kinematics import Kinematics
from tao_lora_ros.simulation.physics import Trace, World
from tao_lora_ros.simulation.planner import HOME, Planner
from tao_lora_ros.simulation.recording import Recording, SimulationConfig, record, simulate
from tao_lora_ros.simulation.scene import GRAVITY, TIME_STEP_S, Tool, load_model
from tao_lora_ros.simulation.script import Script, Segment, Strike

STRIKE = Strike(
    time_s=0.05,
    mass_kg=0.08,
    speed_m_s=0.5,
    gap_m=0.01,
    contact_s=0.004,
    along=0.8,
    azimuth_rad=0.7,
    elevation_rad=0.0,
    aim_rad=0.0,
)


@pytest.fixture(scope="module")
def struck() -> Recording:
    return simulate(SimulationConfig(duration_s=30.0, seed=1))


def at_rest(
    strikes: list[Strike], tool: Tool | None = None, duration_s: float = 0.2
) -> tuple[Trace, World]:
    script = Script(segments=[Segment(duration_s, HOME[None, :])], strikes=strikes)
    world = World(load_model(tool or Tool()))
    return world.run(script, range(round(duration_s / TIME_STEP_S))), world


def test_at_rest_the_accelerometer_feels_gravity_upward() -> None:
    trace, _ = at_rest([])
    np.testing.assert_allclose(np.linalg.norm(trace.imu[:, :3], axis=1), GRAVITY, rtol=1e-3)
    assert trace.imu[-1, 2] < -9.8  # the tool points down, so up is against its axis
    assert np.abs(trace.imu[:, 3:]).max() < 1e-3


@pytest.mark.parametrize("mass_kg", [0.7, 1.4])
def test_at_rest_the_wrench_is_the_tools_weight(mass_kg: float) -> None:
    trace, _ = at_rest([], Tool(mass_kg=mass_kg))
    weight = mass_kg * GRAVITY
    np.testing.assert_allclose(np.linalg.norm(trace.wrench[:, :3], axis=1), weight, rtol=1e-3)
    assert trace.wrench[-1, 2] > 0.99 * weight  # down is along the tool


def test_a_strike_passes_on_the_balls_momentum() -> None:
    trace, world = at_rest([STRIKE], duration_s=0.1)  # ends before the ball is taken away
    impulse = trace.ball_force.sum() * TIME_STEP_S
    approach = STRIKE.mass_kg * STRIKE.speed_m_s
    rebound = STRIKE.mass_kg * float(np.linalg.norm(world.data.qvel[-6:-3]))
    assert impulse == pytest.approx(approach + rebound, rel=0.03)
    assert 1.1 < impulse / approach < 1.9


def test_a_strike_lasts_as_long_as_asked_and_rings_after() -> None:
    trace, _ = at_rest([STRIKE])
    hit = np.flatnonzero(trace.ball_force > 0)
    assert 0.5 < np.ptp(hit) * TIME_STEP_S / STRIKE.contact_s < 2.0
    deviation = np.linalg.norm(trace.wrench - trace.wrench[0], axis=1)
    assert deviation[: hit[0]].max() < 0.01
    assert deviation[hit[0] :].max() > 0.3 * trace.ball_force.max()
    assert deviation[-20:].max() < 0.05 * deviation.max()


def test_a_strike_that_misses_is_no_contact() -> None:
    trace, _ = at_rest([replace(STRIKE, along=2.0)])  # aimed beyond the tip
    assert not trace.ball_force.any()


@pytest.mark.parametrize("seed", range(3))
def test_scripts_are_smooth_and_stay_above_the_table(seed: int) -> None:
    kinematics = Kinematics(load_model(Tool()))
    planner = Planner(kinematics, np.random.default_rng(seed))
    targets = planner.plan(20.0, contacts=False).targets(
        range(round(20.0 / TIME_STEP_S)), TIME_STEP_S
    )
    assert np.abs(np.diff(targets, axis=0)).max() / TIME_STEP_S < 2.0
    assert np.abs(np.diff(targets, 2, axis=0)).max() / TIME_STEP_S**2 < 20.0
    assert min(kinematics.lowest(pose) for pose in targets[::400]) > 0.05


def test_inverse_kinematics_reaches_or_says_no() -> None:
    kinematics = Kinematics(load_model(Tool()))
    there, down = np.array([0.5, -0.2, 0.1]), np.array([0.0, 0.0, -1.0])
    joints = kinematics.solve(there, down, HOME)
    assert joints is not None
    tip, axis = kinematics.tip(joints)
    np.testing.assert_allclose(tip, there, atol=2e-5)
    np.testing.assert_allclose(axis, down, atol=2e-4)
    assert kinematics.solve(np.array([2.0, 0.0, 0.1]), down, HOME) is None


def test_rates_stamps_and_frames(struck: Recording) -> None:
    for source, rate_hz in ((struck.imu, 500), (struck.wrench, 1000)):
        assert source.values.shape == (30 * rate_hz, 6)
        assert np.isfinite(source.values).all()
        steps = np.diff(source.stamps_ns)
        assert (steps > 0).all()
        assert steps.mean() == pytest.approx(1e9 / rate_hz, rel=1e-4)
        assert steps.std() > 1e3
    assert (struck.imu.frame_id, struck.wrench.frame_id) == ("imu_link", "ft_sensor")


def test_truth_is_ordered_disjoint_and_inside(struck: Recording) -> None:
    assert {contact.label for contact in struck.contacts} == {"impact", "contact", "slide"}
    assert struck.contacts[0].start_s >= 0
    assert struck.contacts[-1].end_s <= 30.0
    assert all(contact.start_s < contact.end_s for contact in struck.contacts)
    assert all(a.end_s <= b.start_s for a, b in pairwise(struck.contacts))


def test_hard_impacts_show_in_the_wrench(struck: Recording) -> None:
    first_ns = min(struck.imu.stamps_ns[0], struck.wrench.stamps_ns[0])
    time = (struck.wrench.stamps_ns - first_ns) * 1e-9
    hard = [c for c in struck.contacts if c.label == "impact" and c.peak_sigma > 20]
    assert len(hard) > 3
    for contact in hard:
        sigma_n = contact.peak_force_n / contact.peak_sigma
        before = struck.wrench.values[(time > contact.start_s - 0.02) & (time < contact.start_s)]
        during = struck.wrench.values[(time > contact.start_s) & (time < contact.end_s + 0.01)]
        deviation = np.linalg.norm(during[:, :3] - before[:, :3].mean(axis=0), axis=1).max()
        assert deviation > max(5 * sigma_n, 0.2 * contact.peak_force_n)


def test_steady_motion_touches_nothing() -> None:
    recording = simulate(SimulationConfig(duration_s=15.0, seed=2, contacts=False))
    assert recording.contacts == []
    assert np.ptp(recording.imu.values[:, :3], axis=0).max() > 2.0  # but it moves


def test_the_seed_decides_every_byte() -> None:
    config = SimulationConfig(duration_s=4.0, seed=5)
    one, same = simulate(config), simulate(config)
    other = simulate(replace(config, seed=6))
    for name in ("imu", "wrench"):
        a, b, c = (getattr(recording, name) for recording in (one, same, other))
        assert a.values.tobytes() == b.values.tobytes()
        assert a.stamps_ns.tobytes() == b.stamps_ns.tobytes()
        assert a.values.tobytes() != c.values.tobytes()
    assert one.contacts == same.contacts


def test_imu_lag_moves_stamps_only() -> None:
    config = SimulationConfig(duration_s=1.0, contacts=False)
    prompt, late = simulate(config), simulate(replace(config, imu_lag_s=0.008))
    np.testing.assert_array_equal(prompt.imu.values, late.imu.values)
    np.testing.assert_allclose(late.imu.stamps_ns - prompt.imu.stamps_ns, 8e6, atol=1)


def test_progress_ends_at_one() -> None:
    heard: list[float] = []
    simulate(SimulationConfig(duration_s=2.5, contacts=False), heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_bag_and_labels_read_back(tmp_path: Path) -> None:
    config = SimulationConfig(duration_s=3.0, seed=1)
    recording = simulate(config)
    path = tmp_path / "folder" / "run"
    assert record(config, path) == recording.contacts
    with AnyReader([path]) as reader:
        messages = [
            (connection.topic, stamp, reader.deserialize(data, connection.msgtype))
            for connection, stamp, data in reader.messages()
        ]
    stamps = [stamp for _, stamp, _ in messages]
    assert stamps == sorted(stamps)
    imu = [message for topic, _, message in messages if topic == "/imu"]
    wrench = [message for topic, _, message in messages if topic == "/wrench"]
    assert len(imu) == 1500
    assert len(wrench) == 3000
    for _, stamp, message in messages[:10]:
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == stamp
    assert imu[0].header.frame_id == "imu_link"
    assert imu[0].orientation_covariance[0] == -1.0
    acceleration, rate = imu[7].linear_acceleration, imu[7].angular_velocity
    np.testing.assert_array_equal(
        recording.imu.values[7],
        [acceleration.x, acceleration.y, acceleration.z, rate.x, rate.y, rate.z],
    )
    force, torque = wrench[7].wrench.force, wrench[7].wrench.torque
    np.testing.assert_array_equal(
        recording.wrench.values[7], [force.x, force.y, force.z, torque.x, torque.y, torque.z]
    )
    with (tmp_path / "folder" / "run.labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [contact.label for contact in recording.contacts]
    assert float(rows[0]["start_s"]) == pytest.approx(recording.contacts[0].start_s, abs=1e-6)

    with pytest.raises(FileExistsError, match="run"):
        record(config, path)


@pytest.mark.parametrize("presses", [False, True])
def test_a_recording_in_parts_is_one_recording(
    presses: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The physics is the very same; noise and vibration are other ones of the same size."""
    config = SimulationConfig(4.0, seed=1, presses=presses, contacts=not presses, imu_lag_s=0.01)
    whole = simulate(config)
    monkeypatch.setattr("tao_lora_ros.simulation.recording._PART_S", 0.75)
    parts = simulate(config)
    np.testing.assert_array_equal(parts.contact_wrench.values, whole.contact_wrench.values)
    assert len(whole.contacts) > 1
    for one, other in zip(parts.contacts, whole.contacts, strict=True):
        assert (one.label, one.peak_force_n) == (other.label, other.peak_force_n)
        assert (one.start_s, one.end_s) == pytest.approx((other.start_s, other.end_s), abs=1e-4)
    for name, rate_hz in (("imu", 500.0), ("wrench", 1000.0)):
        a, b = getattr(parts, name), getattr(whole, name)
        np.testing.assert_allclose(np.diff(a.stamps_ns), 1e9 / rate_hz, atol=0.4e9 / rate_hz)
        change, usual = (np.diff(recording.values, axis=0).std(axis=0) for recording in (a, b))
        np.testing.assert_allclose(change, usual, rtol=0.2)
    record(config, tmp_path / "bag")
    with AnyReader([tmp_path / "bag"]) as reader:
        stamps = [stamp for _, stamp, _ in reader.messages()]
    assert stamps == sorted([*parts.imu.stamps_ns, *parts.wrench.stamps_ns])


def test_existing_labels_are_kept(tmp_path: Path) -> None:
    (tmp_path / "run.labels.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"run\.labels\.csv"):
        record(SimulationConfig(duration_s=0.1, contacts=False), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("duration_s", 0.0),
        ("duration_s", float("nan")),
        ("duration_s", 0.0005),
        ("noise_scale", -1.0),
        ("imu_rate_hz", 300.0),
        ("wrench_rate_hz", 8000.0),
        ("imu_lag_s", -0.1),
        ("seed", -1),
    ],
)
def test_errors_name_the_field_and_its_value(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{field}.*{value}"):
        SimulationConfig(**{field: value})
