"""The fused kernel against the plain model: in Triton's interpreter, and on a GPU where one is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from models import full_precision, quantized, windows
from torch import Tensor

from tao_lora_ros.kernels.arrival import LEAD, record_size
from tao_lora_ros.kernels.fused_launch import constants, launch, workspace
from tao_lora_ros.kernels.layered_mixer import (
    channel_weights,
    launch_layered,
    layered_workspace,
)
from tao_lora_ros.kernels.mixer_buffers import mixer_buffers
from tao_lora_ros.kernels.mixer_tensors import sizes_of
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.runtime.gpu_tensors import mixer_tensors

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CONFIG = MixerConfig(
    channels=5, classes=3, window=32, patch=2, width=32, blocks=2, horizon=2, rank=4
)
NUMBER = 23  # of the launch
# Steady: sums are exact, what differs is a code whose value lies in the middle between two.
# Transient: the branch's inner product is rounded to FP16.
TOLERANCE = {Route.STEADY: 2e-3, Route.TRANSIENT: 2e-3}


def model_of(seed: int = 0, **change: object) -> Mixer:
    config = replace(CONFIG, **change)  # type: ignore[arg-type]
    return quantized(full_precision(config, seed), windows(config=config))


def records(inputs: Tensor, paths: list[Route]) -> Tensor:
    """Windows with their orders."""
    values = inputs[0].numel()
    made = torch.full((len(inputs), record_size(values)), torch.nan)
    made[:, LEAD.value : LEAD.value + values] = inputs.flatten(1)
    made.view(torch.int64)[:, 0] = torch.tensor([path | (NUMBER << 32) for path in paths])
    return made


def fused(
    model: Mixer, inputs: Tensor, paths: list[Route], splits: int = 1, rows: int = 0
) -> np.ndarray:
    """Logits, forecast and level of each window, out of a poisoned buffer; `rows`: by layers."""
    tensors = mixer_tensors(network_of(model))
    sizes = sizes_of(tensors, splits)
    shape = len(inputs), sizes.padded_results + sizes.padded_channels
    outputs = torch.full(shape, -1, dtype=torch.int64, device=DEVICE)
    given = records(inputs, paths).to(DEVICE), outputs, mixer_buffers(tensors, sizes, DEVICE)
    if rows:
        shared = layered_workspace(sizes, len(inputs), DEVICE)
        launch_layered(*given, channel_weights(tensors, sizes, DEVICE), shared, sizes, 4, rows)
    else:
        launch(*given, workspace(sizes, len(inputs), DEVICE), sizes, warps=4)
    assert (outputs >> 32 == NUMBER).all()
    values = outputs.to(torch.int32).view(torch.float32)
    level = sizes.padded_results
    kept = (values[:, : sizes.results], values[:, level : level + sizes.channels])
    return torch.cat(kept, dim=1).cpu().numpy()


@torch.inference_mode()
def plain(model: Mixer, inputs: Tensor, path: Route) -> np.ndarray:
    logits, forecast = model(inputs, path)
    parts = [] if logits is None else [logits]
    return torch.cat([*parts, forecast.flatten(1), model.level(inputs)[:, 0]], dim=1).numpy()


def deviations(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Of every window from the reference, ‖found - expected‖ / ‖expected‖."""
    return np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)


@pytest.mark.parametrize("path", list(Route))
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"rank": 0},
        {"rank": 16},
        {"rank": 32},
        {"classes": 0, "blocks": 1},
        {"channels": 12, "horizon": 1, "blocks": 1},
        {"channels": 3, "patch": 2, "blocks": 1},
        {"expansion": 4, "blocks": 1},  # token mixing in two parts
        {"width": 64, "blocks": 1},
        {"width": 64, "expansion": 4},  # hidden units in steps
        {"segment": 16, "blocks": 1},
    ],
    ids=str,
)
def test_every_shape_agrees_with_the_plain_model(change: dict, path: Route) -> None:
    model = model_of(seed=1, **change)
    inputs = windows(seed=3, count=1, config=model.config)
    found = fused(model, inputs, [path])
    assert deviations(found, plain(model, inputs, path)).max() < TOLERANCE[path]


def test_an_impact_gaps_and_silent_channels() -> None:
    model = model_of()
    inputs = windows(seed=5, count=3, config=CONFIG)
    inputs[0, 20:] *= 100
    inputs[1, 3:9, 2] = torch.nan
    inputs[1, :, 4] = torch.nan
    inputs[2] = torch.nan
    for path in Route:
        found = fused(model, inputs, [path] * 3)
        assert deviations(found, plain(model, inputs, path)).max() < TOLERANCE[path]


