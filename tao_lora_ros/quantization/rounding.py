"""Round weights to INT4 codes: to the nearest, and error-compensated (GPTQ)."""

from __future__ import annotations

import torch
from torch import Tensor

INT4_MAX = 7


def channel_scales(weight: Tensor, largest: int = INT4_MAX) -> Tensor:
    """Symmetric scales of the output channels, float32 [N, 1], as FP16 can hold them.

    Args:
        weight: float32 [N, K].
        largest: code that a channel's largest weight gets.
    """
    return (weight.abs().amax(dim=1, keepdim=True) / largest).clamp_min(1e-7).half().float()


def dequantize(codes: Tensor, scales: Tensor) -> Tensor:
    """Weights Q(W), float32 [N, K], of codes [N, K] and scales [N, 1]."""
    return codes.float() * scales


def round_nearest(weight: Tensor, scales: Tensor) -> Tensor:
    """Codes, int8 [N, K], of the nearest INT4 values."""
    return _codes(weight, scales).to(torch.int8)


def round_gptq(weight: Tensor, scales: Tensor, gram: Tensor, damping: float = 0.01) -> Tensor:
    """Codes, int8 [N, K], rounded column by column, each error spread over the columns to come.

    GPTQ (Frantar et al., arXiv 2210.17323), columns in their given order.

    Args:
        weight: float32 [N, K].
        scales: float32 [N, 1].
        gram: E[x xᵀ] of the layer's inputs, [K, K].
        damping: share of the mean diagonal that is added to the diagonal.
    """
    k = weight.shape[1]
    steps = scales[:, 0].double()
    rest = weight.double().clone()
    diagonal = gram.double().diagonal().mean().clamp_min(1e-12)
    damped = gram.double() + damping * diagonal * torch.eye(k, dtype=torch.float64)
    # Row i of the upper factor of the inverse says how the columns after i make up for i's error.
    factor = torch.linalg.cholesky(torch.linalg.inv(damped), upper=True)
    codes = torch.empty_like(rest)
    for i in range(k):
        codes[:, i] = _codes(rest[:, i], steps)
        error = (rest[:, i] - codes[:, i] * steps) / factor[i, i]
        rest[:, i + 1 :] -= error[:, None] * factor[i, i + 1 :]
    return codes.to(torch.int8)


def _codes(weight: Tensor, scales: Tensor) -> Tensor:
    return torch.clamp(torch.round(weight / scales), -INT4_MAX - 1, INT4_MAX)
