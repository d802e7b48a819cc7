"""How hard an event was, from raw samples that are known to the last digit."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest

from tao_lora_ros.contact.contact_model import STATIC, ContactModel, rate_terms
from tao_lora_ros.contact.event_size import Span, size_of
from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Size
from tao_lora_ros.signal.cdr import IMU, JOINT_STATE, WRENCH
from tao_lora_ros.signal.source import SourceConfig

MS = 1_000_000
T0 = 1_700_000_000_000_000_123
SPAN = Span(T0, T0 + 40 * MS)
PUSH_N = np.array([3.0, 0.0, -4.0])
CHANNELS = (*SourceConfig("imu", IMU).channels, *SourceConfig("ft", WRENCH).channels)
IMU_COLUMNS, WRENCH_COLUMNS = tuple(range(6)), tuple(range(6, 12))


def stamps(period_ms: int = 1, offset_ns: int = 0) -> np.ndarray:
    return T0 + np.arange(-250, 60, period_ms) * MS + offset_ns


def wrench(name: str = "ft", push: np.ndarray = PUSH_N, offset_ns: int = 0) -> RawSamples:
    """A load of -20 N that is pushed for 10 ms, with a lever of 0.1 m along z."""
    times_ns = stamps(offset_ns=offset_ns)
    values = np.tile([0.0, 0.0, -20.0, 0.5, 0.0, 0.0], (len(times_ns), 1))
    pushed = (times_ns >= T0 + 2 * MS) & (times_ns < T0 + 12 * MS)
    values[pushed, :3] += push
    values[pushed, 3:] += np.cross([0.0, 0.0, 0.1], push)
    return RawSamples(name, f"{name}_link", SourceConfig(name, WRENCH).channels, times_ns, values)


# What is known of a wrench that nothing hangs on.
WEIGHTLESS = ContactModel(
    WRENCH_COLUMNS, IMU_COLUMNS[:3], (), ((0.0,) * STATIC,) * 6, (1.0, 0.1), (0.1, 0.01)
)


def imu(period_ms: int = 2, shake: float = 6.0) -> RawSamples:
    times_ns = stamps(period_ms)
    values = np.tile([0.0, 0.0, 9.81, 0.0, 0.0, 0.0], (len(times_ns), 1))
    values[(times_ns >= T0) & (times_ns < T0 + 8 * MS), 1] -= shake
    return RawSamples("imu", "imu_link", SourceConfig("imu", IMU).channels, times_ns, values)


def test_force_direction_impulse_torque_and_change() -> None:
    size = size_of([imu(shake=0.0), wrench()], SPAN, CHANNELS, [WEIGHTLESS])
    assert size.duration == pytest.approx(0.04)
    assert size.peak_force == pytest.approx(5.0)
    assert size.impulse == pytest.approx(0.05)
    assert size.peak_torque == pytest.approx(0.3)
    assert (size.sensor, size.frame_id) == ("ft", "ft_link")
    np.testing.assert_allclose(size.direction, PUSH_N / 5.0)


def test_an_impulse_is_not_measured_where_motion_is_not_taken_off() -> None:
    """By hand, the change of the wrench would be one, with the tool's ringing in it."""
    size = size_of([imu(), wrench()], SPAN)
    assert isnan(size.impulse)
    assert (size.peak_force, size.peak_torque) == pytest.approx((5.0, 0.3))
    assert size.acceleration_change == pytest.approx(6.0)
    own = ContactModel(
        WRENCH_COLUMNS, WRENCH_COLUMNS[:3], (), ((0.01,) * STATIC,) * 6, (1.0, 0.1), (0.1, 0.01)
    )
    assert repr(size_of([imu(), wrench()], SPAN, CHANNELS, [own])) == repr(size)  # NaN are alike


def test_of_four_feet_the_one_with_the_largest_force_is_named() -> None:
    feet = [wrench(f"foot_{i}", PUSH_N * i) for i in (1, 4, 2, 3)]
    size = size_of(feet, SPAN)
    assert (size.sensor, size.frame_id) == ("foot_4", "foot_4_link")
    assert (size.peak_force, size.peak_torque) == pytest.approx((20.0, 1.2))


def without(raw: RawSamples, columns: slice) -> RawSamples:
    """Without a value there."""
    values = raw.values.copy()
    values[:, columns] = np.nan
    return replace(raw, values=values)


def test_what_is_not_reported_is_not_measured() -> None:
    force_alone = size_of([without(wrench(), slice(3, 6))], SPAN)
    assert force_alone.peak_force == pytest.approx(5.0)
    assert isnan(force_alone.peak_torque)
    torque_alone = size_of([without(wrench(), slice(3))], SPAN)
    assert torque_alone.peak_torque == pytest.approx(0.3)
    assert isnan(torque_alone.peak_force)
    assert isnan(torque_alone.impulse)


