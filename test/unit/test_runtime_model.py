"""Scores of a model as a runtime runs it are those of the model, up to rounding."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from commands import complaint
from models import full_precision, quantized, small_artifact, windows
from recordings import motion, write_ros2

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import save_artifact
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.runtime.choice import driver_finds_gpu
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.training.dataset import Batch
from tao_lora_ros.training.evaluate import evaluate, outputs
from tao_lora_ros.training.runtime_model import BATCH, RuntimeModel


@pytest.mark.parametrize("path", list(Route))
def test_scores_are_those_of_the_model(path: Route) -> None:
    teacher = full_precision()
    student = quantized(teacher, windows())
    inputs = windows(seed=5, count=BATCH + 100)  # the last launch is not full
    inputs[3, 5:20, 2] = torch.nan
    run = RuntimeModel(network_of(student), CpuRuntime)
    mine, theirs = outputs(run, inputs, path), outputs(student, inputs, path)
    assert mine.together.shape == theirs.together.shape
    off = (mine.together - theirs.together).abs().max() / theirs.together.abs().max()
    assert 0.0 < off < 2e-3  # an activation between two codes may take the other one
    labels = torch.arange(len(inputs)) % 2
    batch = Batch(inputs, inputs[:, : student.config.horizon], labels)
    found, expected = (evaluate(model, teacher, batch, path) for model in (run, student))
    assert found == pytest.approx(expected, rel=5e-3, abs=5e-3)


@pytest.mark.skipif(driver_finds_gpu(), reason="here is a GPU")
def test_without_a_gpu_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_artifact(small_artifact(), tmp_path / "model")
    bag = write_ros2(tmp_path / "bag", motion(1.0))
    how = dict(device="cuda", cache=tmp_path / "cache")
    said = complaint(capsys, "evaluate", tmp_path / "model", bag, **how)
    assert "no NVIDIA driver finds a GPU here; take --device cpu" in said
