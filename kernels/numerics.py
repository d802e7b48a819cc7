"""Arithmetic that the kernels share: rounding, unpacking, activations, LayerNorm."""

from __future__ import annotations

import os

import triton
import triton.language as tl

# The interpreter knows no PTX, so there the same bits are moved by plain operations.
INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET") == "1")

# FP16 holds the whole numbers from 1024 to 2047 with their low byte as the low byte of its
# mantissa: 0x6400 | q is 1024 + q. Codes are stored with an offset, so that q is never negative.
_BYTES_TO_HALF = tl.constexpr(
    """{ .reg .b32 k, m;
    mov.b32 k, 0x64646464; mov.b32 m, 0x64806480;
    prmt.b32 $0, $2, k, 0x4140; prmt.b32 $1, $2, k, 0x4342;
    sub.f16x2 $0, $0, m; sub.f16x2 $1, $1, m; }"""
)
_NIBBLES_TO_HALF = tl.constexpr(
    """{ .reg .b32 l, h, k, m;
    mov.b32 k, 0x64646464; mov.b32 m, 0x64086408;
    and.b32 l, $4, 0x0f0f0f0f; shr.b32 h, $4, 4; and.b32 h, h, 0x0f0f0f0f;
    prmt.b32 $0, l, k, 0x4140; prmt.b32 $1, l, k, 0x4342;
    prmt.b32 $2, h, k, 0x4140; prmt.b32 $3, h, k, 0x4342;
    sub.f16x2 $0, $0, m; sub.f16x2 $1, $1, m; sub.f16x2 $2, $2, m; sub.f16x2 $3, $3, m; }"""
)


@triton.jit
def bytes_to_half(codes):
    """INT8 codes stored as code + 128 in uint8, to FP16."""
    if INTERPRETED:
        return codes.to(tl.float16) - 128.0
    return tl.inline_asm_elementwise(
        _BYTES_TO_HALF, "=r,=r,r", [codes], dtype=tl.float16, is_pure=True, pack=4
    )


@triton.jit
def nibbles_to_half(packed):
    """INT4 codes, stored as code + 8, two neighbouring columns a byte, low half first.

    uint8 [N, K / 2] to FP16 [N, K].
    """
    if INTERPRETED:
        low, high = (packed & 0xF).to(tl.float16) - 8.0, (packed >> 4).to(tl.float16) - 8.0
    else:
        low, high = tl.inline_asm_elementwise(
            _NIBBLES_TO_HALF,
            "=r,=r,=r,=r,r",
            [packed],
            dtype=(tl.float16, tl.float16),
            is_pure=True,
            pack=4,
        )
    return tl.interleave(low, high)


# x / (1 + 2^(c x + d x³)): two instructions of the special-function units, no slow paths.
_GELU = tl.constexpr(
    """{ .reg .f32 p, e;
    mul.ftz.f32 p, $1, $1;
    fma.rn.ftz.f32 p, p, 0fBDD2D3E7, 0fC0135761;
    mul.ftz.f32 p, p, $1;
    ex2.approx.ftz.f32 e, p;
    add.ftz.f32 e, e, 0f3F800000;
    rcp.approx.ftz.f32 e, e;
    mul.ftz.f32 $0, $1, e; }"""
)
_LOG_OF_SUM = tl.constexpr(
    """{ .reg .f32 r;
    fma.rn.ftz.f32 r, $1, $1, 0f3F800000;
    sqrt.approx.ftz.f32 r, r;
    add.ftz.f32 r, r, $1;
    lg2.approx.ftz.f32 r, r;
    mul.ftz.f32 $0, r, 0f3F317218; }"""
)
_ROUND = tl.constexpr(12582912.0)  # 1.5 · 2²³: in a sum with it whole numbers are all that is left


@triton.jit
def activations(x, inverse_scale, steady):
    """What the tensor cores are fed, FP16: INT8 codes while steady, the value in a transient.

    Codes are rounded to the nearest, halves to the even one. Whole numbers up to 127 and INT4 or
    INT8 weights are exact in FP16 and their products add exactly in FP32, so the steady path is
    an integer dot product.
    """
    by = tl.where(steady, inverse_scale, 1.0)
    round_by = tl.where(steady, _ROUND, 0.0)
    largest = tl.where(steady, 127.0, 65504.0)
    x = (x * by + round_by) - round_by
    return tl.minimum(tl.maximum(x, -largest), largest).to(tl.float16)


@triton.jit
def gelu(x):
    """GELU in its tanh form (Hendrycks and Gimpel, arXiv 1606.08415)."""
    if INTERPRETED:
        return x / (1.0 + tl.exp(-x * (1.5957691216057308 + 0.07135481282405 * x * x)))
    return tl.inline_asm_elementwise(_GELU, "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1)


@triton.jit
def asinh(x):
    """Inverse hyperbolic sine."""
    size = tl.abs(x)
    if INTERPRETED:
        y = tl.log(size + tl.sqrt(size * size + 1.0))
    else:
        y = tl.inline_asm_elementwise(
            _LOG_OF_SUM, "=f,f", [size], dtype=tl.float32, is_pure=True, pack=1
        )
    return tl.where(x < 0, -y, y)


@triton.jit
def add_pairs(a, b, c, d):
    """Combine two sums at once, so that the threads meet once."""
    return a + c, b + d


@triton.jit
def layer_norm(x, gain, bias, WIDTH: tl.constexpr):
    """LayerNorm over the columns of x [M, WIDTH]."""
    total, squares = tl.reduce((x, x * x), 1, add_pairs)
    mean = total * (1.0 / WIDTH)
    scale = tl.rsqrt(tl.maximum(squares * (1.0 / WIDTH) - mean * mean, 0.0) + 1e-5)
    return (x - mean[:, None]) * scale[:, None] * gain[None, :] + bias[None, :]
