"""The mixer on many windows, layer by layer: weights are read for many tokens at once.

`fused_mixer` unpacks all weights for each window, and its products are as high as a window has
tokens: the right thing where a window waits for its result. With windows enough for every
multiprocessor, programs of ROWS tokens, of whichever windows, do the channel mixing, nearly all of
the work; between them a program a window does what is its own. Tokens go through the L2 cache.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from .arrival import numbered, read_order, read_window, record_size
from .block_loads import (
    load_embedding,
    load_hidden_vectors,
    load_token_weights,
    load_vectors,
)
from .mixer_buffers import Buffers
from .mixer_tensors import LEAST_DOT, MixerTensors, Sizes
from .numerics import activations, bytes_to_half, gelu, layer_norm
from .window_stages import channel_vectors, embedded, heads_of, token_mixing, window_level

_WINDOW_WARPS = 4
_PART = 128  # powers whose weights a program takes at a time
_ROWS_A_WARP = 16  # that a tensor-core instruction has
_STEP = 32  # hidden units of the channel mixing at a time
_AHEAD = 3  # steps whose weights are in shared memory


@triton.jit(do_not_specialize=["block"])
def window_layer(
    records, outputs, vectors, codes8, tokens, sums, normed, orders, block,
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
        sums: float32 [B, T, D], of the channel mixing of the block before.
        normed: FP16 [B, T, D], what the channel mixing multiplies.
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
    of_window = b * (T * D) + t[:, None] * D + d[None, :]
    tokens += of_window
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
        before = load_vectors(of_blocks, scales, block - 1, steady, T, TE, TC, D, E, SCALARS)
        _, _, scale, bias, _, _ = channel_vectors(before)
        x += tl.load(sums + of_window) * scale[None, :] + bias[None, :]
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
        x = token_mixing(x, of_tokens, weights, steady, TE, TC, D)
        gain, bias, _, _, inverse_scale, _ = channel_vectors(of_tokens)
        tl.store(tokens, x)
        tl.store(
            normed + of_window, activations(layer_norm(x, gain, bias, D), inverse_scale, steady)
        )


@triton.jit
def _sums(
    h, steady, s_up, i_down, vectors, scales, weights, block,
    T: tl.constexpr, TE: tl.constexpr, D: tl.constexpr, E: tl.constexpr, R: tl.constexpr,
    STEP: tl.constexpr, LOW_RANK: tl.constexpr,
):  # fmt: skip
    """Sums of the channel mixing in units of the weights' scales, [ROWS, D].

    Args:
        h: activations, FP16 [ROWS, D].
        steady: of each row, [ROWS, 1].
        s_up: what the up-projection's sums are scaled by, [ROWS, 1].
        LOW_RANK: whether a row is not steady. To steady ones the branch adds zero: on both ways
            their sums are the same, so that their last bits do not tell of their neighbours.
    """
    ROWS: tl.constexpr = h.shape[0]
    d, r, hidden = tl.arange(0, D), tl.arange(0, R), tl.arange(0, STEP)
    units = hidden[:, None] * D + d[None, :]
    branch = weights + 2 * E * D  # A and B of the up-projection, A and B of the other
    sums = tl.zeros((ROWS, D), tl.float32)
    if LOW_RANK:
        low = tl.zeros((ROWS, R), tl.float32)
        low_up = tl.dot(h, tl.load(branch + d[:, None] * R + r[None, :]))
        low_up = tl.where(steady, 0.0, low_up).to(tl.float16)
    for step in tl.range(E // STEP):
        up = weights + step * (STEP * D)
        scale, bias = load_hidden_vectors(vectors, scales, block, step, False, T, TE, D, E, STEP)
        u = tl.dot(h, tl.trans(tl.load(up + units)))
        if LOW_RANK:
            b_up = branch + D * R + step * STEP
            u = tl.dot(low_up, tl.load(b_up + r[:, None] * E + hidden[None, :]), u)
        u = u * (s_up * scale[None, :]) + bias[None, :]
        u = activations(gelu(u), i_down, steady)
        sums = tl.dot(u, tl.load(up + E * D + units), sums)
        if LOW_RANK:
            a_down = branch + (D + E) * R + step * (STEP * R)
            low = tl.dot(u, tl.load(a_down + hidden[:, None] * R + r[None, :]), low)
    if LOW_RANK:
        low_down = tl.where(steady, 0.0, low).to(tl.float16)
        b_down = branch + (D + 2 * E) * R
        sums = tl.dot(low_down, tl.load(b_down + r[:, None] * D + d[None, :]), sums)
    return sums


@triton.jit(do_not_specialize=["block", "count"])
def channel_layer(
    sums, normed, orders, vectors, weights, block, count,
    ROWS: tl.constexpr, CP: tl.constexpr, T: tl.constexpr, TE: tl.constexpr, D: tl.constexpr,
    E: tl.constexpr, R: tl.constexpr, SCALARS: tl.constexpr, SEGMENT: tl.constexpr,
    STEP: tl.constexpr,
):  # fmt: skip
    """The channel mixing of a block; grid (tokens / ROWS, rounded up,).

    Args:
        sums, normed, orders, block: as of `window_layer`.
        vectors: as of `fused_mixer`.
        weights: see `channel_weights`.
        count: tokens of all windows.

    Compile-time arguments as of `fused_mixer`, and
        ROWS: tokens of a program.
        R: rank, at least what a product takes.
    """
    rows, d = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, D)
    known = rows < count
    scales = vectors + 2 * SEGMENT * SEGMENT + 3 * CP
    vectors = scales + 2 * SCALARS + 3 * D
    weights += block * (2 * (E * D + (D + E) * R))
    i_down = tl.load(scales + SCALARS + 4 + 4 * block + 3)
    path = tl.load(orders + 2 * (rows // T), mask=known, other=0)
    steady = (path == 0)[:, None]
    s_up = tl.where(steady, tl.load(scales + 4 + 4 * block + 2), 1.0)
    at = rows[:, None] * D + d[None, :]
    h = tl.load(normed + at, mask=known[:, None], other=0.0)
    if tl.max(path) == 0:
        found = _sums(
            h, steady, s_up, i_down, vectors, scales, weights, block, T, TE, D, E, R, STEP, False
        )
    else:
        found = _sums(
            h, steady, s_up, i_down, vectors, scales, weights, block, T, TE, D, E, R, STEP, True
        )
    tl.store(sums + at, found, mask=known[:, None])


class LayeredWorkspace(NamedTuple):
    """What the layers pass on, on the device; see `window_layer`."""

    tokens: Tensor
    sums: Tensor
    normed: Tensor
    orders: Tensor

    def part(self, windows: slice) -> LayeredWorkspace:
        """That of some of the windows."""
        return LayeredWorkspace(*(of_all[windows] for of_all in self))


def layered_workspace(sizes: Sizes, windows: int, device: str) -> LayeredWorkspace:
    """A workspace for so many windows."""
    shape = windows, sizes.tokens, sizes.width
    return LayeredWorkspace(
        torch.empty(shape, device=device),
        torch.empty(shape, device=device),
        torch.empty(shape, dtype=torch.float16, device=device),
        torch.empty(windows, 2, dtype=torch.int32, device=device),
    )


def channel_weights(model: MixerTensors, sizes: Sizes, device: str) -> Tensor:
    """What the channel mixing multiplies by, FP16 [blocks, all values]; `_sums` takes it.

    Codes of the up- and of the down-projection, [E, D] each; then A and B of the one, [D, R] and
    [R, E], and of the other, [E, R] and [R, D], B in units of its weights' scales. These are four
    times the bytes of `Buffers.codes4`, little beside what the windows take: so they go from the
    L2 cache to the tensor cores while these work, past the registers.
    """
    rank = _rank(sizes)
    blocks = []
    for block in model.blocks:
        pair = block.channel_up, block.channel_down
        parts = [pair[0].codes, pair[1].codes.T]
        for layer in pair:
            outputs, inputs = layer.codes.shape
            down, up = torch.zeros(inputs, rank), torch.zeros(rank, outputs)
            if layer.down is not None and layer.up is not None:
                down[:, : len(layer.down)] = layer.down.T
                up[: len(layer.down)] = layer.up.T / layer.scales
            parts += [down, up]
        blocks.append(torch.cat([part.flatten().half() for part in parts]))
    return torch.stack(blocks).to(device)


def _rank(sizes: Sizes) -> int:
    return max(sizes.rank, LEAST_DOT)


def launch_layered(
    records: Tensor, outputs: Tensor, model: Buffers, weights: Tensor, shared: LayeredWorkspace,
    sizes: Sizes, warps: int, rows: int,
) -> None:  # fmt: skip
    """Infer on windows that are there as `fused_launch.launch` does.

    Args:
        records, outputs, model, sizes: see there.
        weights: what `channel_weights` gave.
        shared: what `layered_workspace` gave for this many windows.
        warps, rows: of a program of the channel mixing.

    Raises:
        ValueError: warps would have no rows of their own: Triton 3.6 then makes code that reads
            where nothing is.
    """
    if rows < _ROWS_A_WARP * warps:
        raise ValueError(f"{warps} warps need {_ROWS_A_WARP * warps} rows at least, not {rows}")
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
            records, outputs, model.vectors, model.codes8, *shared, block,
            **both, **own, FIRST=block == 0, LAST=last,
        )  # fmt: skip
        if not last:
            channel_layer[(triton.cdiv(count, rows),)](
                *shared[1:], model.vectors, weights, block, count, **both,
                ROWS=rows, R=_rank(sizes), STEP=_STEP, num_warps=warps, num_stages=_AHEAD,
            )  # fmt: skip
