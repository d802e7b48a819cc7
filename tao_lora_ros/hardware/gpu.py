"""The mixer on a GPU: one launch a call, replayed from a CUDA graph, on memory of the host."""

from __future__ import annotations

import json
from importlib import resources
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from triton.errors import TritonError

from tao_lora_ros.hardware.gpu_tensors import mixer_tensors
from tao_lora_ros.hardware.runtime import Array, Output, check_window
from tao_lora_ros.kernels.fused_launch import launch, slots
from tao_lora_ros.kernels.mixer_buffers import mixer_buffers
from tao_lora_ros.kernels.mixer_tensors import MixerTensors, sizes_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.router.router import Path

_DEVICE = "cuda"
_HIDDEN_A_PROGRAM = 64
_WARPS = 8
_WEIGHTS = 32_768  # of each of both layers in FP16 in a program's shared memory, 128 KiB


class Tuning(NamedTuple):
    """Programs that share a window, a power of two, and warps of each."""

    splits: int
    warps: int


def tuning(gpu: str, multiprocessors: int, width: int, hidden: int, windows: int) -> Tuning:
    """What was found fastest on this GPU; on another one what is safe.

    The files in `kernels/tuned` name the GPU, the model's sizes, and up to how many windows a
    row holds. Elsewhere programs share a window as far as there are multiprocessors for all, and
    take more hidden units each where there are not, while their weights fit shared memory.
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
    while splits * windows > multiprocessors and 2 * width * hidden <= splits * _WEIGHTS:
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
        return Output(*(part[0] for part in self.infer_batch(window[None], path)))

    def infer_batch(self, windows: Array, paths: NDArray[np.int32] | Path) -> Output:
        """Infer on windows [B, T, C], each on its own path [B], in one launch.

        Each part of the output has the windows first.
        """
        count = len(windows)
        check_window(windows.shape[1:], windows.dtype, self._shape)
        if count not in self._plans:
            self._plans[count] = _Plan(self._model, count)
        plan = self._plans[count]
        sizes = plan.sizes
        results = plan.run(windows, paths).copy()
        return Output(
            results[:, : sizes.labels],
            results[:, sizes.labels : sizes.results].reshape(count, -1, sizes.channels),
            results[:, sizes.padded_results : sizes.padded_results + sizes.channels],
        )


class _Plan:
    """A captured launch for a number of windows, and the memory it reads and writes."""

    def __init__(self, model: MixerTensors, count: int) -> None:
        device = torch.cuda.get_device_properties(_DEVICE)
        width, hidden = len(model.norm.gain), len(model.blocks[0].channel_up.bias)
        chosen = tuning(device.name, device.multi_processor_count, width, hidden, count)
        self.sizes = sizes_of(model, chosen.splits)
        buffers = mixer_buffers(model, self.sizes, _DEVICE)
        room = slots(self.sizes, count, _DEVICE)
        shape = count, self.sizes.window, self.sizes.channels
        windows = torch.zeros(shape).pin_memory()
        outputs = torch.zeros(
            count, self.sizes.padded_results + self.sizes.padded_channels
        ).pin_memory()
        orders = torch.zeros(count, 2, dtype=torch.int32).pin_memory()
        self._kept = windows, outputs, orders, buffers, room
        self._windows, self._outputs, self._orders = (
            tensor.numpy() for tensor in (windows, outputs, orders)
        )
        self._graph = torch.cuda.CUDAGraph()
        self._stream = torch.cuda.current_stream()
        # Programs that share a window have to be there all at once, one on each multiprocessor.
        together = device.multi_processor_count // chosen.splits if chosen.splits > 1 else count
        parts = [slice(first, first + together) for first in range(0, count, together)]

        def launch_all() -> None:
            for part in parts:
                launch(
                    windows[part],
                    outputs[part],
                    orders[part],
                    buffers,
                    room[part],
                    self.sizes,
                    chosen.warps,
                )

        self._orders[:, 1] = 1
        try:
            launch_all()  # compiles
        except TritonError as error:
            raise RuntimeError(f"the kernel does not compile here: {error}") from error
        torch.cuda.synchronize()
        with torch.cuda.graph(self._graph):
            launch_all()

    def run(self, windows: Array, paths: NDArray[np.int32] | Path) -> Array:
        """Results [B, ...]; they are overwritten by the next run."""
        self._windows[...] = windows
        self._orders[:, 0] = paths
        self._orders[:, 1] += 1  # wraps around; only its low bits count
        self._graph.replay()
        self._stream.synchronize()
        return self._outputs
