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
    load_embedding,
    load_hidden_vectors,
    load_token_weights,
    load_vectors,
)
from .dual_linear import dual_linear
from .exchange import TAG, collect, publish
from .numerics import activations, bytes_to_half, gelu, layer_norm, nibbles_to_half
from .window_stages import channel_vectors, embedded, heads_of, token_mixing, window_level


@triton.jit
def _channel_mixing(h, up, down, hidden, adapters, scale, inverse_scale, steady):
    """Sums [T, D] of some hidden units of the channel mixing, on h [T, D]."""
    scale_up, bias_up = hidden
    a_up, b_up, a_down, b_down = adapters
    u = gelu(dual_linear(h, up, scale_up, a_up, b_up, steady) + bias_up[None, :])
    u = activations(u, inverse_scale, steady)
    return dual_linear(u, down, scale, a_down, b_down, steady)


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
    t = tl.arange(0, T)
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
    d4 = tl.arange(0, D // 4)
    n = split * NPS + tl.arange(0, NPS)
    features_at: tl.constexpr = P * CP * D // 4
    powers_at: tl.constexpr = features_at + FEATURES * CP * D // 4
    heads_at: tl.constexpr = powers_at + SEGMENT * CP * D // 8
    blocks_at: tl.constexpr = heads_at + D * NP // 4
    weights = load_channel_weights(codes4, 0, split * STEPS, D, E, STEP)
    token_weights = load_token_weights(codes8 + blocks_at, 0, T, TE, TC)
    basis = vectors
    vectors += 2 * SEGMENT * SEGMENT
    scaling, embedding, steps = load_embedding(
        vectors, codes8, P * CP, FEATURES * CP, CP, D, SCALARS
    )
    scales = vectors + 3 * CP
    vectors = scales + 2 * SCALARS + 3 * D
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
    known, level = window_level(window, scaling[0])
    outputs += b * (NP + CP)
    levels = tl.where(split == 0, CP, 0)  # a branch would cost registers
    tl.store(outputs + NP + channels, numbered(level, number), mask=channels < levels)
    x = embedded(
        window, known, level, scaling, embedding, steps, basis, powers_codes, steady,
        T, CP, WINDOW, D, SEGMENT, PART,
    )  # fmt: skip

    pairs = t[:, None] * D + 2 * tl.arange(0, D // 2)[None, :]
    for block in tl.range(NB, num_stages=1):
        up, down = nibbles_to_half(weights[0]), nibbles_to_half(weights[1])
        x = token_mixing(x, block_vectors, token_weights, steady, TE, TC, D)
        # Channel mixing: this program's hidden units.
        gain, bias, scale_down, bias_down, i_up, i_down = channel_vectors(block_vectors)
        h = activations(layer_norm(x, gain, bias, D), i_up, steady)
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

    vectors += NB * (6 * D + 2 * TE + 2 * T + 2 * E)
    y = heads_of(x, heads, vectors, scales, n, steady, T, D, L, NOUT, NP, SCALARS)
    tl.store(outputs + n, numbered(y, number), mask=n < NP)
