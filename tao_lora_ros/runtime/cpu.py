"""The model on the CPU: one thread, one compiled call."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.cpu_forward import forward
from tao_lora_ros.runtime.cpu_pack import pack
from tao_lora_ros.runtime.runtime import Array, Output, check_window
from tao_lora_ros.signal.compiled import entry

_PATHS = {path: np.array([path], np.int32) for path in Route}


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
        window, path = np.zeros((1, *self._window), np.float32), np.zeros(1, np.int32)
        self._forward = entry(forward, window, path, *self._packed, *self._blank(1))
        self.infer_batch(window, path)

    def infer(self, window: Array, path: Route) -> Output:
        """See `Runtime`."""
        logits, forecast, level = self.infer_batch(window[None], _PATHS[path])
        return Output(logits[0], forecast[0], level[0])

    def infer_batch(self, windows: Array, paths: NDArray[np.int32]) -> Output:
        """See `Runtime`; one window after the other."""
        output = self._blank(len(windows))
        check_window(windows.shape[1:], windows.dtype, self._window)
        paths = np.ascontiguousarray(paths, np.int32)
        self._forward(np.ascontiguousarray(windows), paths, *self._packed, *output)
        return output

    def _blank(self, count: int) -> Output:
        return Output(*(np.empty((count, *shape), np.float32) for shape in self._shapes))
