"""The mixer on many windows, layer by layer: weights are unpacked for many tokens at once.

`fused_mixer` unpacks all weights for each window, and its products are as high as a window has
tokens: the right thing where a window waits for its result. With windows enough for every
multiprocessor, programs of ROWS tokens, of whichever windows, do the channel mixing, nearly all of
the work; between them a program a window does what is its own. x goes through the L2 cache.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from .arrival import numbered, read_order, read_window, record_size
from .block_loads import (
    load_adapters,
    load_channel_weights,
    load_embedding,
    load_hidden_vectors,
    load_token_weights,
    load_vectors,
)
from .mixer_buffers import Buffers
from .mixer_tensors import Sizes
from .numerics import activations, bytes_to_half, gelu, layer_norm, nibbles_to_half
from .window_stages import channel_vectors, embedded, heads_of, token_mixing, window_level

_WINDOW_WARPS = 4
_PART = 128  # powers whose weights a program takes at a time


@triton.jit(do_not_specialize=["block"])
def window_layer(
    records, outputs, vectors, codes8, tokens, orders, block,
    RECORD: tl.constexpr, C: tl.constexpr, CP: tl.constexpr, WINDOW: tl.constexpr,
    T: tl.constexpr, TE: tl.constexpr, D: tl.constexpr, E: tl.constexpr, NB: tl.constexpr,
    L: tl.constexpr, NOUT: tl.constexpr, NP: tl.constexpr, SCALARS: tl.constexpr,
    SEGMENT: tl.constexpr, PART: tl.constexpr,
    FIRST: tl.constexpr, LAST: tl.constexpr,
):  # fmt: skip
    """A window's own work before the channel mixing of a block, or after all; grid (windows,).

    Args:
        records, outputs, vectors, codes8: as of `fused_mixer`.
        tokens: float32 [B, T, D], from layer to layer.
        orders: int32 [B, 2], path and number of each window.
        block: which.

    Compile-time arguments as of `fused_mixer`, and
        FIRST: windows are read and embedded.
        LAST: heads instead of token mixing.
    """
    b = tl.program_id(0)
    t, d, channels = tl.arange(0, T), tl.arange(0, D), tl.arange(0, CP)
    PATCH: tl.constexpr = WINDOW // T * CP
    FEATURES: tl.constexpr = (4 if SEGMENT else 2) * CP
    TC: tl.constexpr = TE if TE < 32 else 32
    powers_at: tl.constexpr = (PATCH + FEATURES) * D // 4
    heads_at: tl.constexpr = powers_at + SEGMENT * CP * D // 8
    basis = vectors
    vectors += 2 * SEGMENT * SEGMENT
    scales = vectors + 3 * CP
    of_blocks = scales + 2 * SCALARS + 3 * D
    outputs += b * (NP + CP)
    orders += 2 * b
    tokens += b * (T * D) + t[:, None] * D + d[None, :]
    if FIRST:
        scaling, embedding, steps = load_embedding(vectors, codes8, PATCH, FEATURES, CP, D, SCALARS)
        path, number = read_order(records + b * RECORD, orders, False)
        tl.store(orders, path)
        tl.store(orders + 1, number)
        window = read_window(records + b * RECORD, C, CP, WINDOW)
        known, level = window_level(window, scaling[0])
        tl.store(outputs + NP + channels, numbered(level, number))
        x = embedded(
            window, known, level, scaling, embedding, steps, basis, codes8 + powers_at, path == 0,
            T, CP, WINDOW, D, SEGMENT, PART,
        )  # fmt: skip
    else:
        path, number = tl.load(orders), tl.load(orders + 1)
        x = tl.load(tokens)
    steady = path == 0
    if LAST:
        n, d4 = tl.arange(0, NP), tl.arange(0, D // 4)
        heads = bytes_to_half(tl.load(codes8 + heads_at + n[:, None] * (D // 4) + d4[None, :]))
        of_heads = of_blocks + NB * (6 * D + 2 * TE + 2 * T + 2 * E)
        y = heads_of(x, heads, of_heads, scales, n, steady, T, D, L, NOUT, NP, SCALARS)
        tl.store(outputs + n, numbered(y, number))
    else:
        of_tokens = load_vectors(of_blocks, scales, block, steady, T, TE, TC, D, E, SCALARS)
        weights = load_token_weights(codes8 + heads_at + D * NP // 4, block, T, TE, TC)
        tl.store(tokens, token_mixing(x, of_tokens, weights, steady, TE, TC, D))


@triton.jit
def _sums(
    h, steady, s_up, i_down, vectors, scales, codes4, adapters, block,
    T: tl.constexpr, TE: tl.constexpr, D: tl.constexpr, E: tl.constexpr, R: tl.constexpr,
    STEP: tl.constexpr, LOW_RANK: tl.constexpr,
):  # fmt: skip
    """Sums of the channel mixing, not scaled, [ROWS, D], and those of the low-rank branch.

    Args:
        h: activations, FP16 [ROWS, D].
        steady: of each row, [ROWS, 1].
        s_up: what the up-projection's sums are scaled by, [ROWS, 1].
        LOW_RANK: whether a row is not steady.
    """
    ROWS: tl.constexpr = h.shape[0]
    sums = tl.zeros((ROWS, D), tl.float32)
    low = tl.zeros((ROWS, max(R, 16)), tl.float32)
    if LOW_RANK:
        a_up, _, _, _ = load_adapters(adapters, block, 0, True, D, E, R, STEP)
        low_up = tl.dot(h, a_up).to(tl.float16)
    for step in tl.range(E // STEP):
        up, down = load_channel_weights(codes4, block, step, D, E, STEP)
        scale, bias = load_hidden_vectors(vectors, scales, block, step, False, T, TE, D, E, STEP)
        # Alike on both ways, so that a steady row's last bits do not tell of its neighbours.
        u = tl.dot(h, tl.trans(nibbles_to_half(up))) * (s_up * scale[None, :]) + bias[None, :]
        if LOW_RANK:
            _, b_up, a_down, _ = load_adapters(adapters, block, step, True, D, E, R, STEP)
            u += tl.where(steady, 0.0, tl.dot(low_up, b_up))
        u = activations(gelu(u), i_down, steady)
        sums = tl.dot(u, tl.trans(nibbles_to_half(down)), sums)
        if LOW_RANK:
            low = tl.dot(u, a_down, low)
    return sums, low


@triton.jit(do_not_specialize=["block", "count"])
def channel_layer(
    tokens, orders, vectors, codes4, adapters, block, count,
    ROWS: tl.constexpr, CP: tl.constexpr, T: tl.constexpr, TE: tl.constexpr, D: tl.constexpr,
    E: tl.constexpr, R: tl.constexpr, SCALARS: tl.constexpr, SEGMENT: tl.constexpr,
    STEP: tl.constexpr,
):  # fmt: skip
    """The channel mixing of a block; grid (tokens / ROWS, rounded up,).

    Args:
        tokens, orders, block: as of `window_layer`.
        vectors, codes4, adapters: as of `fused_mixer`.
        count: tokens of all windows.

    Compile-time arguments as of `fused_mixer`, and
        ROWS: tokens of a program.
    """
    rows, d = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, D)
    known = rows < count
    scales = vectors + 2 * SEGMENT * SEGMENT + 3 * CP
    vectors = scales + 2 * SCALARS + 3 * D
    of_block = load_vectors(vectors, scales, block, False, T, TE, 16, D, E, SCALARS)
    gain, bias, scale_down, bias_down, i_up, i_down = channel_vectors(of_block)
    path = tl.load(orders + 2 * (rows // T), mask=known, other=0)
    steady = (path == 0)[:, None]
    s_up = tl.where(steady, tl.load(scales + 4 + 4 * block + 2), 1.0)
    s_down = tl.where(steady, tl.load(scales + 4 + 4 * block + 3), 1.0)
    tokens += rows[:, None] * D + d[None, :]
    x = tl.load(tokens, mask=known[:, None], other=0.0)
    h = activations(layer_norm(x, gain, bias, D), i_up, steady)
    if tl.max(path) == 0:
        sums, _ = _sums(
            h, steady, s_up, i_down, vectors, scales, codes4, adapters, block,
            T, TE, D, E, R, STEP, False,
        )  # fmt: skip
        sums = sums * (s_down * scale_down[None, :]) + bias_down[None, :]
    else:
        sums, low = _sums(
            h, steady, s_up, i_down, vectors, scales, codes4, adapters, block,
            T, TE, D, E, R, STEP, True,
        )  # fmt: skip
        r = tl.arange(0, max(R, 16))
        b_down = adapters + block * (2 * R * (D + E)) + R * (D + E) + E * R
        b_down = tl.load(b_down + r[:, None] * D + d[None, :], mask=r[:, None] < R, other=0.0)
        branch = tl.where(steady, 0.0, tl.dot(low.to(tl.float16), b_down))
        sums = sums * (s_down * scale_down[None, :]) + bias_down[None, :]
        sums += branch
    # Read again, otherwise than before, or the compiler would keep it in registers all the while.
    x = tl.load(tokens, mask=known[:, None], other=0.0, cache_modifier=".cg")
    tl.store(tokens, x + sums, mask=known[:, None])


class LayeredWorkspace(NamedTuple):
    """What the layers pass on, on the device.

    Args:
        tokens: float32 [windows, tokens, width].
        orders: int32 [windows, 2].
    """

    tokens: Tensor
    orders: Tensor

    def part(self, windows: slice) -> LayeredWorkspace:
        """That of some of the windows."""
        return LayeredWorkspace(self.tokens[windows], self.orders[windows])


def layered_workspace(sizes: Sizes, windows: int, device: str) -> LayeredWorkspace:
    """A workspace for so many windows."""
    return LayeredWorkspace(
        torch.empty(windows, sizes.tokens, sizes.width, device=device),
        torch.empty(windows, 2, dtype=torch.int32, device=device),
    )


def launch_layered(
    records: Tensor, outputs: Tensor, model: Buffers, shared: LayeredWorkspace, sizes: Sizes,
    warps: int, rows: int,
) -> None:  # fmt: skip
    """Infer on windows that are there as `fused_launch.launch` does.

    Args:
        records, outputs, model, sizes: see there.
        shared: what `layered_workspace` gave for this many windows.
        warps, rows: of a program of the channel mixing.
    """
    windows, count = len(records), len(records) * sizes.tokens
    both = {
        "CP": sizes.padded_channels,
        "T": sizes.tokens,
        "TE": sizes.token_hidden,
        "D": sizes.width,
        "E": sizes.hidden,
        "SCALARS": sizes.scalars,
        "SEGMENT": sizes.segment,
    }
    own = {
        "RECORD": record_size(sizes.window * sizes.channels),
        "C": sizes.channels,
        "WINDOW": sizes.window,
        "NB": sizes.blocks,
        "L": sizes.labels,
        "NOUT": sizes.results,
        "NP": sizes.padded_results,
        "PART": min(sizes.powers, _PART),
        "num_warps": _WINDOW_WARPS,
    }
    for block in range(sizes.blocks + 1):
        last = block == sizes.blocks
        window_layer[(windows,)](
            records, outputs, model.vectors, model.codes8, shared.tokens,
            shared.orders, block, **both, **own, FIRST=block == 0, LAST=last,
        )  # fmt: skip
        if not last:
            channel_layer[(triton.cdiv(count, rows),)](
                shared.tokens, shared.orders, model.vectors, model.codes4, model.adapters, block,
                count, **both, ROWS=rows, R=sizes.rank, STEP=sizes.step, num_warps=warps,
                num_stages=1,  # loads ahead take registers that it has not
            )  # fmt: skip
