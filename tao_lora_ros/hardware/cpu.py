"""The model on the CPU."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tao_lora_ros.hardware.runtime import Array, Output
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.router.router import Path


class CpuRuntime:
    """A quantised model on one thread."""

    name = "cpu"

    def __init__(self, model: Mixer) -> None:
        self._model = model

    @torch.inference_mode()
    def infer(self, window: Array, path: Path) -> Output:
        """See `Runtime`."""
        windows = torch.from_numpy(window)[None]
        logits, forecast = self._model(windows, path)
        level = self._model.level(windows)[0, 0].numpy()
        none = np.empty(0, np.float32)
        return Output(none if logits is None else logits[0].numpy(), forecast[0].numpy(), level)

    def infer_batch(self, windows: Array, paths: NDArray[np.int32]) -> list[Output]:
        """See `Runtime`."""
        return [self.infer(w, Path(p)) for w, p in zip(windows, paths, strict=True)]
