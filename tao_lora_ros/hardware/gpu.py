"""The mixer on a GPU: one launch a call, replayed from a CUDA graph, on memory of the host."""

from __future__ import annotations

import json
import platform
from importlib import resources
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from triton.errors import TritonError

from tao_lora_ros.hardware.gpu_tensors import mixer_tensors
from tao_lora_ros.hardware.handover import collect, hand_over
from tao_lora_ros.hardware.runtime import Array, Output, check_window
from tao_lora_ros.kernels.arrival import LEAD, record_size
from tao_lora_ros.kernels.fused_launch import launch, room
from tao_lora_ros.kernels.mixer_buffers import mixer_buffers
from tao_lora_ros.kernels.mixer_tensors import MixerTensors, sizes_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.router.router import Path

_DEVICE = "cuda"
_HIDDEN_A_PROGRAM = 64
_WARPS = 8
_LAST = 2**31 - 1  # number of a call
# From so many windows on they are launched first and copied while the kernel starts. A processor
# that may show a device its stores in another order than that of the program does not do that.
_EARLY = 32 if platform.machine() in ("x86_64", "AMD64") else _LAST
# More programs than that read a window from the device: each would fetch it across the bus.
_FETCHES = 4


class Tuning(NamedTuple):
    """Programs that share a window, a power of two, and warps of each."""

    splits: int
    warps: int


def tuning(gpu: str, multiprocessors: int, width: int, hidden: int, windows: int) -> Tuning:
    """What was found fastest on this GPU; on another one what is safe.

    The files in `kernels/tuned` name the GPU, the model's sizes, and up to how many windows a
    row holds. Elsewhere programs share a window as far as there are multiprocessors for all.
    """
    tuned = resources.files("tao_lora_ros.kernels") / "tuned"
    files = (file for file in tuned.iterdir() if file.name.endswith(".json"))
    rows = [row for file in files for row in json.loads(file.read_text())]
    fit = [
        row
        for row in rows
        if (row["gpu"], row["width"], row["hidden"]) == (gpu, width, hidden)
        and windows <= row["windows"]
        and row["splits"] <= multiprocessors
    ]
    if fit:
        row = min(fit, key=lambda row: row["windows"])
        return Tuning(row["splits"], row["warps"])
    splits = 1
    while splits * _HIDDEN_A_PROGRAM < hidden and 2 * splits <= multiprocessors:
        splits *= 2
    while splits > 1 and splits * windows > multiprocessors:
        splits //= 2
    return Tuning(splits, _WARPS)


class GpuRuntime:
    """Runs a quantised model on the first CUDA device.

    Windows and results lie in pinned memory of the host that the kernel reads and writes in
    place: a copy each way would take longer than what is copied.

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
        for path in Path:
            self.infer(blank, path)

    def infer(self, window: Array, path: Path) -> Output:
        """Infer on one window, raw SI values, float32 [T, C], NaN where there is none."""
        check_window(window.shape, window.dtype, self._shape)
        return self._parts(self._plan(1).run(window, path))

    def infer_batch(self, windows: Array, paths: NDArray[np.int32] | Path) -> Output:
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
        self.sizes = sizes_of(model, chosen.splits)
        staged = chosen.splits > _FETCHES
        self._early = count >= _EARLY and not staged
        buffers = mixer_buffers(model, self.sizes, _DEVICE)
        shared = room(self.sizes, count, _DEVICE)
        size = record_size(self.sizes.window * self.sizes.channels)
        written = torch.zeros(count, size).pin_memory()
        records = written.to(_DEVICE) if staged else written
        shape = count, self.sizes.padded_results + self.sizes.padded_channels
        outputs = torch.zeros(shape, dtype=torch.int64).pin_memory()
        self._kept = written, records, outputs, buffers, shared
        self._records = written.view(torch.int64).flatten().numpy()
        self._outputs = outputs.flatten().numpy()
        self._paths = [np.full(count, path, np.int32) for path in Path]
        self._number = 1
        self._graph = torch.cuda.CUDAGraph()
        self._stream = torch.cuda.current_stream()
        # Programs that share a window have to be there all at once, one on each multiprocessor.
        together = device.multi_processor_count // chosen.splits if chosen.splits > 1 else count
        parts = [slice(first, first + together) for first in range(0, count, together)]

        def launch_all() -> None:
            if staged:
                records.copy_(written, non_blocking=True)
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
        self._hand_over(blank, self._paths[0])
        try:
            launch_all()  # compiles
        except TritonError as error:
            raise RuntimeError(f"the kernel does not compile here: {error}") from error
        torch.cuda.synchronize()
        with torch.cuda.graph(self._graph):
            launch_all()

    def run(self, windows: Array, paths: NDArray[np.int32] | Path) -> Array:
        """Infer on windows [B, T, C]; B · (padded results + padded channels) values."""
        self._number = self._number % _LAST + 1
        if isinstance(paths, Path):
            paths = self._paths[paths]
        if self._early:
            try:
                self._graph.replay()
            finally:  # the kernel waits, whatever happens here
                self._hand_over(windows, paths)
        else:
            self._hand_over(windows, paths)
            self._graph.replay()
        results = np.empty(len(self._outputs), np.float32)
        if not collect(self._outputs, self._number, results):
            self._stream.synchronize()  # raises what the GPU failed with
            raise RuntimeError("the GPU ended without a result")
        return results

    def _hand_over(self, windows: Array, paths: NDArray[np.int32]) -> None:
        hand_over(windows.ravel(), paths, self._number, self._records, LEAD.value)
