"""Score a model: accuracy, macro-F1, forecast error, and how far it is from full precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.training.dataset import UNKNOWN, Batch
from tao_lora_ros.training.fit import forecast_target

_CHUNK = 512  # windows at once


class WindowModel(Protocol):
    """What is scored: a `Mixer`, or a `RuntimeModel`."""

    config: MixerConfig

    def __call__(self, windows: Tensor, path: Route) -> tuple[Tensor | None, Tensor]:
        """Logits [B, L] (None without classes) and forecast [B, H, C] of windows [B, T, C]."""


@dataclass(frozen=True)
class Outputs:
    """What a model says of windows: logits [B, L] (None without classes), forecast [B, H, C]."""

    logits: Tensor | None
    forecast: Tensor

    @property
    def together(self) -> Tensor:
        """Both in one row a window, [B, L + H C]."""
        parts = [self.forecast.flatten(1)]
        return torch.cat(parts if self.logits is None else [self.logits, *parts], dim=1)


@torch.no_grad()
def outputs(model: WindowModel, windows: Tensor, path: Route) -> Outputs:
    """Run a model on raw windows, [B, T, C]."""
    parts = [model(chunk, path) for chunk in windows.split(_CHUNK)]
    forecast = torch.cat([forecast for _, forecast in parts])
    logits = [logits for logits, _ in parts if logits is not None]
    return Outputs(torch.cat(logits) if logits else None, forecast)


def evaluate(model: WindowModel, teacher: Mixer, batch: Batch, path: Route) -> dict[str, float]:
    """Scores of one path of a model on windows."""
    reference = outputs(teacher, batch.windows, Route.TRANSIENT)
    return scores(outputs(model, batch.windows, path), reference, batch, teacher)


def scores(mine: Outputs, reference: Outputs, batch: Batch, teacher: Mixer) -> dict[str, float]:
    """Scores of outputs against the truth and against full precision's.

    Returns:
        `forecast_mse` (squashed standard units), `deviation` (‖y - y*‖² / ‖y*‖² of logits and
        forecast together, y* in full precision), with classes `flips` (share of windows decided
        otherwise than in full precision) and, where there are labels, `accuracy` and `macro_f1`.
    """
    present = ~batch.following.isnan()
    error = (mine.forecast - forecast_target(teacher, batch))[present]
    found = {
        "forecast_mse": float(error.square().mean()),
        "deviation": float(
            (mine.together - reference.together).square().sum() / reference.together.square().sum()
        ),
    }
    if mine.logits is None or reference.logits is None:
        return found
    decided, exact = mine.logits.argmax(dim=1), reference.logits.argmax(dim=1)
    found["flips"] = float((decided != exact).float().mean())
    known = batch.labels != UNKNOWN
    if known.any():
        found |= classification(decided[known].numpy(), batch.labels[known].numpy())
    return found


def classification(predicted: NDArray[np.int64], actual: NDArray[np.int64]) -> dict[str, float]:
    """`accuracy`, and `macro_f1` over the labels that occur."""
    f1 = []
    for label in np.unique(actual):
        hit = np.sum((predicted == label) & (actual == label))
        f1.append(2 * hit / (np.sum(predicted == label) + np.sum(actual == label)))
    return {"accuracy": float(np.mean(predicted == actual)), "macro_f1": float(np.mean(f1))}
