"""The mixer on a GPU: one launch a call, replayed from a CUDA graph, on memory of the host."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from triton.errors import TritonError

from tao_lora_ros.kernels.arrival import LEAD, record_size
from tao_lora_ros.kernels.fused_launch import launch, workspace
from tao_lora_ros.kernels.mixer_buffers import mixer_buffers
from tao_lora_ros.kernels.mixer_tensors import MixerTensors, sizes_of
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.runtime.gpu_tensors import mixer_tensors
from tao_lora_ros.runtime.launch_tuning import tuning
from tao_lora_ros.runtime.pinned_mailbox import NOTHING_CAME, Replay, call, hand_over
from tao_lora_ros.runtime.runtime import Array, Output, check_window

_DEVICE = "cuda"
_LAST = 2**31 - 1  # number of a call
_LAUNCH = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_LAUNCH_FAILURE = 719  # cudaErrorLaunchFailure
# From so many windows on they are launched first and copied while the kernel starts. A processor
# that may show a device its stores in another order than that of the program does not do that.
_EARLY = 32 if platform.machine() in ("x86_64", "AMD64") else _LAST


class GpuRuntime:
    """Runs a quantised model on the first CUDA device.

    Windows and results lie in pinned memory of the host that the kernel reads and writes in
    place: a copy each way would take longer than what is copied. One call at a time.

    Args:
        model: the quantised model.

    Raises:
        RuntimeError: there is no device, or it failed.
        ValueError: the model has a size that the kernel cannot take.
    """

    name = _DEVICE

    def __init__(self, model: Mixer) -> None:
        self._model = mixer_tensors(model)
        self._plans: dict[int, _Plan] = {}
        self._shape = model.config.window, model.config.channels
        blank = np.zeros(self._shape, np.float32)
        for path in Route:
            self.infer(blank, path)

    def infer(self, window: Array, path: Route) -> Output:
        """Infer on one window, raw SI values, float32 [T, C], NaN where there is none."""
        check_window(window.shape, window.dtype, self._shape)
        return self._parts(self._plan(1).run(window, path))

    def infer_batch(self, windows: Array, paths: NDArray[np.int32] | Route) -> Output:
        """Infer on windows [B, T, C], each on its own path [B], in one launch.

        Each part of the output has the windows first.
        """
        count = len(windows)
        check_window(windows.shape[1:], windows.dtype, self._shape)
        return self._parts(self._plan(count).run(windows, paths).reshape(count, -1))

    def _plan(self, count: int) -> _Plan:
        if count not in self._plans:
            self._plans[count] = _Plan(self._model, count)
        return self._plans[count]

    def _parts(self, results: Array) -> Output:
        sizes = self._plans[1].sizes
        forecast = results[..., sizes.labels : sizes.results]
        return Output(
            results[..., : sizes.labels],
            forecast.reshape(*results.shape[:-1], -1, sizes.channels),
            results[..., sizes.padded_results : sizes.padded_results + sizes.channels],
        )


class _Plan:
    """A captured launch for a number of windows, and the memory it reads and writes."""

    def __init__(self, model: MixerTensors, count: int) -> None:
        device = torch.cuda.get_device_properties(_DEVICE)
        width, hidden = len(model.norm.gain), len(model.blocks[0].channel_up.bias)
        chosen = tuning(device.name, device.multi_processor_count, width, hidden, count)
        splits = min(chosen.splits, model.window)
        self.sizes = sizes_of(model, splits)
        self._early = count >= _EARLY
        buffers = mixer_buffers(model, self.sizes, _DEVICE)
        shared = workspace(self.sizes, count, _DEVICE)
        size = record_size(self.sizes.window * self.sizes.channels)
        records = torch.zeros(count, size).pin_memory()
        shape = count, self.sizes.padded_results + self.sizes.padded_channels
        outputs = torch.zeros(shape, dtype=torch.int64).pin_memory()
        self._records = records.view(torch.int64).flatten().numpy()
        self._outputs = outputs.flatten().numpy()
        self._paths = [np.full(count, path, np.int32) for path in Route]
        self._number = 1
        # Programs that share a window have to be there all at once, one on each multiprocessor.
        together = device.multi_processor_count // splits if splits > 1 else count
        parts = [slice(first, first + together) for first in range(0, count, together)]

        def launch_all() -> None:
            for part in parts:
                launch(
                    records[part],
                    outputs[part],
                    buffers,
                    shared.part(part),
                    self.sizes,
                    chosen.warps,
                    self._early,
                )

        blank = np.zeros(count * self.sizes.window * self.sizes.channels, np.float32)
        hand_over(blank, self._paths[0], self._number, self._records, LEAD.value)
        try:
            launch_all()  # compiles
        except TritonError as error:
            raise RuntimeError(f"the kernel does not compile here: {error}") from error
        self._stream = torch.cuda.current_stream()
        self._stream.synchronize()
        self._launch = Launch(_captured(launch_all), self._stream.cuda_stream)
        self._kept = records, outputs, buffers, shared  # the graph knows addresses alone

    def run(self, windows: Array, paths: NDArray[np.int32] | Route) -> Array:
        """Infer on windows [B, T, C]; B · (padded results + padded channels) values."""
        self._number = self._number % _LAST + 1
        if isinstance(paths, Route):
            paths = self._paths[paths]
        results = np.empty(len(self._outputs), np.float32)
        error = call(
            windows.ravel(),
            paths,
            self._number,
            self._records,
            LEAD.value,
            self._launch.replay,
            self._early,
            self._outputs,
            results,
        )
        if error:
            self._stream.synchronize()  # raises what the GPU failed with
            ended = "ended without a result" if error == NOTHING_CAME else f"refused, code {error}"
            raise RuntimeError(f"the GPU {ended}")
        return results


def _captured(work: Callable[[], None]) -> torch.cuda.CUDAGraph:
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


class Launch:
    """How compiled code replays a graph on a stream; lives as long as that is done.

    By CUDA's own function; where torch does not give its graphs out (before
    `CUDAGraph.raw_cuda_graph_exec`) or its runtime is built in, by torch's, which takes longer.
    """

    def __init__(self, graph: torch.cuda.CUDAGraph, stream: int) -> None:
        self._graph = graph
        self._function: Any  # kept, as its address alone is passed on
        try:
            library = ctypes.CDLL(f"libcudart.so.{str(torch.version.cuda).split('.')[0]}")
            handle, self._function = graph.raw_cuda_graph_exec(), library.cudaGraphLaunch
        except (AttributeError, OSError):
            handle, self._function = 0, _LAUNCH(self._replayed)
        address = ctypes.cast(self._function, ctypes.c_void_p).value or 0
        self.replay: Replay = (address, handle, stream)

    def _replayed(self, graph: int, stream: int) -> int:
        try:
            self._graph.replay()
        except RuntimeError:
            return _LAUNCH_FAILURE
        return 0
