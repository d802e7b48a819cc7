"""What the newest samples of a source say of the sensor."""

from __future__ import annotations

import numpy as np
import pytest

from tao_lora_ros.signal.condition import LOOK, faults, missing

NAMES = "x", "y"


def noise(seed: int = 0, n: int = LOOK) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 2))


def found(values: np.ndarray) -> list[str]:
    return list(faults(NAMES, values))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("step", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_nothing_is_wrong_with_noise_of_any_resolution(seed: int, step: float) -> None:
    values = noise(seed)
    assert not found(np.round(values / step) * step if step else values)


@pytest.mark.parametrize("turns", [1.0, 3.3, 17.0, 40.5])
def test_nothing_is_wrong_with_a_swing_nor_a_jump(turns: float) -> None:
    values = noise() * 0.01
    values[:, 0] += np.sin(np.linspace(0.0, 2 * np.pi * turns, LOOK))
    values[:100, 1] += 5.0
    assert not found(values)


def test_an_axis_that_is_cut_off_is_named() -> None:
    values = noise()
    values[:, 1] = np.clip(values[:, 1], -9.0, 1.2)
    assert found(values) == ["stays at its largest value: y"]


def test_an_axis_that_is_stuck_is_named_however_few_samples_there_are() -> None:
    values = noise(n=32)
    values[:, 0] = 3.0
    assert found(values) == ["never changes: x"]
    assert not found(values[:31])


def test_what_is_absent_is_missing_and_not_stuck() -> None:
    values = noise()
    values[:32, 0] = np.nan
    assert missing(NAMES, values) == ["x"]
    assert not found(values)
    assert not missing(NAMES, noise())
    assert not missing(NAMES, values[:0])