@pytest.mark.parametrize(
    ("absent", "peak_n"), [(slice(1), 4.0), (slice(2), 4.0), (slice(1, 3), 3.0), (slice(3), nan)]
)
def test_a_load_cell_s_axes_are_what_it_measures(absent: slice, peak_n: float) -> None:
    for models in ([], [WEIGHTLESS]):
        size = size_of([imu(), without(wrench(), absent)], SPAN, CHANNELS, models)
        assert size.peak_force == pytest.approx(peak_n, nan_ok=True)
        assert size.peak_torque == pytest.approx(0.3)


def test_an_imu_alone_tells_the_change_of_the_acceleration() -> None:
    size = size_of([imu()], SPAN)
    assert (size.sensor, size.acceleration_change) == ("imu", pytest.approx(6.0))
    np.testing.assert_allclose(size.direction, (0.0, -1.0, 0.0), atol=1e-12)
    assert isnan(size.peak_force)


def test_joint_efforts_alone_are_no_newtons() -> None:
    config = SourceConfig("joint_states", JOINT_STATE, joints=("a", "b", "c"))
    times_ns = stamps()
    efforts = RawSamples("joint_states", "", config.channels, times_ns, np.eye(len(times_ns), 3))
    assert repr(size_of([efforts], SPAN)) == repr(Size(duration=0.04))


@pytest.mark.parametrize("raws", [(), (wrench(offset_ns=-1_000 * MS),)])
def test_no_samples_in_the_event_no_size(raws: tuple[RawSamples, ...]) -> None:
    assert repr(size_of(raws, SPAN)) == repr(Size(duration=0.04))


def test_what_comes_after_the_end_so_far_does_not_count() -> None:
    raws = [imu(shake=0.0), wrench()]
    so_far = size_of(raws, Span(T0, T0 + 6 * MS), CHANNELS, [WEIGHTLESS])
    assert so_far.impulse < 0.025
    assert size_of([wrench()], Span(T0, T0 + MS)).peak_force == 0.0


def test_stamps_that_repeat_count_once() -> None:
    raw = wrench()
    twice = replace(
        raw, stamps_ns=np.repeat(raw.stamps_ns, 2), values=np.repeat(raw.values, 2, axis=0)
    )
    assert repr(size_of([twice], SPAN)) == repr(size_of([raw], SPAN))


def swung(times_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Specific force, angular rate and acceleration of a body that shakes at 20 and 15 Hz."""
    times = (times_ns - T0) * 1e-9
    force = np.array([3.0 * np.sin(126.0 * times), 2.0 * np.cos(126.0 * times), 9.81 + 0 * times]).T
    rates = np.outer(np.sin(94.0 * times), [0.3, -0.2, 0.1])
    return force, rates, np.outer(94.0 * np.cos(94.0 * times), [0.3, -0.2, 0.1])


@pytest.mark.parametrize("gyro", [True, False])
def test_what_motion_explains_is_taken_off(gyro: bool) -> None:
    """The wrench of a shaken body, at 1 kHz; its IMU at 500 Hz."""
    gains = np.random.default_rng(0).normal(size=(6, 12)) * np.repeat([0.8, 0.2, 0.03], [3, 6, 3])
    gains = gains if gyro else gains[:, :STATIC]
    pushed, still = wrench(), imu(shake=0.0)
    force, rates, accelerations = swung(pushed.stamps_ns)
    terms = rate_terms(force, rates, accelerations)[:, : gains.shape[1]]
    pushed = replace(pushed, values=pushed.values + terms @ gains.T)
    shaken = replace(still, values=np.hstack(swung(still.stamps_ns)[:2]))
    model = ContactModel(
        WRENCH_COLUMNS, IMU_COLUMNS[:3], IMU_COLUMNS[3:] if gyro else (),
        tuple(map(tuple, gains.tolist())), (1.0, 0.1), (0.1, 0.01),
    )  # fmt: skip
    size = size_of([shaken, pushed], SPAN, CHANNELS, [model])
    assert size.peak_force == pytest.approx(5.0, abs=0.15)
    assert size.impulse == pytest.approx(0.05, abs=0.003)
    assert size.peak_torque == pytest.approx(0.3, abs=0.05)
    blind = size_of([shaken, pushed], SPAN)
    assert isnan(blind.impulse)
    lost = size_of([pushed], SPAN, CHANNELS, [model])  # no sample of the IMU: the change it is
    assert lost.peak_force == blind.peak_force


@pytest.mark.parametrize(("share", "told"), [(0.0, False), (0.01, False), (0.2, True)])
def test_a_wrench_that_did_not_drive_the_event_tells_no_force(share: float, told: bool) -> None:
    """A foot steps on while the trunk is struck; where motion is taken off what is left counts."""
    shares = np.zeros(len(CHANNELS))
    shares[1], shares[WRENCH_COLUMNS[0]] = 1.0 - share, share
    size = size_of([imu(), wrench()], SPAN, CHANNELS, (), shares)
    assert isnan(size.peak_force) != told
    assert isnan(size.peak_torque) != told
    assert size.acceleration_change == pytest.approx(6.0)
    assert size.sensor == ("ft" if told else "imu")
    explained = size_of([imu(shake=0.0), wrench()], SPAN, CHANNELS, [WEIGHTLESS], shares)
    assert explained.peak_force == pytest.approx(5.0)
