"""Run the model on windows, and hold its forecasts until what they foretold has come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from tao_lora_ros.engine.scores import forecast_error, softmax
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.runtime import Array, Output, Runtime

# Class probabilities, and the RMS error of the newest forecast that is due (NaN: there is none).
Said = tuple[tuple[float, ...], float]


class Inferrer:
    """Class probabilities and forecast errors of windows.

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
        window = np.zeros(self._shape, np.float32)
        for row in range(0, 8 * self._horizon, self._horizon):
            for path in Route:
                self.infer([row], [window], [path])
        self.clear()

    def clear(self) -> None:
        """Forget the forecasts under way."""
        self._forecasts.clear()

    def infer(
        self, rows: Sequence[int], windows: Sequence[Array], paths: Sequence[Route]
    ) -> list[Said]:
        """Infer on windows, float32 [T, C] each, that end at rows of these numbers, oldest first.

        Results are those of each alone, as far as the runtime's are (see `Runtime.infer_batch`).
        """
        said = []
        for row, window, output in zip(rows, windows, self._outputs(windows, paths), strict=True):
            error = self._error(row, window)
            self._forecasts.append((row, output))
            said.append((tuple(softmax(output.logits).tolist()), error))
        return said

    def _outputs(self, windows: Sequence[Array], paths: Sequence[Route]) -> Iterator[Output]:
        if len(windows) == 1:
            yield self._runtime.infer(windows[0], paths[0])
            return
        batch = self._runtime.infer_batch(np.array(windows), np.array(paths, np.int32))
        yield from map(Output, *batch)

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
        self, rows: Sequence[int], windows: Sequence[Array], paths: Sequence[Route]
    ) -> list[Said]:
        """No probabilities, and no forecasts that could be wrong."""
        return [((), float("nan")) for _ in rows]
