"""Probabilities of windows, and forecasts held against what came."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from models import SMALL, full_precision, quantized, small_artifact, windows

from tao_lora_ros.engine.inferrer import Inferrer, Said
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.conversion import mixer_of, network_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.runtime.runtime import Output

HORIZON = SMALL.horizon
T = SMALL.window


class Foretells:
    """A runtime whose forecast is a constant, in squashed standard units."""

    name = "foretells"

    def __init__(self, value: float) -> None:
        self._value = np.float32(value)

    def infer(self, window: np.ndarray, path: Route) -> Output:
        logits = np.array([0.0, 1.0, 2.0], np.float32)
        return Output(logits, np.full((HORIZON, 12), self._value), np.nan_to_num(window[0]))


def foretells(value: float = 0.0) -> Inferrer:
    return Inferrer(Foretells(value), network_of(Mixer(SMALL, quantized=True)))


def window(value: float = 0.0) -> np.ndarray:
    return np.full((T, 12), value, np.float32)


def said(subject: Inferrer, row: int, values: np.ndarray, path: Route) -> Said:
    (only,) = subject.infer([row], [values], [path])
    return only


def test_probabilities_are_the_softmax_of_the_path() -> None:
    model = small_artifact().model
    x = windows(count=1)
    subject = Inferrer(CpuRuntime(model), model)
    probabilities, _ = said(subject, 0, x[0].numpy(), Route.TRANSIENT)
    expected = torch.softmax(mixer_of(model)(x, Route.TRANSIENT)[0][0], dim=0).tolist()
    assert probabilities == pytest.approx(expected, abs=1e-3)
    assert sum(probabilities) == pytest.approx(1.0)


def test_the_forecast_error_comes_once_the_horizon_has_passed() -> None:
    subject = foretells()
    errors = [said(subject, row, window(), Route.STEADY)[1] for row in (0, 1, HORIZON - 1, HORIZON)]
    assert np.isnan(errors[:3]).all()
    assert errors[3] == 0.0


def test_the_error_is_the_rms_about_the_level_of_the_forecasts_window() -> None:
    subject = foretells(value=0.5)
    said(subject, 0, window(1.0), Route.STEADY)
    later = window(1.0)
    later[-HORIZON:] = 3.0  # spread is 1: asinh(3 - 1)
    _, error = said(subject, HORIZON, later, Route.STEADY)
    assert error == pytest.approx(np.arcsinh(2.0) - 0.5)


def test_exactly_the_foretold_rows_are_compared() -> None:
    for row in range(HORIZON, T + 1):
        subject = foretells()
        said(subject, 0, window(), Route.STEADY)
        later = window(100.0)
        first = T - row
        later[first : first + HORIZON] = 0.0
        assert said(subject, row, later, Route.STEADY)[1] == 0.0


def test_the_newest_forecast_that_is_due_counts() -> None:
    subject = foretells()
    said(subject, 0, window(50.0), Route.STEADY)
    said(subject, 2, window(0.0), Route.STEADY)
    later = window(0.0)
    assert said(subject, 2 + HORIZON, later, Route.STEADY)[1] == 0.0


def test_a_forecast_that_has_left_the_window_counts_no_more() -> None:
    subject = foretells()
    said(subject, 0, window(), Route.STEADY)
    assert np.isnan(said(subject, T + 1, window(), Route.STEADY)[1])


def test_missing_values_are_left_out_of_the_error() -> None:
    subject = foretells()
    said(subject, 0, window(), Route.STEADY)
    later = window()
    later[-HORIZON:, 3:] = np.nan
    later[-HORIZON:, :3] = 1.0
    assert said(subject, HORIZON, later, Route.STEADY)[1] == pytest.approx(np.arcsinh(1.0))
    said(subject, 2 * HORIZON, window(np.nan), Route.STEADY)
    assert np.isnan(said(subject, 3 * HORIZON, window(np.nan), Route.STEADY)[1])


def test_without_classes_there_are_no_probabilities() -> None:
    config = replace(SMALL, classes=0)
    model = network_of(quantized(full_precision(config), windows(config=config)))
    assert said(Inferrer(CpuRuntime(model), model), 0, window(), Route.STEADY)[0] == ()


def test_clear_forgets_the_forecasts() -> None:
    subject = foretells()
    said(subject, 0, window(), Route.STEADY)
    subject.clear()
    assert np.isnan(said(subject, HORIZON, window(), Route.STEADY)[1])


def test_many_windows_together_say_what_each_alone_says() -> None:
    model = small_artifact().model
    rows = [0, 3, HORIZON, HORIZON + 1, 2 * HORIZON, 5 * HORIZON]
    paths = [Route(row % 2) for row in rows]
    values = list(windows(count=len(rows)).numpy())
    together = Inferrer(CpuRuntime(model), model).infer(rows, values, paths)
    alone = Inferrer(CpuRuntime(model), model)
    each = [said(alone, *one) for one in zip(rows, values, paths, strict=True)]
    assert repr(together) == repr(each)
    assert not np.isnan([error for _, error in together]).all()
