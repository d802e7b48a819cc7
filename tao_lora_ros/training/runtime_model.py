"""A quantised model as scores call it, run as nodes run it: many windows a launch on a GPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.runtime import Runtime
from tao_lora_ros.runtime.together import in_launches

BATCH = 512  # windows of every launch


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
        paths = np.full(len(windows), path, np.int32)
        found = in_launches(self._runtime, windows.numpy(), paths, BATCH)
        logits, forecast = map(torch.from_numpy, (found.logits, found.forecast))
        return logits if self.config.classes else None, forecast
