"""What a program does for one window alone: embedding, token mixing, heads."""

from __future__ import annotations

import triton
import triton.language as tl

from .numerics import activations, add_pairs, asinh, bytes_to_half, gelu, layer_norm, log


@triton.jit
def window_level(window, level_mean):
    """Which values of a window [WINDOW, CP] are known, and the channels' means [CP]."""
    known = window == window
    total, count = tl.reduce((tl.where(known, window, 0.0), known.to(tl.float32)), 0, add_pairs)
    return known, tl.where(count > 0, total / tl.maximum(count, 1.0), level_mean)


@triton.jit
def embedded(
    window, known, level, scaling, weights, steps, basis, powers_codes, steady,
    T: tl.constexpr, CP: tl.constexpr, WINDOW: tl.constexpr, D: tl.constexpr,
    SEGMENT: tl.constexpr, PART: tl.constexpr,
):  # fmt: skip
    """A window standardised about its level, squashed, and embedded with its features, [T, D].

    Args:
        window, known, level: see `window_level`.
        scaling: level_mean, inverse_level_std, inverse_spread, [CP] each.
        weights: of patches and of features, FP16; their scales, and the bias, [D].
        steps: activation scales of patches and of features, and their inverses.
        basis: of the spectrum.
        powers_codes: INT8 weights of the powers.
        steady: the path.
    """
    level_mean, inverse_level_std, inverse_spread = scaling
    embed, embed_features, embed_scale, features_scale, embed_bias = weights
    s_embed, s_features, i_embed, i_features = steps
    P: tl.constexpr = WINDOW // T
    FEATURES: tl.constexpr = 4 if SEGMENT else 2
    d = tl.arange(0, D)
    y = asinh(tl.where(known, (window - level[None, :]) * inverse_spread[None, :], 0.0))
    total, squares = tl.reduce((y, y * y), 0, add_pairs)
    variance = (squares - total * total / WINDOW) / (WINDOW - 1)
    placed = asinh((level - level_mean) * inverse_level_std)
    features = tl.join(placed, log(variance + 1e-4))
    if SEGMENT:
        features = tl.join(features, _moments(y, WINDOW))
        features = tl.permute(features, (0, 2, 1))
    features = tl.reshape(features, (FEATURES * CP,))
    features = activations(
        tl.broadcast_to(features[None, :], (T, FEATURES * CP)), i_features, steady
    )
    patches = activations(tl.reshape(y, (T, P * CP)), i_embed, steady)
    x = tl.dot(patches, tl.trans(embed)) * (embed_scale * tl.where(steady, s_embed, 1.0))[None, :]
    described = tl.dot(features, tl.trans(embed_features))
    if SEGMENT:
        powers = _log_powers(y, basis, WINDOW, CP, SEGMENT)
        PARTS: tl.constexpr = SEGMENT * CP // 2 // PART
        powers = tl.reshape(powers, (PARTS, PART))
        words_at = d[:, None] * (SEGMENT * CP // 8) + tl.arange(0, PART // 4)[None, :]
        for piece in tl.range(PARTS, num_stages=1):
            chosen = tl.sum(tl.where(tl.arange(0, PARTS)[:, None] == piece, powers, 0.0), 0)
            of_part = powers_codes + piece * (PART // 4) + words_at
            described += _product(chosen, of_part, i_features, steady, T)
    x += (
        described * (features_scale * tl.where(steady, s_features, 1.0))[None, :]
        + embed_bias[None, :]
    )
    return x


@triton.jit
def _moments(y, WINDOW: tl.constexpr):
    """Logarithms of the means of |y| and y⁴ of each column, [CP, 2]."""
    squares = y * y
    size, fourth = tl.reduce((tl.abs(y), squares * squares), 0, add_pairs)
    return log(tl.join(size, fourth) * (1.0 / WINDOW) + 1e-2)


@triton.jit
def _log_powers(y, basis, WINDOW: tl.constexpr, CP: tl.constexpr, SEGMENT: tl.constexpr):
    """Logarithms of the powers by frequency of y [WINDOW, CP], [SEGMENT / 2 · CP]."""
    SEGMENTS: tl.constexpr = WINDOW // SEGMENT
    waves, rows = tl.arange(0, 2 * SEGMENT), tl.arange(0, SEGMENT)
    turns = tl.load(basis + waves[:, None] * SEGMENT + rows[None, :]).to(tl.float16)
    pieces = tl.permute(tl.reshape(y.to(tl.float16), (SEGMENTS, SEGMENT, CP)), (1, 0, 2))
    sums = tl.dot(turns, tl.reshape(pieces, (SEGMENT, SEGMENTS * CP)))
    powers = tl.sum(tl.reshape(sums * sums, (2 * SEGMENT, SEGMENTS, CP)), 1)
    powers = tl.sum(tl.reshape(powers, (4, SEGMENT // 2, CP)), 0)
    return tl.reshape(log(powers + 1e-2), (SEGMENT * CP // 2,))


@triton.jit
def _product(values, words, inverse_scale, steady, T: tl.constexpr):
    """Values [k], the same for every token, by INT8 weights at `words` [D, k / 4]: [T, D]."""
    values = tl.broadcast_to(values[None, :], (T, values.shape[0]))
    values = activations(values, inverse_scale, steady)
    return tl.dot(values, tl.trans(bytes_to_half(tl.load(words))))


@triton.jit
def _token_mixing(h, up, down, scale, bias, inverse_scale, steady):
    """Sums [T, D] of some hidden units of the token mixing, on h [T, D]."""
    u = gelu(tl.dot(bytes_to_half(up), h) * scale[:, None] + bias[:, None])
    return tl.dot(bytes_to_half(down), activations(u, inverse_scale, steady))


@triton.jit
def token_mixing(x, vectors, weights, steady, TE: tl.constexpr, TC: tl.constexpr, D: tl.constexpr):
    """x [T, D] after a block's token mixing; from the left: every warp keeps to its own columns.

    Args:
        x: tokens of one window.
        vectors, weights: `load_vectors` and `load_token_weights` of the block.
        steady: the path.
    """
    (gain, bias, _, _, scale_up, bias_up, scale_up_2, bias_up_2, scale_down, bias_down,
     _, _, i_up, i_down, _, _) = vectors  # fmt: skip
    h = activations(layer_norm(x, gain, bias, D), i_up, steady)
    sums = _token_mixing(h, weights[0], weights[1], scale_up, bias_up, i_down, steady)
    if TE > TC:
        sums += _token_mixing(h, weights[2], weights[3], scale_up_2, bias_up_2, i_down, steady)
    return x + (sums * scale_down[:, None] + bias_down[:, None])


@triton.jit
def channel_vectors(vectors):
    """Of `load_vectors`: norm's gain and bias, scale and bias of the sums, and 1 / s of both."""
    (_, _, gain, bias, _, _, _, _, _, _, scale, bias_down, _, _, i_up, i_down) = vectors
    return gain, bias, scale, bias_down, i_up, i_down


@triton.jit
def heads_of(
    x, heads, vectors, scales, n, steady,
    T: tl.constexpr, D: tl.constexpr, L: tl.constexpr, NOUT: tl.constexpr, NP: tl.constexpr,
    SCALARS: tl.constexpr,
):  # fmt: skip
    """Results n of both heads in one product: row 0 is the mean token, the last row the last one.

    Args:
        x: tokens of one window, [T, D].
        heads: their weights, FP16 [n, D].
        vectors: norm's gain and bias, and scales and biases of the results.
        scales: activation scales.
        n: which results.
        steady: the path.
    """
    t, d = tl.arange(0, T), tl.arange(0, D)
    x = layer_norm(x, tl.load(vectors + d), tl.load(vectors + D + d), D)
    s_class, s_forecast = tl.load(scales + 2), tl.load(scales + 3)
    i_class, i_forecast = tl.load(scales + SCALARS + 2), tl.load(scales + SCALARS + 3)
    mean = activations(tl.sum(x, 0) * (1.0 / T), i_class, steady)
    both = tl.where(t[:, None] == 0, mean[None, :], activations(x, i_forecast, steady))
    is_class = n < L
    y = tl.dot(both, tl.trans(heads))
    y = tl.sum(tl.where(t[:, None] == tl.where(is_class, 0, T - 1)[None, :], y, 0.0), 0)
    y *= tl.load(vectors + 2 * D + n, mask=n < NOUT, other=0.0) * tl.where(
        steady, tl.where(is_class, s_class, s_forecast), 1.0
    )
    y += tl.load(vectors + 2 * D + NP + n, mask=n < NOUT, other=0.0)
    return y
