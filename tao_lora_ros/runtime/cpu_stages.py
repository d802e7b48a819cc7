"""What lies between two products: norm, rounding to codes, scaling back, the low-rank branch.

Matrices are float32 [rows, columns] without NaN. Sums may be taken in any order (`reassoc`), which
one machine does the same way every time, as all that `cpu_forward.forward` calls is inlined into it
(`forceinline`): of a function that is called there would be several copies, each optimised on its
own, and a process that compiles would take others than one that loads. So a replay gives what the
live node gave.
"""

from __future__ import annotations

import numpy as np

from tao_lora_ros.runtime.cpu_math import bits, from_bits, gelu
from tao_lora_ros.signal.compiled import compiled

_f = np.float32
_STEADY_MAX = _f(2047)
_NORM_EPSILON = _f(1e-5)
_TINY = _f(1e-30)  # so that rows of zeros divide by something

stage = compiled(fastmath={"contract", "reassoc", "nnan", "nsz"}, forceinline=True)


@stage
def normalize(x, gain, bias, out):
    """LayerNorm of each row."""
    width = _f(1) / _f(x.shape[1])
    for i in range(x.shape[0]):
        row, to = x[i], out[i]
        total = _f(0)
        for j in range(row.size):
            total += row[j]
        mean = total * width
        squares = _f(0)
        for j in range(row.size):
            squares += (row[j] - mean) * (row[j] - mean)
        factor = _f(1) / np.sqrt(squares * width + _NORM_EPSILON)
        for j in range(row.size):
            to[j] = (row[j] - mean) * factor * gain[j] + bias[j]


@stage
def _code(value, largest):
    return np.int32(np.rint(min(max(value, -largest), largest)))


@stage
def _peak(values):
    """Largest magnitude; taken of the bits, since sizes compare as their bits do, and faster."""
    sizes, peak = values.view(np.int32), bits(_TINY)
    for i in range(sizes.size):  # the view's numbers stay 32 bits wide, so a vector holds more
        peak = max(peak, sizes[i] & np.int32(0x7FFFFFFF))
    return from_bits(np.int32(peak))


@stage
def round_rows(x, per_unit, limit, transient, codes, units):
    """Codes of x, int16 [rows, K], for a product from the right, and what a code counts, [rows].

    Steady: 12-bit codes of the fixed scale 1 / per_unit. Transient: each row's largest value gets
    the code `limit`, so nothing is clipped and the step is finer than FP16's at that value.
    """
    largest = limit if transient else _STEADY_MAX
    for i in range(x.shape[0]):
        row, to = x[i], codes[i]
        factor = per_unit
        if transient:
            factor = limit / _peak(row)
        units[i] = per_unit / factor
        for j in range(row.size):
            to[j] = _code(row[j] * factor, largest)


@stage
def round_pairs(x, per_unit, limit, transient, codes, units):
    """The same of each column, for a product from the left: int32 [1, rows / 2, columns].

    A code of an even row is the lower half of the int32, that of the row after it the upper.
    """
    rows, columns = x.shape
    largest = limit if transient else _STEADY_MAX
    factors = np.full(columns, per_unit)
    if transient:
        factors[:] = _TINY
        for i in range(rows):
            row = x[i]
            for j in range(columns):
                size = abs(row[j])
                factors[j] = size if size > factors[j] else factors[j]
        for j in range(columns):
            factors[j] = limit / factors[j]
    for j in range(columns):
        units[j] = per_unit / factors[j]
    for i in range(0, rows, 2):
        low, to = x[i], codes[0, i // 2]
        for j in range(columns):
            to[j] = _code(low[j] * factors[j], largest) & np.int32(0xFFFF)
        if i + 1 < rows:
            high = x[i + 1]
            for j in range(columns):
                to[j] |= _code(high[j] * factors[j], largest) << np.int32(16)


@stage
def rescale(sums, left, right, below, beside, out):
    """out[i, j] = sums[i, j] · left[i] · right[j] + below[i] + beside[j]."""
    for i in range(out.shape[0]):
        row, to = sums[i], out[i]
        factor, bias = left[i], below[i]
        for j in range(to.size):
            to[j] = _f(row[j]) * factor * right[j] + (bias + beside[j])


@stage
def add_branch(x, down, up, out):
    """out += (x · downᵀ) · up, rank a multiple of 4: four at once share their loads."""
    for i in range(x.shape[0]):
        row, to = x[i], out[i]
        for r in range(0, down.shape[0], 4):
            w0, w1, w2, w3 = down[r], down[r + 1], down[r + 2], down[r + 3]
            t0, t1, t2, t3 = _f(0), _f(0), _f(0), _f(0)
            for j in range(row.size):
                t0 += row[j] * w0[j]
                t1 += row[j] * w1[j]
                t2 += row[j] * w2[j]
                t3 += row[j] * w3[j]
            u0, u1, u2, u3 = up[r], up[r + 1], up[r + 2], up[r + 3]
            for j in range(to.size):
                to[j] += t0 * u0[j] + t1 * u1[j] + t2 * u2[j] + t3 * u3[j]


@stage
def gelu_in_place(x):
    """GELU of every value."""
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(row.size):
            row[j] = gelu(row[j])


@stage
def add_to(x, y):
    """x += y."""
    for i in range(x.shape[0]):
        row, other = x[i], y[i]
        for j in range(row.size):
            row[j] += other[j]
