"""Elementary functions in float32 that the compiler turns into vector instructions.

Textbook range reductions and series; each within 4e-7 of the exact value, relative to the larger
of it and 1. The C library's, which numba would call, work on one number at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from tao_lora_ros.signal.compiled import compiled

_f = np.float32
_LN2, _LOG2E = _f(0.6931471805599453), _f(1.4426950408889634)
_SQRT2_BITS = np.int32(np.array(np.sqrt(0.5), np.float32).view(np.int32))


def _reinterpret(source: Any, target: Any) -> Any:
    """Intrinsic that takes a number's bits for a number of another type."""

    @intrinsic
    def cast(typing_context, x):
        def generate(context, builder, signature, values):
            return builder.bitcast(values[0], context.get_value_type(target))

        return target(source), generate

    return cast


bits = _reinterpret(types.float32, types.int32)
from_bits = _reinterpret(types.int32, types.float32)


@compiled(fastmath={"contract"}, forceinline=True)
def exp(x):
    """eˣ for |x| ≤ 80: 2ⁿ eʳ with |r| ≤ ln 2 / 2, and Taylor's series for eʳ."""
    n = np.rint(x * _LOG2E)
    r = x - n * _LN2
    series = _f(1 / 720)
    series = series * r + _f(1 / 120)
    series = series * r + _f(1 / 24)
    series = series * r + _f(1 / 6)
    series = series * r + _f(0.5)
    series = series * r + _f(1)
    series = series * r + _f(1)
    return series * from_bits(np.int32((np.int32(n) + np.int32(127)) << np.int32(23)))


@compiled(fastmath={"contract"}, forceinline=True)
def log(x):
    """Natural logarithm of a positive, normal x = m 2ⁿ with √½ ≤ m < √2: ln m = 2 artanh s."""
    above = np.int32(bits(x) - _SQRT2_BITS)
    n = above >> np.int32(23)
    m = from_bits(np.int32(bits(x) - np.int32(n << np.int32(23))))
    s = (m - _f(1)) / (m + _f(1))
    square = s * s
    series = _f(2 / 9)
    series = series * square + _f(2 / 7)
    series = series * square + _f(2 / 5)
    series = series * square + _f(2 / 3)
    series = series * square + _f(2)
    return series * s + _f(n) * _LN2


@compiled(fastmath={"contract"}, forceinline=True)
def asinh(x):
    """Inverse hyperbolic sine: ± ln(|x| + √(x² + 1)); flat beyond 1e18."""
    size = min(abs(x), _f(1e18))
    return np.copysign(log(size + np.sqrt(size * size + _f(1))), x)


@compiled(fastmath={"contract"}, forceinline=True)
def gelu(x):
    """GELU in its tanh form: x σ(2 √(2/π) (x + 0.044715 x³))."""
    twice = _f(1.5957691216057308) * (x + _f(0.044715) * (x * x * x))
    return x / (_f(1) + exp(min(max(-twice, _f(-80)), _f(80))))
