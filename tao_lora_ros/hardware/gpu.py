"""The mixer on a GPU: one launch a call, replayed from a CUDA graph, on memory of the host."""

from __future__ import annotations

import json
from importlib import resources
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tao_lora_ros.hardware.runtime import Array, Output
from tao_lora_ros.kernels.fused_launch import launch, slots
from tao_lora_ros.kernels.mixer_buffers import (
    LEAST_DOT,
    BlockTensors,
    Linear,
    MixerTensors,
    Norm,
    mixer_buffers,
    sizes_of,
)
from tao_lora_ros.kernels.int4_linear import unpack_int4
from tao_lora_ros.model.layers import DualPathLinear, Int8Linear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.router.router import Path

_DEVICE = "cuda"
_HIDDEN_A_PROGRAM = 64
_WARPS = 8


class Tuning(NamedTuple):
    """Programs that share a window, a power of two, and warps of each."""

    splits: int
    warps: int


def tuning(gpu: str, multiprocessors: int, width: int, hidden: int, windows: int) -> Tuning:
    """What was found fastest on this GPU; what is safe on one that is not in the files.

    All programs that share windows have to be resident at once, one a multiprocessor.
    """
    for file in sorted((resources.files("tao_lora_ros.kernels") / "tuned").iterdir()):
        if not file.name.endswith(".json"):
            continue
        for row in json.loads(file.read_text()):
            if (row["gpu"], row["width"], row["hidden"]) == (gpu, width, hidden):
                if windows <= row["windows"] and row["splits"] * windows <= multiprocessors:
                    return Tuning(row["splits"], row["warps"])
    splits = 1
    while splits * _HIDDEN_A_PROGRAM < hidden and 2 * splits * windows <= multiprocessors:
        splits *= 2
    return Tuning(min(splits, hidden // LEAST_DOT), _WARPS)


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
        self._model = _tensors(model)
        self._plans: dict[int, _Plan] = {}
        config = model.config
        blank = np.zeros((config.window, config.channels), np.float32)
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
        arguments = windows, outputs, orders, buffers, room, self.sizes, chosen.warps
        self._orders[:, 1] = 1
        launch(*arguments)  # compiles
        torch.cuda.synchronize()
        with torch.cuda.graph(self._graph):
            launch(*arguments)

    def run(self, windows: Array, paths: NDArray[np.int32] | Path) -> Array:
        """Results [B, ...]; they are overwritten by the next run."""
        self._windows[...] = windows
        self._orders[:, 0] = paths
        self._orders[:, 1] += 1  # wraps around; only its low bits count
        self._graph.replay()
        self._stream.synchronize()
        return self._outputs


def _tensors(model: Mixer) -> MixerTensors:
    """The model's tensors as plain numbers."""
    return MixerTensors(
        window=model.config.window,
        patch=model.config.patch,
        level_mean=model.level_mean,
        level_std=model.level_std,
        spread=model.spread,
        embed=_linear(model.embed),
        embed_features=_linear(model.embed_features),
        blocks=[
            BlockTensors(
                Norm(block.token_norm.weight.detach(), block.token_norm.bias.detach()),
                Norm(block.channel_norm.weight.detach(), block.channel_norm.bias.detach()),
                *map(
                    _linear,
                    (block.token_up, block.token_down, block.channel_up, block.channel_down),
                ),
            )
            for block in model.blocks
        ],
        norm=Norm(model.norm.weight.detach(), model.norm.bias.detach()),
        class_head=_linear(model.class_head) if model.class_head is not None else None,
        forecast_head=_linear(model.forecast_head),
    )


def _linear(layer: torch.nn.Module) -> Linear:
    if isinstance(layer, DualPathLinear):
        codes, adapter = unpack_int4(layer.packed), (layer.down, layer.up)
    else:
        assert isinstance(layer, Int8Linear), f"{type(layer).__name__} is not quantised"
        codes, adapter = layer.codes, ()
    scales = layer.scales.double().flatten()
    return Linear(codes, scales, layer.bias, float(layer.x_scale), *adapter)
