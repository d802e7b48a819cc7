"""Run the model on windows, and hold its forecasts until what they foretold has come."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.engine.scores import forecast_error, softmax
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.runtime import Array, Output, Runtime


class Inferrer:
    """Class probabilities and forecast errors of windows, one at a time.

    Args:
        runtime: what runs the model.
        model: the model, for its horizon and its units.
    """

    def __init__(self, runtime: Runtime, model: Network) -> None:
        self._runtime = runtime
        self._horizon = model.config.horizon
        self._shape = model.config.window, model.config.channels
        self._spread: Array = model.tensors["spread"]
        self._forecasts: deque[tuple[int, Output]] = deque()

    def warm(self) -> None:
        """Have the model's first calls behind us: they allocate and are slow."""
        for row in range(0, 8 * self._horizon, self._horizon):
            for path in Route:
                self.infer(row, np.zeros(self._shape), path)
        self.clear()

    def clear(self) -> None:
        """Forget the forecasts under way."""
        self._forecasts.clear()

    def infer(
        self, row: int, window: NDArray[np.float64], path: Route
    ) -> tuple[tuple[float, ...], float]:
        """Infer on the window, float64 [T, C], that ends at row number `row`.

        Returns:
            The class probabilities, and the RMS error of the newest forecast that is due (NaN
            where there is none).
        """
        values = window.astype(np.float32)
        error = self._error(row, values)
        output = self._runtime.infer(values, path)
        self._forecasts.append((row, output))
        return tuple(softmax(output.logits).tolist()), error

    def _error(self, row: int, window: Array) -> float:
        due = None
        while self._forecasts and self._forecasts[0][0] + self._horizon <= row:
            due = self._forecasts.popleft()
        if due is None:
            return float("nan")
        made_at, output = due
        first = len(window) - (row - made_at)
        if first < 0:
            return float("nan")
        actual = window[first : first + self._horizon]
        return forecast_error(actual, output.level, self._spread, output.forecast)


class NoInferrer:
    """In the place of an `Inferrer` where an artifact is for detection only."""

    def warm(self) -> None:
        """Nothing is slow here."""

    def clear(self) -> None:
        """Nothing is under way."""

    def infer(
        self, row: int, window: NDArray[np.float64], path: Route
    ) -> tuple[tuple[float, ...], float]:
        """No probabilities, and no forecast that could be wrong."""
        return (), float("nan")
