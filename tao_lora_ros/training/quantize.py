"""A trained mixer to its dual-path form: INT4 codes, INT8 edges, QERA branches, fixed scales."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tao_lora_ros.kernels.int4_linear import INT8_MAX, STEADY_MAX
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.adapter import Adapter
from tao_lora_ros.model.conversion import branches, set_adapter
from tao_lora_ros.model.layers import FullLinear, Int8Linear, QuantizedLinear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.quantization.low_rank import fit_low_rank
from tao_lora_ros.quantization.rounding import channel_scales, round_gptq, round_nearest

STEADY_QUANTILE = 0.9999  # of the steady activations
HEADROOM = 2.0  # of the codes, over that quantile; what lies above saturates

Rounding = Callable[[Tensor, Tensor, Tensor], Tensor]  # weight, scales, gram to codes
ROUNDINGS: dict[str, Rounding] = {
    "gptq": round_gptq,
    "nearest": lambda weight, scales, gram: round_nearest(weight, scales),
}


class LayerInputs:
    """What one layer is fed: E[x xᵀ] over all windows, and its largest steady activation."""

    def __init__(self, layer: FullLinear) -> None:
        self._sum = torch.zeros(layer.in_features, layer.in_features, dtype=torch.float64)
        self._count = 0
        self.largest = 1e-6  # activation of steady motion, but for rare ones
        self.steady = False

    def __call__(self, layer: nn.Module, arguments: tuple) -> None:
        rows = arguments[0].reshape(-1, arguments[0].shape[-1])
        self._sum += rows.T.double() @ rows.double()
        self._count += len(rows)
        if self.steady:
            values = rows.abs().flatten()
            rank = max(1, int(STEADY_QUANTILE * values.numel()))
            self.largest = max(self.largest, values.kthvalue(rank).values.item())

    @property
    def gram(self) -> Tensor:
        """E[x xᵀ], float64 [K, K]."""
        return self._sum / self._count

    @property
    def scale(self) -> float:
        """Fixed step of the activations in steady motion."""
        return HEADROOM * self.largest / STEADY_MAX


@torch.inference_mode()
def observe(teacher: Mixer, steady: Tensor, transient: Tensor) -> dict[str, LayerInputs]:
    """What every linear layer of a full-precision mixer is fed, by the layer's name.

    Args:
        teacher: full-precision mixer.
        steady: raw windows [B, T, C] of steady motion; they set the activation scales.
        transient: raw windows [B, T, C] of transients; with the steady ones they weigh the errors.
    """
    inputs = {
        name: LayerInputs(m) for name, m in teacher.named_modules() if isinstance(m, FullLinear)
    }
    hooks = [teacher.get_submodule(n).register_forward_pre_hook(i) for n, i in inputs.items()]
    for windows, is_steady in ((steady, True), (transient, False)):
        for watched in inputs.values():
            watched.steady = is_steady
        teacher(windows, Route.TRANSIENT)
    for hook in hooks:
        hook.remove()
    return inputs


@torch.no_grad()
def quantize(
    teacher: Mixer, inputs: dict[str, LayerInputs], rounding: Rounding = round_gptq
) -> Mixer:
    """Quantise a trained mixer.

    Args:
        teacher: full-precision mixer.
        inputs: what its layers are fed, as `observe` gives it.
        rounding: of the INT4 weights.

    Returns:
        The dual-path mixer, ready to infer.
    """
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
        _fill(target, layer, watched, rounding)
    student.prepare()
    fit_branches(student, teacher, {name: watched.gram for name, watched in inputs.items()})
    return student


@torch.no_grad()
def fit_branches(student: Mixer, teacher: Mixer, grams: dict[str, Tensor]) -> None:
    """Fit every branch to what rounding took from its layer, by E[x xᵀ] of the layer's inputs."""
    adapter: Adapter = {}
    for name, layer in branches(student).items():
        exact = teacher.get_submodule(name)
        assert isinstance(exact, FullLinear)
        error = exact.weight - layer.weight
        down, up = fit_low_rank(error, grams[name], layer.down.shape[0])
        adapter[name] = (down.half().numpy(), up.half().numpy())
    set_adapter(student, adapter)


def _fill(
    target: QuantizedLinear, layer: FullLinear, watched: LayerInputs, rounding: Rounding
) -> None:
    weight = layer.weight.detach()
    target.bias.copy_(layer.bias)
    target.x_scale.fill_(watched.scale)
    if isinstance(target, Int8Linear):
        scales = channel_scales(weight, INT8_MAX)
        codes = torch.round(weight / scales).clamp(-INT8_MAX, INT8_MAX)
    else:
        scales = channel_scales(weight)
        codes = rounding(weight, scales, watched.gram)
    target.set_codes(codes)
    target.scales.copy_(scales)
