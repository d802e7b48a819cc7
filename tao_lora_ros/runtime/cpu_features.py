"""A window in squashed standard units, and what is said of it as a whole; see `model.mixer`."""

from __future__ import annotations

import numpy as np

from tao_lora_ros.model.spectrum import FLOOR, PARTS
from tao_lora_ros.runtime.cpu_math import asinh, log
from tao_lora_ros.runtime.cpu_stages import stage
from tao_lora_ros.signal.compiled import compiled

_f = np.float32
_FLOOR = _f(FLOOR)


@compiled(fastmath={"contract"}, forceinline=True)
def standardize(window, units, absolute, level):
    """Squashed standard units, [T, C]; level [C] is written. A NaN counts as the mean."""
    level_mean, _, per_spread = units
    rows, channels = window.shape
    totals, counts = np.zeros(channels), np.zeros(channels)
    for i in range(rows):
        for c in range(channels):
            if window[i, c] == window[i, c]:
                totals[c] += window[i, c]
                counts[c] += 1.0
    for c in range(channels):
        usual = absolute or counts[c] == 0
        level[c] = level_mean[c] if usual else _f(totals[c] / counts[c])
    inputs = np.empty((rows, channels), np.float32)
    for i in range(rows):
        for c in range(channels):
            value = (window[i, c] - level[c]) * per_spread[c]
            inputs[i, c] = value if value == value else _f(0)
    flat = inputs.reshape(rows * channels)
    for i in range(flat.size):
        flat[i] = asinh(flat[i])
    return inputs


@stage
def describe(inputs, units, level, segment, basis):
    """Features [1, F C] of a window: mean and variance; with a spectrum moments and powers too."""
    level_mean, per_level_std, _ = units
    channels = inputs.shape[1]
    count = 4 + segment // 2 if segment else 2
    features = np.empty((count, channels), np.float32)
    for c in range(channels):
        features[0, c] = asinh((level[c] - level_mean[c]) * per_level_std[c])
        features[1, c] = log(_variance(inputs[:, c]) + _f(1e-4))
    if segment:
        for c in range(channels):
            features[2, c], features[3, c] = _moments(inputs[:, c])
        _powers(inputs, basis.reshape(segment // 2, 2 * segment), features[4:])
        for k in range(2, count):
            for c in range(channels):
                features[k, c] = log(features[k, c] + _FLOOR)
    return features.reshape(1, count * channels)


@stage
def _variance(values):
    mean = _f(0)
    for value in values:
        mean += value
    mean /= _f(values.size)
    squares = _f(0)
    for value in values:
        squares += (value - mean) * (value - mean)
    return squares / _f(values.size - 1)


@stage
def _moments(values):
    """Means of |x| and of x⁴."""
    size, fourth = _f(0), _f(0)
    for value in values:
        square = value * value
        size += abs(value)
        fourth += square * square
    return size / _f(values.size), fourth / _f(values.size)


@stage
def _powers(inputs, basis, out):
    """Powers [segment / 2, C] of all segments together.

    basis [segment / 2, PARTS segment / 2]: the earlier half of the rows, since the later one is the
    same backwards in the first half of the waves, and its negative in the others.
    """
    half, waves = basis.shape
    bins, segment, channels = waves // PARTS, 2 * half, inputs.shape[1]
    columns = inputs.shape[0] // segment * channels  # those of the first segment, of the next, ...
    even, odd = np.empty((half, columns), np.float32), np.empty((half, columns), np.float32)
    for i in range(half):
        for first in range(0, inputs.shape[0], segment):
            early, late = inputs[first + i], inputs[first + segment - 1 - i]
            at = first // segment * channels
            for c in range(channels):
                even[i, at + c] = early[c] + late[c]
                odd[i, at + c] = early[c] - late[c]
    sums = np.zeros((waves, columns), np.float32)
    for wave in range(waves):
        total, rows = sums[wave], even if wave < segment else odd
        for i in range(half):
            factor, row = basis[i, wave], rows[i]
            for j in range(columns):
                total[j] += factor * row[j]
    out[:] = _f(0)
    for k in range(bins):
        powers = out[k]
        for at in range(0, columns, channels):
            for wave in range(k, waves, bins):
                part = sums[wave, at : at + channels]
                for c in range(channels):
                    powers[c] += part[c] * part[c]
