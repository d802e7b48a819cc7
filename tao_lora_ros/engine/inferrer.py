"""Run the model on windows, and hold its forecasts until what they foretold has come."""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.router.router import Path


class Inferrer:
    """Class probabilities and forecast errors of windows, one at a time."""

    def __init__(self, model: Mixer) -> None:
        self._model = model
        self._horizon = model.config.horizon
        self._forecasts: deque[tuple[int, Tensor, Tensor]] = deque()

    def clear(self) -> None:
        """Forget the forecasts under way."""
        self._forecasts.clear()

    @torch.inference_mode()
    def infer(
        self, row: int, window: NDArray[np.float64], path: Path
    ) -> tuple[tuple[float, ...], float]:
        """Infer on the window, float64 [T, C], that ends at row number `row`.

        Returns:
            The class probabilities, and the RMS error of the newest forecast that is due (NaN
            where there is none).
        """
        windows = torch.from_numpy(window.astype(np.float32))[None]
        error = self._error(row, windows)
        logits, forecast = self._model(windows, path)
        self._forecasts.append((row, self._model.level(windows), forecast))
        if logits is None:
            return (), error
        return tuple(torch.softmax(logits[0], dim=0).tolist()), error

    def _error(self, row: int, windows: Tensor) -> float:
        due = None
        while self._forecasts and self._forecasts[0][0] + self._horizon <= row:
            due = self._forecasts.popleft()
        if due is None:
            return float("nan")
        made_at, level, forecast = due
        first = windows.shape[1] - (row - made_at)
        if first < 0:
            return float("nan")
        actual = windows[:, first : first + self._horizon]
        error = (self._model.standardize(actual, level) - forecast)[~actual.isnan()]
        return float(error.square().mean().sqrt())  # NaN where no value is left
