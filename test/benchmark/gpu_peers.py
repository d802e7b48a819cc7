"""The reference models on a GPU, as people run them: torch in FP16, and 4-bit kernel libraries.

Every subject but the eager one is a captured CUDA graph that holds the copies too: pinned input
to device, the work, pinned output back.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tao_lora_ros.benchmarks.reference import Reference
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.layers import FullLinear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.quantization.rounding import INT4_MAX

_GROUP = 64  # inputs that share a scale in the 4-bit libraries; their usual default
_WARM_UPS = 3


class _Typed(nn.Module):
    """A mixer in a narrow type; windows come in float32, as from every sensor."""

    def __init__(self, mixer: Mixer, dtype: torch.dtype) -> None:
        super().__init__()
        self.mixer = deepcopy(mixer).to("cuda", dtype)
        self.dtype = dtype

    def forward(self, inputs: Tensor) -> Tensor:
        logits, _ = self.mixer(inputs.to(self.dtype), Route.STEADY)
        return logits


class _Graph:
    """A call of a captured graph: copy in, work, copy out."""

    def __init__(self, work: Callable[[Tensor], Tensor], config: MixerConfig, batch: int) -> None:
        shape = (batch, config.window, config.channels)
        self._input = torch.zeros(shape).pin_memory()
        self._window = self._input.numpy()
        on_device = self._input.cuda()
        self.kept = work, on_device  # the graph holds addresses alone
        self._stream = torch.cuda.current_stream()  # one less switch in every call
        stream = torch.cuda.Stream()
        with torch.inference_mode(), torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                output = work(on_device)
            self._output = torch.empty(output.shape, dtype=output.dtype).pin_memory()
            torch.cuda.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=stream):
                on_device.copy_(self._input, non_blocking=True)
                self._output.copy_(work(on_device), non_blocking=True)

    def __call__(self, inputs: NDArray[np.float32], paths: Any) -> Tensor:
        self._window[...] = inputs
        self._graph.replay()
        self._stream.synchronize()
        return self._output


def empty_graph(model: Reference, batch: int) -> _Graph:
    """The floor: both copies and a kernel that does next to nothing."""
    outputs = torch.zeros(batch, model.full.config.classes, device="cuda", dtype=torch.float16)
    return _Graph(lambda _: outputs.neg_(), model.full.config, batch)


def torch_eager(model: Reference, batch: int) -> Any:
    """PyTorch in FP16, an operator at a time."""
    module = _Typed(model.full, torch.float16)

    @torch.inference_mode()
    def call(inputs: NDArray[np.float32], paths: Any) -> Tensor:
        return module(torch.from_numpy(inputs).cuda()).cpu()

    return call


def torch_graph(model: Reference, batch: int) -> _Graph:
    """The same in a CUDA graph."""
    return _Graph(_Typed(model.full, torch.float16), model.full.config, batch)


def torch_compiled(model: Reference, batch: int) -> _Graph:
    """The same through Inductor, in a CUDA graph."""
    torch._dynamo.reset()
    module = torch.compile(_Typed(model.full, torch.float16), fullgraph=True, dynamic=False)
    return _Graph(module, model.full.config, batch)


def gemlite(model: Reference, batch: int) -> _Graph:
    """FP16 in a CUDA graph, channel mixing by GemLite's INT4 layers."""
    from gemlite.helper import A16W4_HQQ_INT

    def layer(linear: FullLinear) -> Callable[[Tensor], Tensor]:
        codes, scales = _int4(linear.weight.detach())
        zeros = torch.full_like(scales, 8.0)
        make = A16W4_HQQ_INT(device="cuda:0", dtype=torch.float16)
        return make.from_weights(codes, scales.half(), zeros.half(), bias=linear.bias.detach())

    module = _with_core_layers(_Typed(model.full, torch.float16), model.full, layer)
    return _Graph(module, model.full.config, batch)


def tinygemm(model: Reference, batch: int) -> _Graph:
    """BF16 in a CUDA graph, channel mixing by PyTorch's INT4 product (it takes no FP16)."""

    def layer(linear: FullLinear) -> Callable[[Tensor], Tensor]:
        codes, scales = _int4(linear.weight.detach().cuda())
        pairs = codes[:, ::2] << 4 | codes[:, 1::2]
        weight = torch.ops.aten._convert_weight_to_int4pack(pairs, 8)
        steps = torch.stack((scales.T, torch.zeros_like(scales.T)), dim=-1).bfloat16().contiguous()
        bias = linear.bias.detach().to("cuda", torch.bfloat16)

        def call(x: Tensor) -> Tensor:
            rows = x.reshape(-1, x.shape[-1])
            y = torch.ops.aten._weight_int4pack_mm(rows, weight, _GROUP, steps) + bias
            return y.view(*x.shape[:-1], -1)

        return call

    module = _with_core_layers(_Typed(model.full, torch.bfloat16), model.full, layer)
    return _Graph(module, model.full.config, batch)


def _int4(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Codes, uint8 [N, K] from 0 to 15 with 8 for zero, and scales [N, K / group]."""
    groups = weight.float().unflatten(1, (-1, _GROUP))
    scales = (groups.abs().amax(dim=2, keepdim=True) / INT4_MAX).clamp_min(1e-7)
    codes = torch.round(groups / scales).clamp(-8, 7) + 8
    return codes.flatten(1).to(torch.uint8), scales[..., 0]


class _Adapted(nn.Module):
    """Somebody's layer with the call of ours."""

    def __init__(self, layer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, path: Route) -> Tensor:
        return self.layer(x)


def _with_core_layers(
    module: _Typed, full: Mixer, make: Callable[[FullLinear], Callable[[Tensor], Tensor]]
) -> _Typed:
    for block, original in zip(module.mixer.blocks, full.blocks, strict=True):
        for name in ("channel_up", "channel_down"):
            setattr(block, name, _Adapted(make(getattr(original, name))))
    return module


GPU_PEERS = {
    "empty-graph": empty_graph,
    "torch-eager-fp16": torch_eager,
    "torch-cudagraph-fp16": torch_graph,
    "torch-compile-graph-fp16": torch_compiled,
    "gemlite-int4": gemlite,
    "tinygemm-int4": tinygemm,
}
