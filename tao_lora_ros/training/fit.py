"""Fit the full-precision mixer: forecast always, classes where there are labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.training.augment import augment
from tao_lora_ros.training.checkpoint import load_checkpoint, save_checkpoint
from tao_lora_ros.training.dataset import UNKNOWN, Batch, WindowSet
from tao_lora_ros.training.distributed import Workers
from tao_lora_ros.training.fit_config import FitConfig
from tao_lora_ros.training.graphed_step import GraphedStep, Number, is_read

LEARNING_RATE = 2e-3
WARM_UP = 0.15  # share of the steps
WEIGHT_DECAY = 1e-2
FORECAST_WEIGHT = 0.5
LABEL_SMOOTHING = 0.1
AVERAGING = 0.998  # of the weights, step by step; the average is the model
CHECKPOINT_STEPS = 200
VALIDATION_STEPS = 50  # between two looks at windows held out

Progress = Callable[[int, float], None]


def fit(
    data: WindowSet,
    sizes: MixerConfig,
    channels: tuple[str, ...],
    floors: tuple[float, ...],
    config: FitConfig,
    progress: Progress = lambda step, loss: None,
    checkpoint: Path | None = None,
    make: Callable[[MixerConfig], Mixer] = Mixer,
    held_out: Batch | None = None,
    validated: Progress = lambda step, loss: None,
) -> Mixer:
    """Train a mixer; every step's chance follows from seed and step, so it can be resumed.

    Args:
        data: training windows.
        sizes: of the mixer.
        channels: names of the channels.
        floors: resolution of each channel in SI units; the least spread it is scaled by.
        config: how to fit.
        progress: called with step and loss, by the first worker; on a GPU at each tenth step, for
            to read a loss is to wait for it.
        checkpoint: file to go on from where it exists, and to keep up to date.
        make: makes the model.
        held_out: windows that are not trained on.
        validated: called now and then with step and loss of these, by the first worker.

    Raises:
        CheckpointError: the checkpoint is damaged or of another training.
    """
    workers = Workers()
    torch.manual_seed(config.seed)
    model = make(sizes)
    set_scales(model, data.spaced(2000).windows, torch.tensor(floors))
    model = model.to(workers.device).train()
    spread = model.spread.clone()
    average = {name: value.detach().clone() for name, value in model.named_parameters()}
    on_gpu = workers.device.type == "cuda"
    optimizer = torch.optim.AdamW(
        model.parameters(),
        LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        fused=on_gpu,
        capturable=on_gpu,
    )
    begin = 0
    if checkpoint is not None and checkpoint.exists():
        begin = load_checkpoint(checkpoint, model, average, optimizer, config)
    parallel = workers.wrap(model)
    chance = torch.Generator(workers.device)

    def learn(
        windows: Tensor, following: Tensor, labels: Tensor, rate: Number, weight: Number
    ) -> Tensor:
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = Batch(windows, following, labels).to(workers.device)
        batch = augment(batch, channels, spread, config.augmentation, chance)
        loss = _loss(parallel, model, batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        _average(average, model, weight)
        return loss.detach()

    graphed = on_gpu and workers.count == 1
    call = GraphedStep(learn, workers.device, chance) if graphed else learn
    for step in range(begin, config.steps):
        rng = np.random.default_rng((config.seed, step, workers.rank))
        chance.manual_seed(int(rng.integers(2**62)))
        batch = data.draw(max(2, config.batch // workers.count), rng)
        keep = min(AVERAGING, (step + 1) / (step + 10))  # soon forgets the random beginning
        loss = call(*batch.tensors, learning_rate(step, config.steps), 1 - keep)
        if workers.first:
            last = step + 1 == config.steps
            if is_read(step + 1, config.steps, workers.device):
                progress(step + 1, loss.item())
            if held_out and ((step + 1) % VALIDATION_STEPS == 0 or last):
                validated(step + 1, _loss_of(model, average, held_out.to(workers.device)))
            if checkpoint is not None and ((step + 1) % CHECKPOINT_STEPS == 0 or last):
                save_checkpoint(checkpoint, model, average, optimizer, config, step + 1)
    model.load_state_dict(average, strict=False)
    return model.cpu().eval()


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine to zero."""
    done = step / steps
    if done < WARM_UP:
        return LEARNING_RATE * (step + 1) / (WARM_UP * steps)
    return LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def forecast_target(model: Mixer, batch: Batch) -> Tensor:
    """What the forecast should have been, [B, H, C]."""
    return model.standardize(batch.following, model.level(batch.windows))


def forecast_loss(forecast: Tensor, model: Mixer, batch: Batch) -> Tensor:
    """Of the rows that are known; by Huber, as what nobody could foresee must not own it all."""
    error, known = forecast - forecast_target(model, batch), ~batch.following.isnan()
    if not error.is_cuda:
        return FORECAST_WEIGHT * F.huber_loss(error[known], torch.zeros_like(error[known]))
    # How many are known is not asked: a graph cannot, and asking waits for the device.
    error = torch.where(known, error, 0)
    huber = F.huber_loss(error, torch.zeros_like(error), reduction="sum")
    return FORECAST_WEIGHT * huber / known.sum()


def set_scales(model: Mixer, windows: Tensor, floors: Tensor) -> None:
    """Levels and spreads of the training windows; the median, which impacts do not stretch.

    Rows that are taken about their usual level are scaled by how far they lie from it.
    """
    levels = torch.nanmean(windows, dim=1)
    centred = windows - levels[:, None]
    deviations = torch.sqrt(torch.nanmean(centred.square(), dim=1))
    model.level_mean.copy_(torch.nan_to_num(torch.nanmean(levels, dim=0)))
    spread_of_levels = torch.sqrt(torch.nanmean((levels - model.level_mean).square(), dim=0))
    model.level_std.copy_(torch.maximum(torch.nan_to_num(spread_of_levels), floors))
    usual = torch.nanmedian(deviations, dim=0).values
    if model.config.absolute:
        usual = torch.sqrt(torch.nanmean((windows - model.level_mean).square(), dim=(0, 1)))
    model.spread.copy_(torch.maximum(torch.nan_to_num(usual), floors))


def _loss(parallel: Callable[[Tensor, Route], Any], model: Mixer, batch: Batch) -> Tensor:
    logits, forecast = parallel(batch.windows, Route.TRANSIENT)
    loss = forecast_loss(forecast, model, batch)
    if logits is not None:
        loss = loss + F.cross_entropy(
            logits, batch.labels, ignore_index=UNKNOWN, label_smoothing=LABEL_SMOOTHING
        )
    return loss


@torch.no_grad()
def _loss_of(model: Mixer, average: dict[str, Tensor], batch: Batch) -> float:
    """The loss of windows as they are, by the weights that would be kept now."""

    def averaged(windows: Tensor, path: Route) -> Any:
        return functional_call(model, average, (windows, path))

    return _loss(averaged, model, batch).item()


@torch.no_grad()
def _average(average: dict[str, Tensor], model: Mixer, weight: Number) -> None:
    for name, value in model.named_parameters():
        average[name].lerp_(value, weight)
