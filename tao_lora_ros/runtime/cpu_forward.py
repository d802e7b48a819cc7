"""The forward pass of `Mixer` on the CPU, in one compiled call; the plain reference is the mixer.

Products are of integers and exact. Steady: 12-bit activations of the layer's fixed scale.
Transient: the FP16 activations of the reference become int16 of a row's own scale (finer for its
larger values, coarser below a thirtieth of the largest), and the weights' codes stay integers too.
"""

from __future__ import annotations

import numpy as np

from tao_lora_ros.messages.route import Route
from tao_lora_ros.runtime.cpu_features import describe, standardize
from tao_lora_ros.runtime.cpu_product import COLUMNS, multiply
from tao_lora_ros.runtime.cpu_stages import (
    add_branch,
    add_to,
    gelu_in_place,
    normalize,
    rescale,
    round_pairs,
    round_rows,
    stage,
)

_f = np.float32
_TRANSIENT = int(Route.TRANSIENT)


@stage
def forward(windows, paths, codes, numbers, sizes, logits, forecast, level):
    """Infer on windows, one after the other; of a window alone the same code gives the same bits.

    Args:
        windows: raw SI values, float32 [n, T, C], NaN where there is none.
        paths: of each, int32 [n].
        codes, numbers, sizes: the model, see `cpu_pack.Packed`.
        logits, forecast, level: float32 [n, L], [n, horizon, C] and [n, C], written.
    """
    for i in range(len(windows)):
        transient = paths[i] == _TRANSIENT
        _infer(windows[i], transient, codes, numbers, sizes, logits[i], forecast[i], level[i])


@stage
def _infer(window, transient, codes, numbers, sizes, logits, forecast, level):
    tokens, width, expansion, blocks, channels, patch, classes, horizon, rank, segment, absolute = (
        sizes
    )
    at = np.zeros(2, np.int64)  # how far codes and numbers are read
    units = _take(numbers, at, 3 * channels).reshape(3, channels)
    basis = _take(numbers, at, segment * segment)
    inputs = standardize(window, units, absolute, level)
    features = describe(inputs, units, level, segment, basis)
    x = np.empty((tokens, width), np.float32)
    normal = np.empty((tokens, width), np.float32)

    placed = np.empty((1, width), np.float32)
    _from_right(features, placed, 0, np.zeros(width, np.float32), transient, codes, numbers, at)
    patches = inputs.reshape(tokens, patch * channels)
    _from_right(patches, x, 0, placed[0], transient, codes, numbers, at)

    mixed_tokens = np.empty((tokens * expansion, width), np.float32)
    mixed_channels = np.empty((tokens, width * expansion), np.float32)
    change = np.empty((tokens, width), np.float32)
    nothing = np.zeros(width * expansion, np.float32)
    for _ in range(blocks):
        _normalize(x, normal, numbers, at)
        _from_left(normal, mixed_tokens, transient, codes, numbers, at)
        gelu_in_place(mixed_tokens)
        _from_left(mixed_tokens, change, transient, codes, numbers, at)
        add_to(x, change)
        _normalize(x, normal, numbers, at)
        _from_right(normal, mixed_channels, rank, nothing, transient, codes, numbers, at)
        gelu_in_place(mixed_channels)
        _from_right(mixed_channels, change, rank, nothing, transient, codes, numbers, at)
        add_to(x, change)

    _normalize(x, normal, numbers, at)
    none = np.zeros(horizon * channels + classes, np.float32)
    if classes:
        mean = np.zeros((1, width), np.float32)
        for i in range(tokens):
            for j in range(width):
                mean[0, j] += normal[i, j] / _f(tokens)
        _from_right(mean, logits.reshape(1, classes), 0, none, transient, codes, numbers, at)
    foretold = forecast.reshape(1, horizon * channels)
    _from_right(normal[tokens - 1 :], foretold, 0, none, transient, codes, numbers, at)


@stage
def _take(numbers, at, count):
    """The next numbers of the model."""
    start = at[1]
    at[1] = start + count
    return numbers[start : start + count]


@stage
def _normalize(x, out, numbers, at):
    gain = _take(numbers, at, x.shape[1])
    normalize(x, gain, _take(numbers, at, x.shape[1]), out)


@stage
def _from_right(x, out, rank, beside, transient, codes, numbers, at):
    """out = x · Wᵀ + bias + beside: x [M, K], W [N, K]."""
    rows, inputs = x.shape
    outputs = out.shape[1]
    panels, pairs = (outputs + COLUMNS - 1) // COLUMNS, (inputs + 1) // 2
    start = at[0]
    at[0] = start + panels * pairs * COLUMNS * 2
    weights = codes[start : at[0]].reshape(panels, pairs, COLUMNS, 2)
    steady = _take(numbers, at, 2)
    scale = _take(numbers, at, outputs)
    bias = _take(numbers, at, outputs)
    rounded = np.zeros((rows, 2 * pairs), np.int16)
    units = np.empty(rows, np.float32)
    round_rows(x, steady[0], steady[1], transient, rounded, units)
    sums = np.empty((rows, panels * COLUMNS), np.int32)
    multiply(rounded, weights, sums)
    shift = np.empty(outputs, np.float32)
    for j in range(outputs):
        shift[j] = bias[j] + beside[j]
    rescale(sums, units, scale, np.zeros(rows, np.float32), shift, out)
    if rank:
        down = _take(numbers, at, rank * inputs).reshape(rank, inputs)
        up = _take(numbers, at, rank * outputs).reshape(rank, outputs)
        if transient:
            add_branch(x, down, up, out)


@stage
def _from_left(x, out, transient, codes, numbers, at):
    """out = W · x + bias, a bias a row: x [K, columns], W [N, K]."""
    inputs, columns = x.shape
    outputs = out.shape[0]
    pairs = (inputs + 1) // 2
    start = at[0]
    at[0] = start + outputs * 2 * pairs
    weights = codes[start : at[0]].reshape(outputs, 2 * pairs).astype(np.int16)
    steady = _take(numbers, at, 2)
    scale = _take(numbers, at, outputs)
    bias = _take(numbers, at, outputs)
    padded = (columns + COLUMNS - 1) // COLUMNS * COLUMNS
    rounded = np.zeros((1, pairs, padded), np.int32)
    units = np.empty(columns, np.float32)
    round_pairs(x, steady[0], steady[1], transient, rounded, units)
    sums = np.empty((outputs, padded), np.int32)
    multiply(weights, rounded.view(np.int16).reshape(1, pairs, padded, 2), sums)
    rescale(sums, scale, units, bias, np.zeros(columns, np.float32), out)
