"""Fit the full-precision mixer: forecast always, classes where there are labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tao_lora_ros.model.mixer import Mixer, MixerConfig
from tao_lora_ros.router.router import Path
from tao_lora_ros.training.dataset import Batch, WindowSet

BATCH = 128
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
FORECAST_WEIGHT = 0.5
DROPOUT = 0.15  # share of windows that lose one quantity, as a robot without that sensor would
UNKNOWN = -1


def fit(
    data: WindowSet,
    config: MixerConfig,
    floors: tuple[float, ...],
    steps: int,
    seed: int,
    progress: Callable[[int, float], None],
) -> Mixer:
    """Train a mixer.

    Args:
        data: training windows.
        config: sizes.
        floors: resolution of each channel in SI units; the least spread it is scaled by.
        steps: optimiser steps of `BATCH` windows.
        seed: of weights and draws.
        progress: told step and loss.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = Mixer(config)
    _set_scales(model, data.spaced(2000).windows, torch.tensor(floors))
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    model.train()
    for step in range(steps):
        batch = _drop_quantity(data.draw(BATCH, rng), rng)
        loss = _loss(model, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress(step + 1, loss.item())
    return model.eval()


def forecast_target(model: Mixer, batch: Batch) -> Tensor:
    """What the forecast should have been, [B, H, C]."""
    return model.standardize(batch.following, model.level(batch.windows))


def _loss(model: Mixer, batch: Batch) -> Tensor:
    logits, forecast = model(batch.windows, Path.TRANSIENT)
    error = (forecast - forecast_target(model, batch))[~batch.following.isnan()]
    # Huber: an impact that nobody could foresee must not own the gradient.
    loss = FORECAST_WEIGHT * F.huber_loss(error, torch.zeros_like(error))
    if logits is not None:
        loss = loss + F.cross_entropy(logits, batch.labels, ignore_index=UNKNOWN)
    return loss


def _set_scales(model: Mixer, windows: Tensor, floors: Tensor) -> None:
    """Levels and spreads of the training windows; the median, which impacts do not stretch."""
    levels = torch.nanmean(windows, dim=1)
    centred = windows - levels[:, None]
    deviations = torch.sqrt(torch.nanmean(centred.square(), dim=1))
    model.level_mean.copy_(torch.nan_to_num(torch.nanmean(levels, dim=0)))
    spread_of_levels = torch.sqrt(torch.nanmean((levels - model.level_mean).square(), dim=0))
    model.level_std.copy_(torch.maximum(torch.nan_to_num(spread_of_levels), floors))
    usual = torch.nanmedian(deviations, dim=0).values
    model.spread.copy_(torch.maximum(torch.nan_to_num(usual), floors))


def _drop_quantity(batch: Batch, rng: np.random.Generator) -> Batch:
    """Blank one three-axis quantity in some windows."""
    channels = batch.windows.shape[2]
    for i in np.flatnonzero(rng.random(len(batch.windows)) < DROPOUT):
        first = 3 * int(rng.integers(channels // 3))
        batch.windows[i, :, first : first + 3] = torch.nan
        batch.following[i, :, first : first + 3] = torch.nan
    return batch
