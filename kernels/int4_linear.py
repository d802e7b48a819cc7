"""Linear layer with INT4 weights, two to a byte, one FP16 scale per output channel.

Steady path: activations are whole numbers of 12 bits, an integer dot product, scaled afterwards,
so every device that adds integers exactly gives the same sums:

    y[m, n] = s · S[n] · Σ_k q[n, k] · x̂[m, k],   x̂ = clip(round(x / s), -2047, 2047)

Tensor cores take FP16, which holds all whole numbers to 2048, and add in FP32, exactly below 2²⁴:
there 12 bits cost what 8 would.

Transient path: activations FP16, weights dequantised, accumulation FP32, plus a low-rank branch:

    y = Q(W) x + B (A x)
"""

from __future__ import annotations

import torch
from torch import Tensor

INT8_MAX = 127  # of weights
STEADY_MAX = 2047  # of activations


def pack_int4(codes: Tensor) -> Tensor:
    """Pack codes in [-8, 7], int8 [N, K] with K even, into uint8 [N, K / 2], low half first."""
    if codes.ndim != 2 or codes.shape[1] % 2:
        raise ValueError(f"codes of shape {tuple(codes.shape)}; expected [N, K] with K even")
    if codes.min() < -8 or codes.max() > 7:
        raise ValueError(f"codes in [{codes.min()}, {codes.max()}]; expected [-8, 7]")
    halves = (codes.to(torch.int16) & 0xF).to(torch.uint8)
    return halves[:, 0::2] | (halves[:, 1::2] << 4)


def unpack_int4(packed: Tensor) -> Tensor:
    """Undo `pack_int4`: uint8 [N, K / 2] to int8 [N, K]."""
    halves = torch.stack((packed & 0xF, packed >> 4), dim=-1).flatten(-2).to(torch.int8)
    return torch.where(halves > 7, halves - 16, halves)


def steady_codes(x: Tensor, scale: Tensor | float) -> Tensor:
    """12-bit codes of x, kept in float32."""
    return torch.clamp(torch.round(x / scale), -STEADY_MAX, STEADY_MAX)


def int4_linear_steady(x: Tensor, codes: Tensor, scales: Tensor, x_scale: Tensor | float) -> Tensor:
    """Steady path, the plain reference.

    Args:
        x: activations, float32 [M, K].
        codes: unpacked INT4 weights as float32 [N, K].
        scales: float32 [N, 1], one for each output channel.
        x_scale: activation scale s.

    Returns:
        float32 [M, N]. Sums stay below 2²⁴ for up to 1,024 inputs, so they are exact in float32.
    """
    return (steady_codes(x, x_scale) @ codes.T) * (scales[:, 0] * x_scale)


def int4_linear_transient(x: Tensor, weight: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """Transient path, the plain reference.

    Args:
        x: activations, float32 [M, K]; rounded to FP16 here.
        weight: dequantised weights Q(W), float32 [N, K].
        down: A, float32 [r, K]; r may be 0.
        up: B, float32 [N, r].

    Returns:
        float32 [M, N].
    """
    half = x.half().float()
    y = half @ weight.T
    if down.shape[0]:
        y = y + (half @ down.T) @ up.T
    return y
