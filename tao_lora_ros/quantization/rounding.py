"""Round weights to INT4 codes: to the nearest, and error-compensated (GPTQ)."""

from __future__ import annotations

import torch
from torch import Tensor

INT4_MAX = 7


def group_scales(weight: Tensor, group_size: int) -> Tensor:
    """Symmetric scales, float32 [N, K / group_size], as FP16 can hold them.

    Raises:
        ValueError: the group size does not divide K.
    """
    n, k = weight.shape
    if k % group_size:
        raise ValueError(f"group size {group_size} does not divide {k} inputs")
    largest = weight.view(n, k // group_size, group_size).abs().amax(dim=2)
    return (largest / INT4_MAX).clamp_min(1e-7).half().float()


def dequantize(codes: Tensor, scales: Tensor) -> Tensor:
    """Weights Q(W), float32 [N, K], of codes [N, K] and scales [N, G]."""
    return codes.float() * scales.repeat_interleave(codes.shape[1] // scales.shape[1], dim=1)


def round_nearest(weight: Tensor, scales: Tensor) -> Tensor:
    """Codes, int8 [N, K], of the nearest INT4 values."""
    full = scales.repeat_interleave(weight.shape[1] // scales.shape[1], dim=1)
    return _codes(weight, full).to(torch.int8)


def round_gptq(weight: Tensor, scales: Tensor, gram: Tensor, damping: float = 0.01) -> Tensor:
    """Codes, int8 [N, K], rounded column by column, each error spread over the columns to come.

    GPTQ (Frantar et al., arXiv 2210.17323), columns in their given order.

    Args:
        weight: float32 [N, K].
        scales: float32 [N, G].
        gram: E[x xᵀ] of the layer's inputs, [K, K].
        damping: share of the mean diagonal that is added to the diagonal.
    """
    k = weight.shape[1]
    full = scales.repeat_interleave(k // scales.shape[1], dim=1).double()
    rest = weight.double().clone()
    diagonal = gram.double().diagonal().mean().clamp_min(1e-12)
    damped = gram.double() + damping * diagonal * torch.eye(k, dtype=torch.float64)
    # Row i of the upper factor of the inverse says how the columns after i make up for i's error.
    factor = torch.linalg.cholesky(torch.linalg.inv(damped), upper=True)
    codes = torch.empty_like(rest)
    for i in range(k):
        codes[:, i] = _codes(rest[:, i], full[:, i])
        error = (rest[:, i] - codes[:, i] * full[:, i]) / factor[i, i]
        rest[:, i + 1 :] -= error[:, None] * factor[i, i + 1 :]
    return codes.to(torch.int8)


def _codes(weight: Tensor, scales: Tensor) -> Tensor:
    return torch.clamp(torch.round(weight / scales), -INT4_MAX - 1, INT4_MAX)