def test_windows_of_one_launch_go_their_own_paths() -> None:
    model = model_of()
    inputs = windows(seed=6, count=2, config=CONFIG)
    mixed = fused(model, inputs, [Route.TRANSIENT, Route.STEADY])
    assert deviations(mixed[:1], plain(model, inputs[:1], Route.TRANSIENT)).max() < 2e-3
    assert deviations(mixed[1:], plain(model, inputs[1:], Route.STEADY)).max() < 2e-3
    assert np.array_equal(mixed[1:], fused(model, inputs[1:], [Route.STEADY]))


@pytest.mark.parametrize("change", [{"rank": 0, "blocks": 1}, {"segment": 16}], ids=str)
def test_layer_by_layer_windows_agree_with_the_plain_model(change: dict) -> None:
    """More tokens than a program has; a window's last bits tell nothing of those beside it."""
    model = model_of(seed=1, **change)
    inputs = windows(seed=3, count=5, config=model.config)
    paths = [Route.TRANSIENT, Route.STEADY, Route.STEADY, Route.TRANSIENT, Route.STEADY]
    mixed = fused(model, inputs, paths, rows=64)
    for path in Route:
        mine = [number for number, other in enumerate(paths) if other is path]
        assert deviations(mixed[mine], plain(model, inputs[mine], path)).max() < TOLERANCE[path]
        assert np.array_equal(mixed[mine], fused(model, inputs[mine], [path] * len(mine), rows=64))


def test_warps_without_rows_of_their_own_are_refused() -> None:
    model = model_of()
    with pytest.raises(ValueError, match="4 warps need 64 rows at least, not 32"):
        fused(model, windows(config=CONFIG)[:1], [Route.STEADY], rows=32)


@pytest.mark.parametrize(
    ("change", "splits", "reason"),
    [
        ({"width": 48}, 1, "width is 48, expected a power of two"),
        ({"patch": 4}, 1, "tokens is 8, expected at least 16"),
        ({}, 8, "splits is 8, expected at most 4 for 64 hidden units"),
        (
            {"width": 256, "expansion": 4, "window": 32, "patch": 2},
            64,
            "splits is 64, expected at most 32 for 1024 hidden units and windows of 32",
        ),
        ({}, 3, "splits is 3, expected a power of two"),
        ({"expansion": 8}, 1, "token_hidden is 128, expected at most 64"),
        ({"segment": 8}, 1, "segment is 8, expected 16 to 16"),
    ],
)
def test_a_size_that_does_not_fit_is_named(change: dict, splits: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        sizes_of(mixer_tensors(network_of(model_of(**change))), splits)


def test_wrong_tensors_are_named() -> None:
    tensors = mixer_tensors(network_of(model_of()))
    sizes = sizes_of(tensors, 1)
    buffers, shared = mixer_buffers(tensors, sizes, "cpu"), workspace(sizes, 1, "cpu")
    outputs = torch.zeros(1, sizes.padded_results + sizes.padded_channels, dtype=torch.int64)
    good = torch.zeros(1, record_size(32 * 5))
    for arguments, reason in (
        ((torch.zeros(1, 160), outputs), r"records is torch.float32 \(1, 160\)"),
        ((good.double(), outputs), r"records is torch.float64 .* torch.float32"),
        ((good, outputs[:, 1:]), "outputs is .*expected contiguous"),
        ((good, outputs.int()), "outputs is torch.int32 .* torch.int64"),
    ):
        with pytest.raises(ValueError, match=reason):
            launch(*arguments, buffers, shared, sizes, warps=4)


def test_a_full_precision_model_is_refused() -> None:
    with pytest.raises(TypeError, match="takes a quantised one"):
        network_of(full_precision(CONFIG))


def test_programs_meet_once_or_twice_a_block() -> None:
    tensors = mixer_tensors(network_of(model_of(width=128)))
    rounds = {splits: constants(sizes_of(tensors, splits), 8)["ROUNDS"] for splits in (1, 2, 4, 8)}
    assert rounds == {1: 0, 2: 1, 4: 1, 8: 2}


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="no CUDA device: programs cannot meet")
@pytest.mark.parametrize("splits", [1, 2, 4, 8])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_programs_that_share_a_window_agree_with_the_plain_model(splits: int, count: int) -> None:
    model = model_of(width=128, window=128, patch=8, channels=12, rank=8)
    inputs = windows(seed=8, count=count, config=model.config)
    for path in Route:
        found = fused(model, inputs, [path] * count, splits)
        assert deviations(found, plain(model, inputs, path)).max() < TOLERANCE[path]
        assert np.array_equal(found, fused(model, inputs, [path] * count, splits))
