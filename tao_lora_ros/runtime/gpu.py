"""The mixer on a GPU: one launch a call, replayed from a CUDA graph, on memory of the host."""

from __future__ import annotations

import functools
import logging
import os
import platform
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from triton.errors import TritonError

from tao_lora_ros.kernels.arrival import LEAD, record_size
from tao_lora_ros.kernels.fused_launch import Workspace, launch, workspace
from tao_lora_ros.kernels.layered_mixer import (
    LayeredWorkspace,
    channel_weights,
    launch_layered,
    layered_workspace,
)
from tao_lora_ros.kernels.mixer_buffers import Buffers, mixer_buffers
from tao_lora_ros.kernels.mixer_tensors import MixerTensors, Sizes, sizes_of
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.cuda_graph import CudaGraph, shared_stream, wait
from tao_lora_ros.runtime.gpu_tensors import Parts, mixer_tensors
from tao_lora_ros.runtime.launch_tuning import tuning
from tao_lora_ros.runtime.pinned_mailbox import LOST, call, collect, hand_over
from tao_lora_ros.runtime.runtime import Array, Output, check_window

_DEVICE = "cuda"
_LAST = 2**31 - 1  # number of a call
# From so many windows on they are launched first and copied while the kernel starts. A processor
# that may show a device its stores in another order than that of the program does not do that.
_EARLY = 32 if platform.machine() in ("x86_64", "AMD64") else _LAST
_LAYERED = 1024  # windows that go layer by layer together
_HANDS = min(4, len(os.sched_getaffinity(0)))  # threads that copy thousands of windows
_MOST_PLANS = 4  # numbers of windows whose launches are kept: each has a workspace
_START_S, _END_S = 30.0, 2.0  # how long a first launch, and a late one, may take
_BUILDING = threading.Lock()  # Triton compiles for one thread at a time

_log = logging.getLogger(__name__)


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

    def __init__(self, model: Network) -> None:
        self._model = _DeviceModel(mixer_tensors(model))
        self._plan = functools.lru_cache(_MOST_PLANS)(partial(_Plan, self._model))
        self._parts = Parts(sizes_of(self._model.tensors, 1))
        self._shape = model.config.window, model.config.channels
        blank = np.zeros(self._shape, np.float32)
        for path in Route:
            self.infer(blank, path)

    def infer(self, window: Array, path: Route) -> Output:
        """Infer on one window, raw SI values, float32 [T, C], NaN where there is none."""
        check_window(window.shape, window.dtype, self._shape)
        return self._parts(self._plan(1).run(window, path))

    def infer_batch(self, windows: Array, paths: NDArray[np.int32] | Route) -> Output:
        """Infer on windows [B, T, C], each on its own path [B]: in one launch, or by layers.

        Each part of the output has the windows first. Its last bits depend on B, as fewer
        programs share a window of many, and thousands go layer by layer; on nothing else.
        """
        count = len(windows)
        check_window(windows.shape[1:], windows.dtype, self._shape)
        return self._parts(self._plan(count).run(windows, paths).reshape(count, -1))


class _DeviceModel:
    """A model's tensors, and their copies on the device: one for all numbers of windows."""

    def __init__(self, tensors: MixerTensors) -> None:
        self.tensors = tensors
        self._buffers: dict[int, Buffers] = {}

    def buffers(self, sizes: Sizes) -> Buffers:
        """Laid out for programs that work on `sizes.step` hidden units at a time."""
        if sizes.step not in self._buffers:
            self._buffers[sizes.step] = mixer_buffers(self.tensors, sizes, _DEVICE)
        return self._buffers[sizes.step]

    @functools.cached_property
    def channel_weights(self) -> torch.Tensor:
        """What the layers multiply by; there once thousands of windows come."""
        return channel_weights(self.tensors, sizes_of(self.tensors, 1), _DEVICE)


