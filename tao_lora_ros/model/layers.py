"""Linear layers of the mixer: full precision, INT8, and the dual path (INT4, INT4 + low rank).

All share one call, `layer(x, path)`: x float32 [..., K] gives float32 [..., N].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tao_lora_ros.kernels.int4_linear import (
    int4_linear_steady,
    int4_linear_transient,
    pack_int4,
    steady_codes,
    unpack_int4,
)
from tao_lora_ros.messages.route import Route
from tao_lora_ros.quantization.rounding import dequantize


class FullLinear(nn.Linear):
    """Full precision, the same on both paths; what is trained."""

    def forward(self, x: Tensor, path: Route) -> Tensor:  # type: ignore[override]
        return super().forward(x)


class QuantizedLinear(nn.Module):
    """What both quantised layers share: bias, activation scale, and flattening to rows.

    `x_scale` is the steady regime's activation scale: fixed, so that a transient cannot stretch
    it; the transient path does not round to it.
    """

    bias: Tensor
    x_scale: Tensor
    scales: Tensor
    _codes: Tensor
    _scales: Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.register_buffer("bias", torch.zeros(outputs))
        self.register_buffer("x_scale", torch.ones(()))

    def forward(self, x: Tensor, path: Route) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        y = self.steady(rows) if path is Route.STEADY else self.transient(rows)
        return (y + self.bias).view(*x.shape[:-1], -1)

    def steady(self, rows: Tensor) -> Tensor:
        """Integer activations; [M, K] to [M, N]."""
        raise NotImplementedError

    def transient(self, rows: Tensor) -> Tensor:
        """FP16 activations; [M, K] to [M, N]."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Unpack the weights once, after they were loaded, into the form the CPU computes in."""
        raise NotImplementedError

    def weights(self) -> tuple[Tensor, Tensor]:
        """Codes [N, K] and scales of the output channels [N, 1], float32, once prepared."""
        return self._codes, self._scales

    def set_codes(self, codes: Tensor) -> None:
        """Take other codes, int8 [N, K]; they count from the next `prepare` on."""
        raise NotImplementedError


class Int8Linear(QuantizedLinear):
    """INT8 weights, one scale per output channel; no adapter.

    While steady, sums of up to 64 inputs are exact in float32 whatever the codes (see
    `int4_linear`); of more inputs, one that passes 2²⁴ is rounded by 2⁻²⁵ of itself at most.
    """

    codes: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(outputs)
        self.register_buffer("codes", torch.zeros(outputs, inputs, dtype=torch.int8))
        self.register_buffer("scales", torch.ones(outputs, 1, dtype=torch.float16))

    def prepare(self) -> None:
        self._codes = self.codes.float()
        self._scales = self.scales.float()
        self._weight = dequantize(self.codes, self._scales)

    def set_codes(self, codes: Tensor) -> None:
        self.codes.copy_(codes)

    def steady(self, rows: Tensor) -> Tensor:
        sums = steady_codes(rows, self.x_scale) @ self._codes.T
        return sums * (self._scales[:, 0] * self.x_scale)

    def transient(self, rows: Tensor) -> Tensor:
        return rows.half().float() @ self._weight.T


class DualPathLinear(QuantizedLinear):
    """INT4 weights, one scale per output channel; transients add the low-rank branch B (A x)."""

    packed: Tensor
    down: Tensor
    up: Tensor

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__(outputs)
        self.register_buffer("packed", torch.zeros(outputs, inputs // 2, dtype=torch.uint8))
        self.register_buffer("scales", torch.ones(outputs, 1, dtype=torch.float16))
        self.register_buffer("down", torch.zeros(rank, inputs, dtype=torch.float16))
        self.register_buffer("up", torch.zeros(outputs, rank, dtype=torch.float16))

    def prepare(self) -> None:
        self._scales = self.scales.float()
        self._codes = unpack_int4(self.packed).float()
        self._weight = dequantize(self._codes, self._scales)
        self._down, self._up = self.down.float(), self.up.float()

    def set_codes(self, codes: Tensor) -> None:
        self.packed.copy_(pack_int4(codes))

    @property
    def weight(self) -> Tensor:
        """Q(W), float32 [N, K], once prepared."""
        return self._weight

    @property
    def branch(self) -> tuple[Tensor, Tensor]:
        """A [r, K] and B [N, r] as transients use them, float32, once prepared.

        Others can be set, to be tuned; `prepare` takes the stored ones again.
        """
        return self._down, self._up

    @branch.setter
    def branch(self, factors: tuple[Tensor, Tensor]) -> None:
        self._down, self._up = factors

    def steady(self, rows: Tensor) -> Tensor:
        return int4_linear_steady(rows, self._codes, self._scales, self.x_scale)

    def transient(self, rows: Tensor) -> Tensor:
        return int4_linear_transient(rows, self._weight, self._down, self._up)
