"""A trained mixer to its dual-path form: GPTQ codes, INT8 edges, QERA branches, fixed scales."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tao_lora_ros.kernels.int4_linear import INT8_MAX, pack_int4
from tao_lora_ros.model.layers import DualPathLinear, FullLinear, Int8Linear, QuantizedLinear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.quantization.low_rank import fit_low_rank
from tao_lora_ros.quantization.rounding import channel_scales, dequantize, round_gptq
from tao_lora_ros.router.router import Path

STEADY_QUANTILE = 0.9999  # of the steady activations; what lies above saturates


class _Inputs:
    """What one layer is fed: E[x xᵀ] over all windows, and its largest steady activation."""

    def __init__(self, layer: FullLinear) -> None:
        self.gram = torch.zeros(layer.in_features, layer.in_features, dtype=torch.float64)
        self.count = 0
        self.largest = 0.0
        self.steady = False

    def __call__(self, layer: nn.Module, arguments: tuple) -> None:
        rows = arguments[0].reshape(-1, arguments[0].shape[-1])
        self.gram += rows.T.double() @ rows.double()
        self.count += len(rows)
        if self.steady:
            values = rows.abs().flatten()
            rank = max(1, int(STEADY_QUANTILE * values.numel()))
            self.largest = max(self.largest, values.kthvalue(rank).values.item())


@torch.inference_mode()
def quantize(teacher: Mixer, steady: Tensor, transient: Tensor) -> Mixer:
    """Quantise a trained mixer.

    Args:
        teacher: full-precision mixer.
        steady: raw windows [B, T, C] of steady motion; they set the activation scales.
        transient: raw windows [B, T, C] of transients; with the steady ones they weigh the errors.

    Returns:
        The dual-path mixer, ready to infer.
    """
    inputs = {name: _Inputs(m) for name, m in teacher.named_modules() if isinstance(m, FullLinear)}
    hooks = [teacher.get_submodule(n).register_forward_pre_hook(i) for n, i in inputs.items()]
    for windows, is_steady in ((steady, True), (transient, False)):
        for watched in inputs.values():
            watched.steady = is_steady
        teacher(windows, Path.TRANSIENT)
    for hook in hooks:
        hook.remove()
    student = Mixer(teacher.config, quantized=True)
    # Norms and scales of the input have the same names; linear layers are filled in below.
    shared = {
        name: value
        for name, value in teacher.state_dict().items()
        if name.rpartition(".")[0] not in inputs
    }
    student.load_state_dict(shared, strict=False)
    for name, watched in inputs.items():
        target, layer = student.get_submodule(name), teacher.get_submodule(name)
        assert isinstance(target, QuantizedLinear)
        assert isinstance(layer, FullLinear)
        _fill(target, layer, watched)
    return student.prepare()


def _fill(target: QuantizedLinear, layer: FullLinear, watched: _Inputs) -> None:
    weight, gram = layer.weight.detach(), watched.gram / watched.count
    target.bias.copy_(layer.bias)
    target.x_scale.fill_(max(watched.largest, 1e-6) / INT8_MAX)
    if isinstance(target, Int8Linear):
        scales = channel_scales(weight, INT8_MAX)
        target.scales.copy_(scales)
        target.codes.copy_(torch.round(weight / scales).clamp(-INT8_MAX, INT8_MAX))
        return
    assert isinstance(target, DualPathLinear)
    scales = channel_scales(weight)
    codes = round_gptq(weight, scales, gram)
    down, up = fit_low_rank(weight - dequantize(codes, scales), gram, target.down.shape[0])
    target.packed.copy_(pack_int4(codes))
    target.scales.copy_(scales)
    target.down.copy_(down)
    target.up.copy_(up)
