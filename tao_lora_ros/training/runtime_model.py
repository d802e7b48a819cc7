"""A quantised model as scores call it, run as nodes run it: many windows a launch on a GPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.runtime import Runtime

BATCH = 512  # windows of every launch: a GPU prepares one for each number of windows


class RuntimeModel:
    """Takes windows and gives logits and forecast as `Mixer` does, up to rounding.

    Args:
        model: the quantised model.
        runtime: makes what runs it.
    """

    def __init__(self, model: Network, runtime: Callable[[Network], Runtime]) -> None:
        self.config = model.config
        self._runtime = runtime(model)

    def __call__(self, windows: Tensor, path: Route) -> tuple[Tensor | None, Tensor]:
        """Logits [B, L] (None without classes) and forecast [B, H, C] of windows [B, T, C]."""
        parts = [self._run(part, path) for part in windows.split(BATCH)]
        logits, forecast = (torch.cat(of_all) for of_all in zip(*parts, strict=True))
        return logits if self.config.classes else None, forecast

    def _run(self, windows: Tensor, path: Route) -> tuple[Tensor, Tensor]:
        full = np.zeros((BATCH, *windows.shape[1:]), np.float32)
        full[: len(windows)] = windows.numpy()
        found = self._runtime.infer_batch(full, np.full(BATCH, path, np.int32))
        parts = found.logits, found.forecast
        logits, forecast = (torch.from_numpy(part[: len(windows)].copy()) for part in parts)
        return logits, forecast
