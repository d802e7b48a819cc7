"""Arithmetic that the kernels share: rounding, unpacking, activations, LayerNorm."""

from __future__ import annotations

import os

import triton
import triton.language as tl

from .int4_linear import STEADY_MAX

# The interpreter knows no PTX, so there the same bits are moved by plain operations.
INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET") == "1")

# FP16 holds the whole numbers from 1024 to 2047 with their low byte as the low byte of its
# mantissa: 0x6400 | q is 1024 + q. Codes are stored with an offset, so that q is never negative.
_BYTES_TO_HALF = tl.constexpr(
    """{ .reg .b32 a, b, k, m;
    mov.b32 k, 0x64646464; mov.b32 m, 0x64806480;
    prmt.b32 a, $4, k, 0x4140; prmt.b32 b, $4, k, 0x4342;
    sub.f16x2 a, a, m; sub.f16x2 b, b, m;
    mov.b32 {$0, $1}, a; mov.b32 {$2, $3}, b; }"""
)
# A nibble four bits further left is 16 q; 1024 / 16 is 64, and all of it is exact.
_NIBBLES_TO_HALF = tl.constexpr(
    """{ .reg .b32 a, b, c, d, s, k, m, f, n;
    mov.b32 k, 0x64006400; mov.b32 m, 0x64086408;
    mov.b32 f, 0x2C002C00; mov.b32 n, 0xD480D480;
    shr.b32 s, $8, 8;
    lop3.b32 a, $8, 0x000F000F, k, 0xEA; lop3.b32 b, $8, 0x00F000F0, k, 0xEA;
    lop3.b32 c, s, 0x000F000F, k, 0xEA; lop3.b32 d, s, 0x00F000F0, k, 0xEA;
    sub.f16x2 a, a, m; fma.rn.f16x2 b, b, f, n; sub.f16x2 c, c, m; fma.rn.f16x2 d, d, f, n;
    mov.b32 {$0, $1}, a; mov.b32 {$2, $3}, b; mov.b32 {$4, $5}, c; mov.b32 {$6, $7}, d; }"""
)


@triton.jit
def bytes_to_half(words):
    """INT8 codes as `packing.byte_words` stores them, int32 [N, K / 4], to FP16 [N, K]."""
    if INTERPRETED:
        a, b = (words & 0xFF).to(tl.float16), ((words >> 8) & 0xFF).to(tl.float16)
        c, d = ((words >> 16) & 0xFF).to(tl.float16), ((words >> 24) & 0xFF).to(tl.float16)
        a, b, c, d = a - 128.0, b - 128.0, c - 128.0, d - 128.0
    else:
        a, b, c, d = tl.inline_asm_elementwise(
            _BYTES_TO_HALF,
            "=h,=h,=h,=h,r",
            [words],
            dtype=(tl.float16, tl.float16, tl.float16, tl.float16),
            is_pure=True,
            pack=1,
        )
    return tl.reshape(tl.join(tl.join(a, c), tl.join(b, d)), (words.shape[0], 4 * words.shape[1]))


@triton.jit
def _nibble(words, place):
    return ((words >> (4 * place)) & 0xF).to(tl.float16) - 8.0


@triton.jit
def nibbles_to_half(words):
    """INT4 codes as `packing.nibble_words` stores them, int32 [N, K / 8], to FP16 [N, K]."""
    if INTERPRETED:
        a, b, c, d = _nibble(words, 0), _nibble(words, 4), _nibble(words, 1), _nibble(words, 5)
        e, f, g, h = _nibble(words, 2), _nibble(words, 6), _nibble(words, 3), _nibble(words, 7)
    else:
        a, b, c, d, e, f, g, h = tl.inline_asm_elementwise(
            _NIBBLES_TO_HALF,
            "=h,=h,=h,=h,=h,=h,=h,=h,r",
            [words],
            dtype=(
                tl.float16, tl.float16, tl.float16, tl.float16,
                tl.float16, tl.float16, tl.float16, tl.float16,
            ),
            is_pure=True,
            pack=1,
        )  # fmt: skip
    even = tl.join(tl.join(a, e), tl.join(c, g))
    odd = tl.join(tl.join(b, f), tl.join(d, h))
    return tl.reshape(tl.join(even, odd), (words.shape[0], 8 * words.shape[1]))


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
# x / s rounded and clamped, two at a time: half precision does the clamping. NaN stays NaN.
_ACTIVATIONS = tl.constexpr(
    """{ .reg .f32 a, b; .reg .b32 h, l;
    fma.rn.ftz.f32 a, $1, $3, $5; fma.rn.ftz.f32 b, $2, $4, $6;
    sub.ftz.f32 a, a, $5; sub.ftz.f32 b, b, $6;
    cvt.rn.f16x2.f32 h, b, a;
    xor.b32 l, $7, 0x80008000;
    min.NaN.f16x2 h, h, $7; max.NaN.f16x2 $0, h, l; }"""
)
_LARGEST_CODE = tl.constexpr(float(STEADY_MAX))
_ROUND = tl.constexpr(12582912.0)  # 1.5 · 2²³: in a sum with it whole numbers are all that is left


@triton.jit
def activations(x, inverse_scale, steady):
    """What the tensor cores are fed, FP16: 12-bit codes while steady, the value in a transient.

    Codes are rounded to the nearest, halves to the even one. Whole numbers up to 2047 and INT4 or
    INT8 weights are exact in FP16 and their products add exactly in FP32 up to 2²⁴, so the steady
    path is an integer dot product.
    """
    by = tl.where(steady, inverse_scale, 1.0)
    round_by = tl.where(steady, _ROUND, 0.0)
    largest = tl.where(steady, _LARGEST_CODE, 65504.0)
    if not INTERPRETED:
        return tl.inline_asm_elementwise(
            _ACTIVATIONS,
            "=r,f,f,f,f,f,f,r",
            [x, by, round_by, largest.to(tl.float16)],
            dtype=tl.float16,
            is_pure=True,
            pack=2,
        )
    x = (x * by + round_by) - round_by
    return tl.minimum(tl.maximum(x, -largest), largest).to(tl.float16)


@triton.jit
def gelu(x):
    """GELU in its tanh form (Hendrycks and Gimpel, arXiv 1606.08415)."""
    if INTERPRETED:
        return x / (1.0 + tl.exp(-x * (1.5957691216057308 + 0.07135481282405 * x * x)))
    return tl.inline_asm_elementwise(_GELU, "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1)


@triton.jit
def log(x):
    """Natural logarithm."""
    if INTERPRETED:
        return tl.log(x)
    return tl.inline_asm_elementwise(
        "{ .reg .f32 r; lg2.approx.ftz.f32 r, $1; mul.ftz.f32 $0, r, 0f3F317218; }",
        "=f,f",
        [x],
        dtype=tl.float32,
        is_pure=True,
        pack=1,
    )


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
    x = x * scale[:, None] - (mean * scale)[:, None]
    return x * gain[None, :] + bias[None, :]
