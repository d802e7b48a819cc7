"""A training that was interrupted goes on as if it had not been; others are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import CHANNELS, SMALL
from safetensors.torch import load_file, save_file

from tao_lora_ros.bags.rows import Run
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.report.loss_plot import plot_losses
from tao_lora_ros.training import fit as fit_module
from tao_lora_ros.training import graphed_step
from tao_lora_ros.training.checkpoint import CheckpointError
from tao_lora_ros.training.dataset import WindowSet
from tao_lora_ros.training.fit import fit, learning_rate
from tao_lora_ros.training.fit_config import FitConfig
from tao_lora_ros.training.losses import LossLog

SIZES = replace(SMALL, classes=0)
CONFIG = FitConfig(steps=6, batch=8)
FLOORS = (1e-3,) * 12


class Interrupted(Exception):
    """As Ctrl-C would."""


def train(
    config: FitConfig = CONFIG, checkpoint: Path | None = None, until: int = 99, **more: Any
) -> Mixer:
    rows = np.random.default_rng(0).normal(size=(300, 12)).astype(np.float32)
    data = WindowSet([Run("run", rows)], (), SIZES.window, SIZES.horizon)

    def progress(step: int, loss: float) -> None:
        if step > until:
            raise Interrupted

    return fit(data, SIZES, CHANNELS, FLOORS, config, progress, checkpoint, **more)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_module, "CHECKPOINT_STEPS", 2)


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        train(checkpoint=file, until=4)
    resumed, whole = train(checkpoint=file), train()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_loss_of_what_is_held_out_is_of_the_averaged_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And following it changes nothing of what is learned."""
    monkeypatch.setattr(fit_module, "VALIDATION_STEPS", 4)
    other = np.random.default_rng(9).normal(size=(80, 12)).astype(np.float32)
    batch = WindowSet([Run("other", other)], (), SIZES.window, SIZES.horizon).spaced(40)
    found: dict[int, float] = {}
    model = train(held_out=batch, validated=found.__setitem__)
    assert [*found] == [4, 6]
    assert found[6] == pytest.approx(fit_module._loss(model, model, batch).item(), rel=1e-5)
    for name, value in train().state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_the_same_training_writes_the_same_checkpoint(tmp_path: Path) -> None:
    files = [tmp_path / f"{turn}.safetensors" for turn in range(6)]
    for file in files:  # several: an order of chance may be the same by chance
        train(checkpoint=file)
    assert len({file.read_bytes() for file in files}) == 1


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    whole = train(checkpoint=tmp_path / "checkpoint.safetensors")
    again = train(checkpoint=tmp_path / "checkpoint.safetensors", until=0)
    assert torch.equal(whole.embed.weight, again.embed.weight)


@pytest.mark.parametrize("change", [dict(seed=1), dict(steps=7), dict(batch=4)])
def test_the_checkpoint_of_another_training_is_refused(tmp_path: Path, change: dict) -> None:
    train(checkpoint=tmp_path / "checkpoint.safetensors")
    with pytest.raises(CheckpointError, match="of another training"):
        train(replace(CONFIG, **change), tmp_path / "checkpoint.safetensors")


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    train(checkpoint=file)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="remove it to begin anew"):
        train(checkpoint=file)


def test_a_checkpoint_without_its_metadata_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    train(checkpoint=file)
    save_file(load_file(file), file)
    with pytest.raises(CheckpointError, match="of another training"):
        train(checkpoint=file)


def test_rows_as_they_lie_are_scaled_by_how_far_they_lie() -> None:
    """Not by how far they spread within a window, which rest makes tiny."""
    still = torch.linspace(-3, 3, 50)[:, None, None].expand(-1, 8, 2)
    for absolute in (False, True):
        model = Mixer(replace(SMALL, channels=2, window=8, absolute=absolute))
        fit_module.set_scales(model, still, torch.full((2,), 0.01))
        spread = still.std(dim=(0, 1), correction=0) if absolute else torch.full((2,), 0.01)
        torch.testing.assert_close(model.spread, spread)


def test_the_rate_rises_and_falls() -> None:
    rates = [learning_rate(step, 100) for step in range(100)]
    peak = int(np.argmax(rates))
    assert 10 < peak < 20
    assert rates[0] < 0.1 * rates[peak]
    assert rates[-1] < 0.01 * rates[peak]
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_the_log_holds_each_tenth_step_once_and_plots(tmp_path: Path) -> None:
    for begin in (1, 21):  # as if it had been interrupted at 40 and resumed after 20
        log = LossLog(tmp_path / "deep" / "losses.csv")
        for step in range(begin, 41):
            log.add(step, float(begin + step))
    assert log.read() == {10: 11.0, 20: 21.0, 30: 51.0, 40: 61.0}
    plot_losses(log.read(), [{}, {20: 3.0, 40: float("nan")}], tmp_path / "losses.html")
    page = (tmp_path / "losses.html").read_text()
    assert '"y":[11.0,21.0,51.0,61.0]' in page
    assert '"x":[20],"y":[3.0]' in page
    assert LossLog(tmp_path / "none.csv").read() == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_steps_in_a_graph_learn_what_they_learn_one_kernel_at_a_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With new weights, and resumed in the midst of a training."""
    config, graphed = FitConfig(steps=40, batch=64), tmp_path / "graphed.safetensors"
    with pytest.raises(Interrupted):
        train(config, graphed, until=20)
    found = {"graphed": train(config), "resumed": train(config, graphed)}
    monkeypatch.setattr(graphed_step, "WARM_UP", config.steps)
    alone = train(config).state_dict()
    for name, model in found.items():
        for key, value in model.state_dict().items():
            torch.testing.assert_close(value, alone[key], msg=f"{name} {key}")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_loss_of_windows_with_holes_is_the_same_on_a_gpu() -> None:
    rows = np.random.default_rng(3).normal(size=(400, 12)).astype(np.float32)
    rows[100:110, :3] = np.nan
    batch = WindowSet([Run("holes", rows)], (), SIZES.window, SIZES.horizon).spaced(200)
    model = train()
    found = fit_module._loss(model, model, batch).item()
    model, batch = model.cuda(), batch.to(torch.device("cuda"))
    assert fit_module._loss(model, model, batch).item() == pytest.approx(found, rel=1e-4)
