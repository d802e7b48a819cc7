"""The model on the CPU: one thread, one compiled call a window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.cpu_forward import forward
from tao_lora_ros.runtime.cpu_pack import pack
from tao_lora_ros.runtime.runtime import Array, Output, check_window


class CpuRuntime:
    """A quantised model on one thread.

    Making it compiles the forward pass where no compiled one is cached yet (about half a minute).
    """

    name = "cpu"

    def __init__(self, model: Network) -> None:
        config = model.config
        self._window = config.window, config.channels
        self._packed = pack(model)
        shapes = (config.classes,), (config.horizon, config.channels), (config.channels,)
        self._shapes = shapes
        self.infer(np.zeros(self._window, np.float32), Route.STEADY)

    def infer(self, window: Array, path: Route) -> Output:
        """See `Runtime`."""
        output = self._blank()
        self._run(window, path, output)
        return output

    def infer_batch(self, windows: Array, paths: NDArray[np.int32]) -> Output:
        """See `Runtime`; one window after the other."""
        output = self._blank(len(windows))
        for window, path, *parts in zip(windows, paths, *output, strict=True):
            self._run(window, Route(path), Output(*parts))
        return output

    def _blank(self, *count: int) -> Output:
        return Output(*(np.empty((*count, *shape), np.float32) for shape in self._shapes))

    def _run(self, window: Array, path: Route, output: Output) -> None:
        check_window(window.shape, window.dtype, self._window)
        window = np.ascontiguousarray(window)
        forward(window, path is Route.TRANSIENT, *self._packed, *output)
