"""Short quantisation-aware fine-tuning: codes, scales and biases together (QAT)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from tao_lora_ros.kernels.int4_linear import INT8_MAX, STEADY_MAX
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.layers import DualPathLinear, FullLinear, Int8Linear, QuantizedLinear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.quantization.rounding import INT4_MAX
from tao_lora_ros.training.dataset import Batch
from tao_lora_ros.training.distributed import Workers
from tao_lora_ros.training.fit import Progress
from tao_lora_ros.training.tune import tune

LEARNING_RATE = 2e-3  # in steps of a code, and of logarithms of scales
INSIDE = 0.45  # how far from its code, in steps, a weight may begin


class _FineTuned(nn.Module):
    """A quantised layer without its branch, with gradients: rounding counts as the identity."""

    start: Tensor

    def __init__(self, layer: DualPathLinear | Int8Linear, exact: FullLinear) -> None:
        super().__init__()
        codes, scales = layer.weights()
        weight = exact.weight.detach() / scales
        dual = isinstance(layer, DualPathLinear)
        self.range = (-INT4_MAX - 1, INT4_MAX) if dual else (-INT8_MAX, INT8_MAX)
        # GPTQ's code at first, and the next one as near as the exact weight is to it
        self.weight = nn.Parameter(torch.clamp(weight, codes - INSIDE, codes + INSIDE))
        self.log_gain = nn.Parameter(torch.zeros_like(scales))
        self.register_buffer("start", scales.clone())
        self.bias = nn.Parameter(layer.bias.clone())
        self.log_step = nn.Parameter(layer.x_scale.log())

    @property
    def scales(self) -> Tensor:
        """Of the output channels, float32 [N, 1]."""
        return self.start * self.log_gain.exp()

    @property
    def codes(self) -> Tensor:
        """Of the weights, whole numbers [N, K]."""
        inside = self.weight.clamp(*self.range)
        return inside + (inside.round() - inside).detach()

    def forward(self, x: Tensor, path: Route) -> Tensor:
        if path is Route.STEADY:
            step = self.log_step.exp()
            inside = torch.clamp(x / step, -STEADY_MAX, STEADY_MAX)
            x = (inside + (inside.round() - inside).detach()) * step
        return x @ (self.codes * self.scales).T + self.bias


def finetune(
    student: Mixer,
    teacher: Mixer,
    draws: Mapping[Route, Callable[[int], Batch]],
    steps: int,
    progress: Progress = lambda step, loss: None,
) -> None:
    """Tune a mixer's codes, scales, biases and norms so that it follows the teacher.

    Both paths count alike, and of either the logits and the forecast, each as its squared
    deviation over its own square. The branches fit no more and have to be fitted anew.

    Args:
        student: dual-path mixer, ready to infer; changed in place.
        teacher: full-precision mixer.
        draws: for each path, windows for a step by its number.
        steps: of Adam, with a cosine rate.
        progress: called with step and loss, as by `fit`.
    """
    model = deepcopy(student)
    for name, layer in student.named_modules():
        if isinstance(layer, (DualPathLinear, Int8Linear)):
            parent, _, last = name.rpartition(".")
            exact_layer = teacher.get_submodule(name)
            assert isinstance(exact_layer, FullLinear)
            setattr(model.get_submodule(parent), last, _FineTuned(layer, exact_layer))
    device = Workers().device
    model, exact = model.to(device), deepcopy(teacher).to(device)

    def loss(*windows: Tensor) -> Tensor:
        value = torch.zeros(())
        for path, x in zip(draws, windows, strict=True):
            value = value + _deviation(model, exact, x, path)
        return value

    def drawn(step: int) -> list[Tensor]:
        return [draw(step).windows for draw in draws.values()]

    tune([*model.parameters()], loss, drawn, LEARNING_RATE, steps, progress)
    _take(student, model.cpu())


def _deviation(model: Mixer, teacher: Mixer, windows: Tensor, path: Route) -> Tensor:
    with torch.no_grad():
        exact = teacher(windows, Route.TRANSIENT)
    return sum(
        (
            (mine - his).square().sum() / his.square().sum()
            for mine, his in zip(model(windows, path), exact, strict=True)
            if mine is not None
        ),
        start=torch.zeros(()),
    )


@torch.no_grad()
def _take(student: Mixer, tuned: Mixer) -> None:
    """Copy what was tuned."""
    for name, module in tuned.named_modules():
        mine = student.get_submodule(name)
        if isinstance(module, _FineTuned):
            assert isinstance(mine, QuantizedLinear)
            mine.set_codes(module.codes.round().to(torch.int8))
            mine.scales.copy_(module.scales)
            mine.bias.copy_(module.bias)
            mine.x_scale.copy_(module.log_step.exp())
        elif isinstance(module, nn.LayerNorm):
            mine.load_state_dict(module.state_dict())
    for layer in student.modules():
        if isinstance(layer, QuantizedLinear):
            layer.prepare()
