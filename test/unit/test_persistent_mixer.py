"""The kernel that stays, compiled for this processor with its warps emulated; how a model is laid
out for it. On a GPU it is in test_gpu_runtime.py."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from models import SMALL, full_precision, quantized, windows
from torch import Tensor

from tao_lora_ros.kernels.arrival import LEAD, record_size
from tao_lora_ros.kernels.fragments import Team, fragments, team_for
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.runtime.gpu_tensors import Parts, mixer_tensors
from tao_lora_ros.runtime.runtime import Output

TESTS = Path(__file__).resolve().parents[1]
NUMBER = 23  # of the order
HOPPER, LEAST = 227 << 10, 0  # bytes of shared memory
KERNEL = TESTS.parent / "kernels" / "persistent_mixer.cu"


def compiler() -> int:
    """Version of g++; 0: there is none."""
    if not shutil.which("g++"):
        return 0
    return int(subprocess.check_output(["g++", "-dumpversion"], text=True).split(".")[0])


def model_of(**change: object) -> Mixer:
    sizes = {"window": 128, "width": 128, "rank": 8, "blocks": 1} | change
    config = replace(SMALL, **sizes)  # type: ignore[arg-type]
    return quantized(full_precision(config, 1), windows(config=config))


def records(inputs: Tensor, path: Route) -> Tensor:
    """Windows behind their orders, as the host hands them over."""
    values = inputs[0].numel()
    made = torch.zeros(len(inputs), record_size(values))
    made[:, LEAD.value : LEAD.value + values] = inputs.flatten(1)
    made.view(torch.int64)[:, 0] = path | NUMBER << 32
    return made


@torch.inference_mode()
def error(output: Output, model: Mixer, inputs: Tensor, path: Route) -> float:
    """The largest ‖found - expected‖ / ‖expected‖ of logits, forecast and level."""
    logits, forecast = model(inputs, path)
    expected = zip(output, (logits, forecast, model.level(inputs)[:, 0]), strict=True)
    return max(
        float(np.linalg.norm(found - part.numpy()) / part.norm())
        for found, part in expected
        if part is not None
    )


@pytest.mark.skipif(compiler() < 12, reason="no g++ that knows _Float16")
@pytest.mark.parametrize(
    ("team", "most_shared", "change"),
    [
        (Team(2, 4), HOPPER, {"segment": 32, "blocks": 2}),
        (Team(4, 2), HOPPER, {"classes": 0, "rank": 0}),
        (
            Team(1, 8),
            LEAST,  # the weights of the channel mixing stay outside
            {"window": 32, "patch": 2, "segment": 16, "width": 64, "channels": 5, "rank": 12},
        ),
    ],
    ids=str,
)
def test_the_kernel_agrees_with_the_plain_model(
    team: Team, most_shared: int, change: dict, tmp_path: Path
) -> None:
    model = model_of(**change)
    laid_out = fragments(mixer_tensors(network_of(model)), most_shared, team)
    inside = laid_out.constants["RESIDENT"] - laid_out.constants["AT_CHANNELS"]
    assert (inside > 0) == (most_shared == HOPPER)
    source = tmp_path / "kernel.cpp"
    of = laid_out.constants
    early = "WARPS", "CLUSTER"  # what the first header needs
    names = "".join(f"constexpr int {name} = {of[name]};\n" for name in of if name not in early)
    headers = [f'\n#include "emulated_{name}.h"\n' for name in ("warps", "block")]
    source.write_text(headers[0] + names + KERNEL.read_text() + headers[1])
    program = [
        "g++",
        *(f"-D{name}={of[name]}" for name in early),
        "-O1",
        "-std=c++20",
        "-pthread",
        f"-I{TESTS}",
        source,
        "-o",
        tmp_path / "run",
    ]
    subprocess.run(program, check=True, capture_output=True, text=True)

    inputs = windows(seed=3, count=2, config=model.config)
    inputs[1, 3:9, 2] = inputs[1, :, 1] = torch.nan
    inputs[1, 20:] *= 30
    laid_out.image.numpy().tofile(tmp_path / "image")
    paths = list(Route)
    asked = torch.cat([records(inputs, path) for path in paths])
    asked.numpy().tofile(tmp_path / "records")
    files = [tmp_path / name for name in ("image", "records", "out")]
    subprocess.run([tmp_path / "run", *files[:2], str(len(asked)), files[2]], check=True)
    words = np.fromfile(tmp_path / "out", np.int64).reshape(len(asked), -1)
    assert (words >> 32 == NUMBER).all()
    values = words.astype(np.int32).view(np.float32)
    for path, found in zip(paths, np.split(values, len(paths)), strict=True):
        assert error(Parts(laid_out.sizes)(found), model, inputs, path) < 2e-3


def test_a_model_that_cannot_be_laid_out_is_refused_by_name() -> None:
    for change, reason in (
        ({"patch": 4}, "takes tokens from 16 to 16, not 32"),
        ({"width": 32}, "takes width from 64 to 256, not 32"),
        ({"width": 256, "expansion": 4}, "takes hidden from 128 to 512, not 1024"),
    ):
        with pytest.raises(ValueError, match=reason):
            fragments(mixer_tensors(network_of(model_of(**change))), HOPPER, Team(1, 8))


def test_models_fit_with_their_weights_inside_where_there_is_room() -> None:
    base = model_of(segment=32, blocks=4, classes=16, horizon=8)
    large = model_of(segment=32, blocks=6, classes=16, horizon=8, width=256, expansion=4)
    for model, clusters, most, inside in (
        (base, True, HOPPER, 4),
        (base, False, HOPPER, 4),
        (base, False, 99 << 10, 0),  # as the smaller GPUs have
        (large, True, HOPPER, 3),
    ):
        tensors = mixer_tensors(network_of(model))
        team = team_for(tensors, clusters)
        of = fragments(tensors, most, team).constants
        assert of["SHARED"] <= most
        assert of["RESIDENT"] == of["AT_CHANNELS"] + inside * of["D"] * of["E"] // team.blocks
