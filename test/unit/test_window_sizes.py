"""Windows of any size: what follows from them, and that all runtimes compute the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from models import full_precision, quantized, windows

from tao_lora_ros.bags.rows import Run, Span
from tao_lora_ros.kernels.mixer_tensors import sizes_of
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.runtime.gpu_tensors import mixer_tensors
from tao_lora_ros.training.training_config import SIZES, TrainingConfig
from tao_lora_ros.training.window_sizes import LEAST, MOST, STEP, fitting, nearest, with_window


def test_every_window_that_is_offered_makes_a_model() -> None:
    for window in range(LEAST, MOST + 1, STEP):
        sizes = with_window(SIZES["base"], window, horizon=4)  # raises what does not fit
        assert sizes.window == window
        assert sizes.segment == 0 if window < 32 else 16 <= sizes.segment <= window // 2
        assert sizes.absolute == (window < 32)
        assert sizes.tokens >= min(window, 16)


@pytest.mark.parametrize("size", SIZES)
def test_the_usual_window_makes_the_usual_model(size: str) -> None:
    assert TrainingConfig("m", size).sizes([], 1, 0) == SIZES[size]


@pytest.mark.parametrize("window", [8, 12, 44, 100, 256])
def test_the_compiled_pass_agrees_with_torch(window: int) -> None:
    small = replace(SIZES["base"], channels=12, classes=3, width=32, blocks=1)
    config = with_window(small, window, horizon=3)
    model = quantized(full_precision(config), windows(config=config))
    inputs = windows(seed=4, count=4, config=config)
    inputs[1] *= 30.0
    inputs[2, 1:3, 2] = torch.nan
    runtime = CpuRuntime(network_of(model))
    for path in Route:
        found = runtime.infer_batch(inputs.numpy(), np.full(len(inputs), path, np.int32))
        with torch.inference_mode():
            logits, forecast = model(inputs, path)
        np.testing.assert_allclose(found.logits, logits, atol=5e-3)
        np.testing.assert_allclose(found.forecast, forecast, atol=5e-3)


@pytest.mark.parametrize("window", [32, 64, 128, 256])
def test_windows_of_powers_of_two_fit_the_kernel(window: int) -> None:
    small = replace(SIZES["base"], channels=12, classes=3, blocks=1)
    config = with_window(small, window, horizon=4)
    model = quantized(full_precision(config), windows(count=8, config=config))
    assert sizes_of(mixer_tensors(network_of(model)), splits=1).window == window  # or it raises


def test_rows_as_they_lie_are_for_the_cpu() -> None:
    config = with_window(replace(SIZES["base"], channels=12, blocks=1), 16, horizon=4)
    model = quantized(full_precision(config), windows(count=8, config=config))
    with pytest.raises(ValueError, match="CPU alone"):
        mixer_tensors(network_of(model))


def test_what_lies_next_to_a_window_that_does_not_fit() -> None:
    assert nearest(15) == (12, 16)
    assert nearest(3) == (8,)
    assert nearest(5000) == (1024,)


def run(rows: int, label: str = "") -> Run:
    spans = (Span(0, rows, label),) if label else ()
    return Run(f"{label}{rows}", np.zeros((rows, 1), np.float32), spans)


def test_the_window_suits_the_usual_recording_of_every_label() -> None:
    assert fitting([run(10_000)], 8) == (128, 8)
    assert fitting([run(15, "slip")] * 3 + [run(9000, "stable")], 8) == (8, 1)
    assert fitting([run(100, "a"), run(120, "b"), run(20, "b"), run(130, "b")], 8) == (44, 8)