class _Plan:
    """A captured launch for a number of windows, and the memory it reads and writes."""

    def __init__(self, model: _DeviceModel, count: int) -> None:
        device = torch.cuda.get_device_properties(_DEVICE)
        tensors = model.tensors
        width, hidden = len(tensors.norm.gain), len(tensors.blocks[0].channel_up.bias)
        chosen = tuning(device.name, device.multi_processor_count, width, hidden, count)
        splits = min(chosen.splits, tensors.window)
        sizes = sizes_of(tensors, splits)
        self._early = count >= _EARLY and not chosen.rows
        self._stream = shared_stream()
        with _BUILDING, torch.cuda.stream(self._stream):
            buffers = model.buffers(sizes)
            make = layered_workspace if chosen.rows else workspace
            self._shared: Workspace | LayeredWorkspace = make(sizes, count, _DEVICE)
        size = record_size(sizes.window * sizes.channels)
        records = torch.zeros(count, size).pin_memory()
        shape = count, sizes.padded_results + sizes.padded_channels
        outputs = torch.zeros(shape, dtype=torch.int64).pin_memory()
        self._records = records.view(torch.int64).flatten().numpy()
        self._outputs = outputs.flatten().numpy()
        self._paths = [np.full(count, path, np.int32) for path in Route]
        self._number = 1
        # Programs that share a window have to be there all at once, one on each multiprocessor.
        together = device.multi_processor_count // splits if splits > 1 else count
        launches = _parts(slice(0, count), together)

        def launch_part(part: slice) -> None:
            shared, given = self._shared.part(part), (records[part], outputs[part], buffers)
            if isinstance(shared, LayeredWorkspace):
                weights = model.channel_weights
                launch_layered(*given, weights, shared, sizes, chosen.warps, chosen.rows)
            else:
                launch(*given, shared, sizes, chosen.warps, self._early)

        def launch_all() -> None:
            for part in launches:
                launch_part(part)

        blank = np.zeros(count * sizes.window * sizes.channels, np.float32)
        hand_over(blank, self._paths[0], self._number, self._records, LEAD.value)
        with _BUILDING:
            try:
                with torch.cuda.stream(self._stream):
                    launch_all()  # compiles
            except TritonError as error:
                raise RuntimeError(f"the kernel does not compile here: {error}") from error
            wait(self._stream, _START_S)
            # By layers one part is copied while the GPU works on the one before.
            parts = _parts(slice(0, count), _LAYERED) if chosen.rows else []
            self._of_parts = [(part, CudaGraph(partial(launch_part, part))) for part in parts]
            if not chosen.rows:
                self._graph = CudaGraph(launch_all)
        self._kept = records, outputs, buffers  # the graph knows addresses alone

    def run(self, windows: Array, paths: NDArray[np.int32] | Route) -> Array:
        """Infer on windows [B, T, C]; B · (padded results + padded channels) values.

        Raises:
            RuntimeError: the GPU failed, or did not answer a second time.
        """
        if isinstance(paths, Route):
            paths = self._paths[paths]
        error, results = self._call(windows.ravel(), paths, self._early)
        if error in LOST:
            # The host, or a program that others wait for, was held up for longer than they wait.
            _log.warning("the GPU %s: the call is done again", LOST[error])
            wait(self._stream, _END_S)
            if isinstance(self._shared, Workspace):
                with torch.cuda.stream(self._stream):
                    self._shared.seen.fill_(-1)  # no order: whatever comes next is a new one
            error, results = self._call(windows.ravel(), paths, early=False)
        if error:
            wait(self._stream, _END_S)  # raises what the GPU failed with
            raise RuntimeError(f"the GPU {LOST.get(error, f'refused, code {error}')}")
        return results

    def _call(self, windows: Array, paths: NDArray[np.int32], early: bool) -> tuple[int, Array]:
        self._number = self._number % _LAST + 1
        results = np.empty(len(self._outputs), np.float32)
        given = windows, paths, self._number, self._records, LEAD.value
        if self._of_parts:
            return self._call_of_parts(windows, paths, results), results
        return call(*given, self._graph.replay, early, self._outputs, results), results

    def _call_of_parts(self, windows: Array, paths: NDArray[np.int32], results: Array) -> int:
        count, number = len(paths), self._number

        def hand_over_some(some: slice) -> None:
            of_windows, records = _values(windows, some, count), _values(self._records, some, count)
            hand_over(of_windows, paths[some], number, records, LEAD.value)

        def collect_some(some: slice) -> int:
            words = _values(self._outputs, some, count)
            return collect(words, number, _values(results, some, count))

        for part, graph in self._of_parts:
            _by_hands(hand_over_some, part)
            graph.launch()
        return next(filter(None, _by_hands(collect_some, slice(0, count))), 0)


def _values(flat: Any, some: slice, count: int) -> Any:
    """Those of some windows, of an array that holds as many of each of `count`."""
    size = len(flat) // count
    return flat[some.start * size : some.stop * size]


def _parts(whole: slice, most: int) -> list[slice]:
    """Of so many windows, with as many as that in each."""
    firsts = range(whole.start, whole.stop, most)
    return [slice(first, min(first + most, whole.stop)) for first in firsts]


@functools.cache
def _hands() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_HANDS, "windows")


def _by_hands(work: Callable[[slice], Any], whole: slice) -> list[Any]:
    """What several threads find in a part of some windows each."""
    return [*_hands().map(work, _parts(whole, -(-(whole.stop - whole.start) // _HANDS)))]
