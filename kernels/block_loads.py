"""What the kernels read of the embedding and of one block; `mixer_buffers` lays it out.

Hidden units of the channel mixing are read STEP at a time; `step` counts those of all programs.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .numerics import bytes_to_half


@triton.jit
def load_embedding(
    vectors, codes8,
    PATCH: tl.constexpr, FEATURES: tl.constexpr, CP: tl.constexpr, D: tl.constexpr,
    SCALARS: tl.constexpr,
):  # fmt: skip
    """Arguments scaling, weights and steps of `window_stages.embedded`.

    Args:
        vectors, codes8: the model's, `vectors` after the basis of the spectrum.
        PATCH, FEATURES: values of a patch, and features of a window without the powers.
    """
    channels, d = tl.arange(0, CP), tl.arange(0, D)
    k, kf = tl.arange(0, PATCH // 4), tl.arange(0, FEATURES // 4)
    level_mean = tl.load(vectors + channels)
    inverse_level_std = tl.load(vectors + CP + channels)
    inverse_spread = tl.load(vectors + 2 * CP + channels)
    scales = vectors + 3 * CP
    vectors = scales + 2 * SCALARS
    embed_scale = tl.load(vectors + d)
    features_scale = tl.load(vectors + D + d)
    embed_bias = tl.load(vectors + 2 * D + d)
    s_embed, s_features = tl.load(scales), tl.load(scales + 1)
    i_embed, i_features = tl.load(scales + SCALARS), tl.load(scales + SCALARS + 1)
    embed = bytes_to_half(tl.load(codes8 + d[:, None] * (PATCH // 4) + k[None, :]))
    of_features = codes8 + PATCH * D // 4 + d[:, None] * (FEATURES // 4) + kf[None, :]
    return (
        (level_mean, inverse_level_std, inverse_spread),
        (embed, bytes_to_half(tl.load(of_features)), embed_scale, features_scale, embed_bias),
        (s_embed, s_features, i_embed, i_features),
    )


@triton.jit
def load_channel_weights(
    codes4, block, step, D: tl.constexpr, E: tl.constexpr, STEP: tl.constexpr
):  # fmt: skip
    """Channel mixing's codes as words: up [STEP, D / 8] and down [D, STEP / 8]."""
    d, h = tl.arange(0, D), tl.arange(0, STEP)
    d8, h8 = tl.arange(0, D // 8), tl.arange(0, STEP // 8)
    up = codes4 + (block * (E // STEP) + step) * (D * STEP // 4)
    down = up + D * STEP // 8
    return (
        tl.load(up + h[:, None] * (D // 8) + d8[None, :]),
        tl.load(down + d[:, None] * (STEP // 8) + h8[None, :]),
    )


@triton.jit
def load_token_weights(codes8, block, T: tl.constexpr, TE: tl.constexpr, TC: tl.constexpr):
    """Token mixing's codes as words: up [TC, T / 4] and down [T, TC / 4], of the first and of the
    last TC hidden units.
    """
    t, te = tl.arange(0, T), tl.arange(0, TC)
    t4, te4 = tl.arange(0, T // 4), tl.arange(0, TC // 4)
    up = codes8 + block * (T * TE // 2)
    down = up + T * TE // 4
    rest: tl.constexpr = TE - TC
    return (
        tl.load(up + te[:, None] * (T // 4) + t4[None, :]),
        tl.load(down + t[:, None] * (TE // 4) + te4[None, :]),
        tl.load(up + (rest + te)[:, None] * (T // 4) + t4[None, :]),
        tl.load(down + t[:, None] * (TE // 4) + rest // 4 + te4[None, :]),
    )


@triton.jit
def load_vectors(
    vectors, scales, block, steady, T: tl.constexpr, TE: tl.constexpr, TC: tl.constexpr,
    D: tl.constexpr, E: tl.constexpr, SCALARS: tl.constexpr,
):  # fmt: skip
    """A block's norms, weight scales (times the activation's while steady), biases, and 1 / s;
    all but the scales and biases of the hidden units of the channel mixing.
    """
    t, te, d = tl.arange(0, T), tl.arange(0, TC), tl.arange(0, D)
    norms = vectors + block * (6 * D + 2 * TE + 2 * T + 2 * E)
    token_up = norms + 4 * D
    token_down = token_up + 2 * TE
    down = token_down + 2 * T + 2 * E
    s = scales + 4 + 4 * block
    inverse = s + SCALARS
    return (
        tl.load(norms + d),
        tl.load(norms + D + d),
        tl.load(norms + 2 * D + d),
        tl.load(norms + 3 * D + d),
        tl.load(token_up + te) * tl.where(steady, tl.load(s), 1.0),
        tl.load(token_up + TE + te),
        tl.load(token_up + TE - TC + te) * tl.where(steady, tl.load(s), 1.0),
        tl.load(token_up + 2 * TE - TC + te),
        tl.load(token_down + t) * tl.where(steady, tl.load(s + 1), 1.0),
        tl.load(token_down + T + t),
        tl.load(down + d) * tl.where(steady, tl.load(s + 3), 1.0),
        tl.load(down + D + d),
        tl.load(inverse),
        tl.load(inverse + 1),
        tl.load(inverse + 2),
        tl.load(inverse + 3),
    )


@triton.jit
def load_hidden_vectors(
    vectors, scales, block, step, steady, T: tl.constexpr, TE: tl.constexpr, D: tl.constexpr,
    E: tl.constexpr, STEP: tl.constexpr,
):  # fmt: skip
    """Weight scales (times the activation's while steady) and biases of hidden units, [STEP]."""
    up = vectors + block * (6 * D + 2 * TE + 2 * T + 2 * E) + 4 * D + 2 * TE + 2 * T
    h = step * STEP + tl.arange(0, STEP)
    s = tl.load(scales + 4 + 4 * block + 2)
    return tl.load(up + h) * tl.where(steady, s, 1.0), tl.load(up + E + h)


@triton.jit
def load_adapters(
    adapters, block, step, wanted, D: tl.constexpr, E: tl.constexpr, R: tl.constexpr,
    STEP: tl.constexpr,
):  # fmt: skip
    """A and B of a block's up- and down-projection, of as many ranks as a product takes; nothing
    is read while steady.
    """
    d, r, h = tl.arange(0, D), tl.arange(0, max(R, 16)), step * STEP + tl.arange(0, STEP)
    known = wanted & (r < R)
    up = adapters + block * (2 * R * (D + E))
    down = up + R * (D + E)
    return (
        tl.load(up + d[:, None] * R + r[None, :], mask=known[None, :], other=0.0),
        tl.load(up + D * R + r[:, None] * E + h[None, :], mask=known[:, None], other=0.0),
        tl.load(down + h[:, None] * R + r[None, :], mask=known[None, :], other=0.0),
        tl.load(down + E * R + r[:, None] * D + d[None, :], mask=known[:, None], other=0.0),
    )
