"""A driver that repeats what it has is told of; a sensor at rest never is."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.repeats import RepeatCheck
from tao_lora_ros.signal.source import SourceConfig
from tao_lora_ros.signal.units import SAMPLES

PERIOD_S = 0.005
LOOKS = 4


def noise(seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(LOOKS * SAMPLES, 6))


def told(values: NDArray[np.float64], msgtype: str = WRENCH) -> list[str]:
    check = RepeatCheck(SourceConfig("s", msgtype))
    looks = values.reshape(-1, SAMPLES, values.shape[1])
    return list(dict.fromkeys(text for look in looks for text in check.look(look, PERIOD_S)))


@given(seed=st.integers(0, 50), step=st.sampled_from([0.0, 0.01, 0.5, 1.0, 2.0, 3.0]))
def test_noise_is_never_told_of_however_coarse(seed: int, step: float) -> None:
    values = noise(seed)
    assert told(np.round(values / step) * step if step else values) == []


@pytest.mark.parametrize("level", [0.0, 3.5])
@pytest.mark.parametrize("from_sample", [0, 100, 300])
def test_a_wrench_that_stands_still_is_told_of(level: float, from_sample: int) -> None:
    values = noise()
    values[from_sample:] = level
    (text,) = told(values)
    assert text.startswith("does not change, whatever happens: s: not connected")


@pytest.mark.parametrize(
    ("msgtype", "name"), [(IMU, "s.accel"), (WRENCH, "s.force")], ids=["accel", "force"]
)
def test_a_part_that_stands_still_beside_one_that_moves_is_told_of(msgtype: str, name: str) -> None:
    values = noise()
    values[:, :3] = [0.0, 0.0, 9.81]
    (text,) = told(values, msgtype)
    assert f"happens: {name}: not connected" in text


def test_absent_parts_and_a_torque_that_is_not_measured_are_nothing_to_tell_of() -> None:
    values = noise()
    values[:, 3:] = np.nan
    assert told(values) == []
    values[:, 3:] = 0.0
    assert told(values) == []
    values[:, :3] = np.nan
    assert told(values, IMU) != []


def test_one_look_without_a_change_is_none() -> None:
    values = noise()
    values[SAMPLES : 2 * SAMPLES] = 1.0
    assert told(values) == []


@pytest.mark.parametrize("times", [2, 4, 8, 2.5, 5 / 3])
def test_values_that_come_several_times_are_told_of_with_the_rate(times: float) -> None:
    values = noise()
    (text,) = told(values[(np.arange(len(values)) // times).astype(int)])
    found = re.fullmatch(
        r"each value comes ([\d.]+) times: measured at ([\d.]+) Hz, sent at 200 Hz", text
    )
    assert found is not None
    assert float(found[1]) == pytest.approx(times, rel=0.03)
    assert float(found[2]) == pytest.approx(200 / times, rel=0.02)


def test_a_value_that_now_and_then_comes_twice_is_none() -> None:
    values = noise()
    values[::7] = values[6::7][: len(values[::7])][0]
    values[3::7] = values[2::7]
    assert told(values) == []
