"""One trained mixer at other precisions, computed in float as the rounded numbers would be."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from tao_lora_ros.kernels.int4_linear import INT8_MAX, steady_codes
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.describe import layer_bytes
from tao_lora_ros.model.layers import FullLinear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.network import layers_of
from tao_lora_ros.quantization.rounding import (
    INT4_MAX,
    channel_scales,
    dequantize,
    round_gptq,
    round_nearest,
)
from tao_lora_ros.training.quantize import LayerInputs

Activations = Callable[[Tensor, LayerInputs], Tensor]
Weights = Callable[[Tensor, LayerInputs], Tensor]


@dataclass(frozen=True)
class Precision:
    """How the layers of a mixer are rounded, and what a weight takes.

    Args:
        core: rounding of the channel-mixing weights.
        edges: rounding of all others.
        activations: rounding of every layer's input.
        core_bits: bits of a channel-mixing weight.
        edge_bits: bits of any other.
    """

    core: Weights
    edges: Weights
    activations: Activations
    core_bits: int
    edge_bits: int


def half(x: Tensor, inputs: LayerInputs) -> Tensor:
    """FP16."""
    return x.half().float()


def static8(x: Tensor, inputs: LayerInputs) -> Tensor:
    """INT8 in the fixed steps of steady motion."""
    step = inputs.largest / INT8_MAX
    return torch.clamp(torch.round(x / step), -INT8_MAX, INT8_MAX) * step


def static12(x: Tensor, inputs: LayerInputs) -> Tensor:
    """Twelve bits in the fixed steps of steady motion, as the steady path has them."""
    return steady_codes(x, inputs.scale) * inputs.scale


def dynamic8(x: Tensor, inputs: LayerInputs) -> Tensor:
    """INT8 in steps of the window's own range."""
    return _dynamic(x, INT8_MAX)


def dynamic4(x: Tensor, inputs: LayerInputs) -> Tensor:
    """INT4 in steps of the window's own range."""
    return _dynamic(x, INT4_MAX)


def _dynamic(x: Tensor, largest: int) -> Tensor:
    step = x.abs().flatten(1).amax(dim=1).clamp_min(1e-9) / largest
    step = step.view(-1, *(1 for _ in x.shape[1:]))
    return torch.round(x / step) * step


def int8(weight: Tensor, inputs: LayerInputs) -> Tensor:
    """INT8, to the nearest."""
    scales = channel_scales(weight, INT8_MAX)
    return torch.round(weight / scales) * scales


def nearest4(weight: Tensor, inputs: LayerInputs) -> Tensor:
    """INT4, to the nearest."""
    scales = channel_scales(weight)
    return dequantize(round_nearest(weight, scales), scales)


def gptq4(weight: Tensor, inputs: LayerInputs) -> Tensor:
    """INT4, error-compensated."""
    scales = channel_scales(weight)
    return dequantize(round_gptq(weight, scales, inputs.gram), scales)


PRECISIONS = {
    "fp16": Precision(half, half, half, 16, 16),
    "w8a8": Precision(int8, int8, static8, 8, 8),
    "w4a16-nearest": Precision(nearest4, nearest4, half, 4, 4),
    "w4a16-gptq": Precision(gptq4, gptq4, half, 4, 4),
    "w4a16-gptq-int8-edges": Precision(gptq4, int8, half, 4, 8),
    "w4a8-static": Precision(gptq4, int8, static8, 4, 8),
    "w4a12-static": Precision(gptq4, int8, static12, 4, 8),
    "w4a8-dynamic": Precision(gptq4, int8, dynamic8, 4, 8),
    "w4a4-dynamic": Precision(gptq4, int8, dynamic4, 4, 8),
}


class _Rounded(FullLinear):
    """A layer of rounded weights whose input is rounded, too."""

    def __init__(self, layer: FullLinear, weights: Weights, how: Precision, inputs: LayerInputs):
        super().__init__(layer.in_features, layer.out_features)
        self.load_state_dict(
            {"weight": weights(layer.weight.detach(), inputs), "bias": layer.bias.detach()}
        )
        self._activations, self._inputs = how.activations, inputs

    def forward(self, x: Tensor, path: Route) -> Tensor:  # type: ignore[override]
        return super().forward(self._activations(x, self._inputs), path)


@torch.no_grad()
def rounded(teacher: Mixer, inputs: dict[str, LayerInputs], how: Precision) -> Mixer:
    """A copy of a full-precision mixer, rounded."""
    model = deepcopy(teacher)
    for name, watched in inputs.items():
        layer = model.get_submodule(name)
        assert isinstance(layer, FullLinear)
        parent, _, last = name.rpartition(".")
        weights = how.core if _is_core(name) else how.edges
        setattr(model.get_submodule(parent), last, _Rounded(layer, weights, how, watched))
    return model.eval()


def _is_core(name: str) -> bool:
    return "channel_" in name


def weight_bytes(teacher: Mixer, core_bits: int, edge_bits: int) -> float:
    """Bytes of all linear layers: codes, an FP16 scale a channel below 16 bits, FP32 biases."""
    total = 0.0
    for name, layer in teacher.named_modules():
        if isinstance(layer, FullLinear):
            bits = core_bits if _is_core(name) else edge_bits
            total += layer.weight.numel() * bits / 8 + 4 * layer.out_features
            total += 2 * layer.out_features if bits < 16 else 0
    return total


def stored_bytes(student: Mixer, with_branches: bool) -> int:
    """Bytes of the linear layers of a dual-path mixer as they are stored."""
    return sum(
        layer_bytes(layer, branch)
        for layer in layers_of(student.config).values()
        for branch in (False, True)[: 1 + with_branches]
    )
