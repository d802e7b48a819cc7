"""Four-bit activations: what a rotation and a few directions kept in FP16 win.

A row x of a channel-mixing layer is split by the principal directions P of its inputs: P Pᵀ x goes
on in FP16, a branch of that rank (ResQ, arXiv 2412.14363); the rest is turned by a Hadamard matrix
with random signs, which spreads outliers evenly (QuaRot, arXiv 2404.00456), and rounded to INT4 in
steps of the row's own size.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import Tensor

from benchmark.precision import PRECISIONS, int8, rounded, static12
from benchmark.trials import Number, Trial, observed, struck
from tao_lora_ros.benchmarks.model_bytes import CONFIGS
from tao_lora_ros.benchmarks.roofline import ORIN_NANO, multiplications
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.layers import FullLinear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.quantization.rounding import INT4_MAX, channel_scales, dequantize, round_gptq
from tao_lora_ros.training.dataset import Batch
from tao_lora_ros.training.evaluate import evaluate
from tao_lora_ros.training.quantize import LayerInputs

_BUILT = "w4a12-static"  # in the kernels
_STEP = 0.35  # of a row's standard deviation: near the best for 15 levels of a Gaussian (Max, 1960)
_INT4_TO_HALF = 4.0  # multiplications a second of Ampere's tensor cores, INT4 to FP16
_MEASURED, _COMPUTED = SUFFIXES = "four-bits", "orin-computed"  # of the cases
# Whether rows are turned, and how many principal directions stay in FP16.
FORMS = {
    "w4a4": (False, 0),
    "w4a4-hadamard": (True, 0),
    "w4a4-kept8": (False, 8),
    "w4a4-hadamard-kept8": (True, 8),
    "w4a4-hadamard-kept16": (True, 16),
}


def measure(trial: Trial, teacher: Mixer, calm: Tensor, test: Batch) -> Iterator[Number]:
    """Deviation from full precision, flips and accuracy of every form, steady and struck.

    Args:
        trial: the data.
        teacher: the trained model.
        calm: steady windows of the training runs, [B, T, C].
        test: windows that are scored.
    """
    inputs = observed(trial, teacher, calm).inputs
    batches = {"steady": test, "transient": struck(test, trial, teacher)}
    models = {_BUILT: rounded(teacher, inputs, PRECISIONS[_BUILT])}
    models |= {name: four_bit_form(teacher, inputs, *form) for name, form in FORMS.items()}
    for name, model in models.items():
        for case, batch in batches.items():
            found = evaluate(model, teacher, batch, Route.TRANSIENT)
            for metric in ("deviation", "flips", "accuracy"):
                yield name, f"{trial.name}-{case}-{_MEASURED}", metric, found[metric]


def computed_gain() -> Iterator[Number]:
    """Arithmetic of 1,024 windows on a Jetson Orin Nano, µs a window; computed, not measured."""
    for size, config in CONFIGS.items():
        core = 2 * config.blocks * config.tokens * config.expansion * config.width**2
        edges = multiplications(config, 0) - core
        case = f"{size}-{_COMPUTED}"
        yield _BUILT, case, "arithmetic_us", _time_us(core + edges)
        for name, (turned, kept) in FORMS.items():
            extra = _extra(config, turned, kept)
            yield name, case, "arithmetic_us", _time_us(core / _INT4_TO_HALF + edges + extra)


def _extra(config: MixerConfig, turned: bool, kept: int) -> float:
    """Products of the two layers of every block beside their INT4 ones; a fast turn's additions."""
    narrow, wide = config.width, config.width * config.expansion
    total = 0.0
    for inputs, outputs in ((narrow, wide), (wide, narrow)):
        total += kept * (2 * inputs + outputs)  # Pᵀ x, P (Pᵀ x), and the branch up
        total += inputs * (inputs.bit_length() - 1) / 2 if turned else 0
    return config.blocks * config.tokens * total


def _time_us(products: float) -> float:
    return 2e6 * products / ORIN_NANO.half


class FourBitLinear(FullLinear):
    """A channel-mixing layer of INT4 weights and INT4 activations.

    Args:
        layer: in full precision.
        inputs: what it is fed.
        turned: whether rows are turned.
        kept: principal directions that stay in FP16.
    """

    def __init__(self, layer: FullLinear, inputs: LayerInputs, turned: bool, kept: int) -> None:
        super().__init__(layer.in_features, layer.out_features)
        weight, gram = layer.weight.detach().double(), inputs.gram
        size = layer.in_features
        directions = torch.linalg.eigh(gram).eigenvectors[:, size - kept :]
        rest = torch.eye(size, dtype=torch.float64) - directions @ directions.T
        if turned:
            rest = rest @ _turn(size)
        self._kept, self._rest = directions.float(), rest.float()
        self._up = (weight @ directions).half().float()
        turned_weight = (weight @ rest).float()
        scales = channel_scales(turned_weight)
        codes = round_gptq(turned_weight, scales, rest.T @ gram @ rest)
        self.load_state_dict({"weight": dequantize(codes, scales), "bias": layer.bias.detach()})

    def forward(self, x: Tensor, path: Route) -> Tensor:  # type: ignore[override]
        kept = (x @ self._kept).half().float()
        return super().forward(_row4(x @ self._rest), path) + kept @ self._up.T


class _Edge(FullLinear):
    """INT8 weights and twelve-bit activations, as the steady path has them."""

    def __init__(self, layer: FullLinear, inputs: LayerInputs) -> None:
        super().__init__(layer.in_features, layer.out_features)
        weight = int8(layer.weight.detach(), inputs)
        self.load_state_dict({"weight": weight, "bias": layer.bias.detach()})
        self._inputs = inputs

    def forward(self, x: Tensor, path: Route) -> Tensor:  # type: ignore[override]
        return super().forward(static12(x, self._inputs), path)


@torch.no_grad()
def four_bit_form(teacher: Mixer, inputs: dict[str, LayerInputs], turned: bool, kept: int) -> Mixer:
    """A copy of a full-precision mixer whose channel mixing is W4A4."""
    model = deepcopy(teacher)
    for name, watched in inputs.items():
        layer = model.get_submodule(name)
        assert isinstance(layer, FullLinear)
        parent, _, last = name.rpartition(".")
        core = "channel_" in name
        other = FourBitLinear(layer, watched, turned, kept) if core else _Edge(layer, watched)
        setattr(model.get_submodule(parent), last, other)
    return model.eval()


def _turn(size: int) -> Tensor:
    """A Hadamard matrix (Sylvester's) with random signs, orthonormal, float64 [size, size]."""
    turn = torch.ones(1, 1, dtype=torch.float64)
    while len(turn) < size:
        turn = torch.cat([torch.cat([turn, turn], 1), torch.cat([turn, -turn], 1)])
    signs = torch.randint(0, 2, (size, 1), generator=torch.Generator().manual_seed(0)) * 2 - 1
    return turn * signs / size**0.5


def _row4(x: Tensor) -> Tensor:
    step = _STEP * x.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1e-9)
    return torch.clamp(torch.round(x / step), -INT4_MAX, INT4_MAX) * step
