"""The whole mixer in one launch: windows in, logits and forecasts out, either path.

A window is worked on by SPLITS programs. Each of them does everything but the channel mixing,
whose hidden units they share out: each takes its part of them from the up-projection through the
GELU into its part of the down-projection's sums, which `exchange` adds up; a large part in steps,
the next step's weights loaded meanwhile. The path is a number that the kernel reads; both paths
are in the one launch, and the host waits for nothing.

The blocks are a loop, not unrolled: code that is run once has to be fetched as it is run, and
costs more than what it does. What a block needs is loaded while the one before it exchanges.
`mixer_buffers` lays out the arguments.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .arrival import collect_window, numbered, read_order, read_window, share_window
from .block_loads import (
    load_adapters,
    load_channel_weights,
    load_hidden_vectors,
    load_token_weights,
    load_vectors,
)
from .dual_linear import dual_linear
from .exchange import TAG, collect, publish
from .numerics import (
    activations,
    add_pairs,
    asinh,
    bytes_to_half,
    gelu,
    layer_norm,
    log,
    nibbles_to_half,
)


@triton.jit
def _token_mixing(h, up, down, scale, bias, inverse_scale, steady):
    """Sums [T, D] of some hidden units of the token mixing, on h [T, D]."""
    u = gelu(tl.dot(bytes_to_half(up), h) * scale[:, None] + bias[:, None])
    return tl.dot(bytes_to_half(down), activations(u, inverse_scale, steady))


@triton.jit
def _channel_mixing(h, up, down, hidden, adapters, scale, inverse_scale, steady):
    """Sums [T, D] of some hidden units of the channel mixing, on h [T, D]."""
    scale_up, bias_up = hidden
    a_up, b_up, a_down, b_down = adapters
    u = gelu(dual_linear(h, up, scale_up, a_up, b_up, steady) + bias_up[None, :])
    u = activations(u, inverse_scale, steady)
    return dual_linear(u, down, scale, a_down, b_down, steady)


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
def fused_mixer(
    records, outputs, seen, vectors, codes8, codes4, adapters, words, slots,
    RECORD: tl.constexpr, C: tl.constexpr, CP: tl.constexpr, WINDOW: tl.constexpr,
    T: tl.constexpr, TE: tl.constexpr, D: tl.constexpr, E: tl.constexpr, NB: tl.constexpr,
    R: tl.constexpr, L: tl.constexpr, NOUT: tl.constexpr, NP: tl.constexpr,
    SCALARS: tl.constexpr, SEGMENT: tl.constexpr, PART: tl.constexpr, STEP: tl.constexpr,
    SPLITS: tl.constexpr, WAITS: tl.constexpr, ROUNDS: tl.constexpr,
    ASM_W: tl.constexpr, FORM_W: tl.constexpr, PACK_W: tl.constexpr,
    ASM_1: tl.constexpr, FORM_1: tl.constexpr, PACK_1: tl.constexpr,
    ASM_2: tl.constexpr, FORM_2: tl.constexpr, PACK_2: tl.constexpr,
):  # fmt: skip
    """Infer; grid (SPLITS, windows).

    Args:
        records: float32 [B, RECORD], each an order and a window [WINDOW, C] of raw SI values, NaN
            where there is none; see `arrival`.
        outputs: int64 [B, NP + CP]: L logits and the forecast, then the channels' levels; the
            value's bits in the lower half of a word, the call's number in the upper.
        seen: int64 [B, SPLITS], the last order of each program where a new one is waited for.
        vectors, codes8, codes4, adapters: the model.
        words: int64 [B, WINDOW, CP], where the programs of a window pass it on.
        slots: int32, where they add up.

    Compile-time arguments (see `fused_launch.constants`); padded ones are powers of two.
        RECORD: float32 values of a record.
        C, CP: channels, and padded.
        WINDOW, T: rows and tokens of a window; WINDOW / T rows are a patch.
        D, E, TE: width, hidden units of the channel mixing and of the token mixing.
        NB: blocks.
        R: rank of the low-rank branches, padded to a power of two.
        L, NOUT, NP: logits, all results (logits and forecast), and these padded.
        SCALARS: activation scales, padded.
        SEGMENT: rows of a segment of the spectrum; 0: there is none.
        PART: powers whose weights a program takes at a time.
        STEP: hidden units that a program works on at a time.
        SPLITS: programs that share a window.
        WAITS: whether the kernel is launched ahead of its windows.
        ROUNDS: of the exchange of partial sums: 0 for a single program, 1 where each reads all
            others' sums, 2 where each first adds up its own columns.
        ASM, FORM, PACK: PTX that polls, its constraints, and words at a time: of the window (W),
            of the first (1) and of the second round (2).
    """
    split, b = tl.program_id(0), tl.program_id(1)
    STEPS: tl.constexpr = E // SPLITS // STEP
    P: tl.constexpr = WINDOW // T
    DS: tl.constexpr = D // SPLITS
    # The heads' results of a program; 16 would put all warps on the same ones.
    NPS: tl.constexpr = NP // SPLITS if NP // SPLITS > 32 else 32
    # Products of 64 rows would go to other tensor-core instructions, of another layout.
    TC: tl.constexpr = TE if TE < 32 else 32
    channels = tl.arange(0, CP)
    t, d = tl.arange(0, T), tl.arange(0, D)
    records += b * RECORD
    seen += b * SPLITS + split
    words += b * (WINDOW * CP)
    if not WAITS:
        path, number = read_order(records, seen, WAITS)
        if SPLITS == 1:
            window = read_window(records, C, CP, WINDOW)
        else:
            share_window(records, words, number, split, C, CP, WINDOW, SPLITS)

    # The model's part that does not depend on the window, while that crosses the bus. What goes
    # through shared memory comes last: its stores wait for it, and hold up all later loads.
    FEATURES: tl.constexpr = 4 if SEGMENT else 2
    k, d4 = tl.arange(0, P * CP // 4), tl.arange(0, D // 4)
    kf = tl.arange(0, FEATURES * CP // 4)
    n = split * NPS + tl.arange(0, NPS)
    features_at: tl.constexpr = P * CP * D // 4
    powers_at: tl.constexpr = features_at + FEATURES * CP * D // 4
    heads_at: tl.constexpr = powers_at + SEGMENT * CP * D // 8
    blocks_at: tl.constexpr = heads_at + D * NP // 4
    weights = load_channel_weights(codes4, 0, split * STEPS, D, E, STEP)
    token_weights = load_token_weights(codes8 + blocks_at, 0, T, TE, TC)
    basis = vectors
    vectors += 2 * SEGMENT * SEGMENT
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
    vectors += 3 * D
    embed = bytes_to_half(tl.load(codes8 + d[:, None] * (P * CP // 4) + k[None, :]))
    embed_features = bytes_to_half(
        tl.load(codes8 + features_at + d[:, None] * (FEATURES * CP // 4) + kf[None, :])
    )
    powers_codes = codes8 + powers_at
    heads = bytes_to_half(
        tl.load(
            codes8 + heads_at + n[:, None] * (D // 4) + d4[None, :], mask=n[:, None] < NP, other=0
        )
    )
    codes8 += blocks_at
    if WAITS:
        path, number = read_order(records, seen, WAITS)
        if SPLITS == 1:
            window = read_window(records, C, CP, WINDOW)
        else:
            share_window(records, words, number, split, C, CP, WINDOW, SPLITS)
    steady = path == 0
    block_vectors = load_vectors(vectors, scales, 0, steady, T, TE, TC, D, E, SCALARS)
    hidden = load_hidden_vectors(vectors, scales, 0, split * STEPS, steady, T, TE, D, E, STEP)
    low_rank = load_adapters(adapters, 0, split * STEPS, not steady, D, E, R, STEP)

    # Standardise each channel about its level, squash, embed.
    if SPLITS > 1:
        window = collect_window(words, number, CP, WINDOW, ASM_W, FORM_W, PACK_W)
    known = window == window
    total, count = tl.reduce((tl.where(known, window, 0.0), known.to(tl.float32)), 0, add_pairs)
    level = tl.where(count > 0, total / tl.maximum(count, 1.0), level_mean)
    outputs += b * (NP + CP)
    levels = tl.where(split == 0, CP, 0)  # a branch would cost registers
    tl.store(outputs + NP + channels, numbered(level, number), mask=channels < levels)
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

    pairs = t[:, None] * D + 2 * tl.arange(0, D // 2)[None, :]
    for block in tl.range(NB, num_stages=1):
        # fmt: off
        (gain_1, bias_1, gain_2, bias_2, scale_tu, bias_tu, scale_tu_2, bias_tu_2, scale_td,
         bias_td, scale_down, bias_down, i_tu, i_td, i_up, i_down) = block_vectors
        # fmt: on
        up, down = nibbles_to_half(weights[0]), nibbles_to_half(weights[1])
        # Token mixing from the left: every warp keeps to its own columns.
        h = activations(layer_norm(x, gain_1, bias_1, D), i_tu, steady)
        sums = _token_mixing(h, token_weights[0], token_weights[1], scale_tu, bias_tu, i_td, steady)
        if TE > TC:
            sums += _token_mixing(
                h, token_weights[2], token_weights[3], scale_tu_2, bias_tu_2, i_td, steady
            )
        x += sums * scale_td[:, None] + bias_td[:, None]
        # Channel mixing: this program's hidden units.
        h = activations(layer_norm(x, gain_2, bias_2, D), i_up, steady)
        u = tl.zeros((T, D), tl.float32)
        for step in tl.range(1, STEPS, num_stages=1):
            at = split * STEPS + step
            weights = load_channel_weights(codes4, block, at, D, E, STEP)
            next_hidden = load_hidden_vectors(vectors, scales, block, at, steady, T, TE, D, E, STEP)
            next_low_rank = load_adapters(adapters, block, at, not steady, D, E, R, STEP)
            u += _channel_mixing(h, up, down, hidden, low_rank, scale_down, i_down, steady)
            up, down = nibbles_to_half(weights[0]), nibbles_to_half(weights[1])
            hidden, low_rank = next_hidden, next_low_rank
        u += _channel_mixing(h, up, down, hidden, low_rank, scale_down, i_down, steady)
        x += bias_down[None, :]
        # Whoever publishes a block has all sums of the one before, so all have those of the second
        # before: two places are enough.
        tag = (number * (NB | 1) + block) & TAG
        mine = slots + (2 * b + block % 2) * ((SPLITS + ROUNDS - 1) * T * D)
        if ROUNDS == 1:
            token = publish(mine + split * (T * D) + pairs, u, tag, T, D)
        if ROUNDS == 2:
            # To each program its own columns of all partial sums; then everybody's sums to all.
            column = 2 * tl.arange(0, D // 2)
            there = ((column // DS) * (SPLITS * T * DS) + column % DS)[None, :]
            token = publish(mine + split * (T * DS) + t[:, None] * DS + there, u, tag, T, D)
        following = tl.minimum(block + 1, NB - 1)
        weights = load_channel_weights(codes4, following, split * STEPS, D, E, STEP)
        token_weights = load_token_weights(codes8, following, T, TE, TC)
        block_vectors = load_vectors(vectors, scales, following, steady, T, TE, TC, D, E, SCALARS)
        hidden = load_hidden_vectors(
            vectors, scales, following, split * STEPS, steady, T, TE, D, E, STEP
        )
        low_rank = load_adapters(adapters, following, split * STEPS, not steady, D, E, R, STEP)
        if ROUNDS == 0:
            x += u
        if ROUNDS == 1:
            x += collect(mine + pairs, tag + token, T, D, ASM_1, FORM_1, PACK_1)
        if ROUNDS == 2:
            own = t[:, None] * DS + 2 * tl.arange(0, DS // 2)[None, :]
            part = collect(
                mine + split * (SPLITS * T * DS) + own, tag, T, DS, ASM_1, FORM_1, PACK_1
            )
            whole = mine + SPLITS * T * D
            own = t[:, None] * D + split * DS + 2 * tl.arange(0, DS // 2)[None, :]
            publish(whole + own, part, tag, T, DS)
            x += collect(whole + pairs, tag + token, T, D, ASM_2, FORM_2, PACK_2)

    # Both heads in one product: row 0 is the mean token, the last row the last one.
    vectors += NB * (6 * D + 2 * TE + 2 * T + 2 * E)
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
    tl.store(outputs + n, numbered(y, number), mask=n < NP)
