"""A mixer as `persistent_mixer.cu` reads it: weights in the order in which a warp multiplies them.

A tensor-core product, 16 inputs deep and 8 columns wide, takes of lane 4 g + t column g and inputs
2 t, 2 t + 1, 2 t + 8 and 2 t + 9. What a lane takes lies together, and the lanes of a warp read 16
bytes each at a time. The warps of all blocks of the cluster share out the columns of a product.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from .arrival import LEAD
from .mixer_buffers import mixer_buffers
from .mixer_tensors import BlockTensors, MixerTensors, Sizes, sizes_of
from .packing import BYTES, NIBBLES, byte_words, nibble_words

LANES, TOKENS = 32, 16
_WIDE, _DEEP = 8, 16  # columns and inputs of a product
_TOGETHER = 4  # words that a lane reads at a time


class Team(NamedTuple):
    """Who runs a window: blocks of a cluster, and warps of each."""

    blocks: int
    warps: int

    @property
    def all_warps(self) -> int:
        return self.blocks * self.warps


_ALONE, _CLUSTER = Team(1, 8), Team(8, 4)


class Fragments(NamedTuple):
    """A model for the persistent kernel.

    Args:
        image: all its weights, uint8: for each block of the cluster SHARE bytes, whose first ones
            go into its shared memory, with as many of the channel mixing's as there is room for;
            then what all read.
        constants: what the kernel is compiled with; SHARED are the bytes of shared memory.
        sizes: of the model.
    """

    image: Tensor
    constants: dict[str, int]
    sizes: Sizes


def team_for(model: MixerTensors, clusters: bool) -> Team:
    """Who runs a model, on a GPU that has clusters or not: one block, as more gain nothing, unless
    the model is too large for one.
    """
    hidden = len(model.blocks[0].channel_up.bias)
    return _CLUSTER if clusters and hidden > _most_hidden(_ALONE) else _ALONE


def fragments(model: MixerTensors, most_shared: int, team: Team) -> Fragments:
    """Lay a model out.

    Args:
        model: the model.
        most_shared: bytes of shared memory that a block may have.
        team: who runs it.

    Raises:
        ValueError: it has a size that the kernel cannot take.
    """
    sizes = sizes_of(model, 1)
    _check(sizes, team)
    warps = team.all_warps
    pairs = [layer for b in model.blocks for layer in (b.channel_up, b.channel_down)]
    rank_tiles = max(0 if layer.down is None else -(-len(layer.down) // _WIDE) for layer in pairs)
    tokens = torch.cat([_token_weights(block) for block in model.blocks])
    heads = torch.cat([head.codes for head in model.heads])
    by_block: dict[str, Sequence[Tensor]] = {  # of the cluster
        "TOKENS": [tokens] * team.blocks,
        "VECTORS": _vectors(mixer_buffers(model, sizes, "cpu").vectors, sizes, team.blocks),
        "EMBED": _weights(model.embed.codes, BYTES, warps).chunk(team.blocks),
        "HEADS": _weights(heads, BYTES, warps).chunk(team.blocks),
        "CHANNELS": torch.cat(
            [_weights(layer.codes, NIBBLES, warps).view(team.blocks, -1) for layer in pairs], 1
        ).unbind(),
        "FEATURES": _weights(model.embed_features.codes, BYTES, warps).chunk(team.blocks),
    }
    for_all = {
        "BASIS": torch.zeros(0) if model.basis is None else _as_a(model.basis.flatten(0, 1)).half(),
        "ADAPTERS": torch.cat(
            [_adapters(block, rank_tiles, warps) for block in model.blocks]
        ).half(),
    }
    constants = _constants(sizes, rank_tiles, team)
    shares = [
        {name: _bytes(parts[i]) for name, parts in by_block.items()} for i in range(team.blocks)
    ]
    offset = 0
    for name, part in shares[0].items():
        constants[f"AT_{name}"] = offset
        offset += len(part)
    constants["SHARE"] = offset
    offset *= team.blocks
    rest = {name: _bytes(part) for name, part in for_all.items()}
    for name, part in rest.items():
        constants[f"AT_{name}"] = offset
        offset += len(part)
    constants["ADAPTERS_BLOCK"] = len(rest["ADAPTERS"]) // sizes.blocks
    window = _window_bytes(constants)
    of_block = len(shares[0]["CHANNELS"]) // sizes.blocks
    room = (most_shared - window - constants["AT_CHANNELS"]) // of_block
    inside = min(max(room, 0), sizes.blocks)
    constants["RESIDENT"] = constants["AT_CHANNELS"] + inside * of_block
    constants["SHARED"] = constants["RESIDENT"] + window
    image = torch.cat([part for share in shares for part in share.values()] + [*rest.values()])
    return Fragments(image, constants, sizes)


def _check(sizes: Sizes, team: Team) -> None:
    columns = _WIDE * team.all_warps
    for name, least, most in (
        ("tokens", TOKENS, TOKENS),
        ("channels", 1, 32),
        ("width", columns, 4 * columns),
        ("hidden", 2 * columns, _most_hidden(team)),
    ):
        if not least <= (value := getattr(sizes, name)) <= most:
            raise ValueError(
                f"the persistent kernel takes {name} from {least} to {most}, not {value}"
            )


def _most_hidden(team: Team) -> int:
    return 8 * _WIDE * team.all_warps


def _vectors(flat: Tensor, sizes: Sizes, blocks: int) -> list[Tensor]:
    """Those of each block of the cluster: its columns, and all of what every block needs."""
    d, e, te, t = (
        (True, sizes.width),
        (True, sizes.hidden),
        (False, sizes.token_hidden),
        (False, TOKENS),
    )
    channels, scalars = (False, sizes.padded_channels), (False, sizes.scalars)
    of_block = [d] * 4 + [te] * 2 + [t] * 2 + [e] * 2 + [d] * 2
    layout = [channels] * 3 + [scalars] * 2 + [d] * 3 + of_block * sizes.blocks + [d] * 2
    layout += [(False, sizes.padded_results)] * 2
    parts = flat[2 * sizes.segment**2 :].split([length for _, length in layout])
    return [
        torch.cat(
            [
                part.chunk(blocks)[block] if shared_out else part
                for (shared_out, _), part in zip(layout, parts, strict=True)
            ]
        )
        for block in range(blocks)
    ]


def _constants(sizes: Sizes, rank_tiles: int, team: Team) -> dict[str, int]:
    channels, patch = sizes.channels, sizes.window // sizes.tokens
    features = 4 + sizes.segment // 2 if sizes.segment else 2
    warps = team.all_warps
    return {
        "CLUSTER": team.blocks,
        "WARPS": team.warps,
        "WINDOW": sizes.window,
        "C": channels,
        "CP": sizes.padded_channels,
        "D": sizes.width,
        "E": sizes.hidden,
        "TE": sizes.token_hidden,
        "BLOCKS": sizes.blocks,
        "RANK_TILES": rank_tiles,
        "LABELS": sizes.labels,
        "NOUT": sizes.results,
        "NP": sizes.padded_results,
        "N_TILES": _tiles(sizes.results, warps),
        "SCALARS": sizes.scalars,
        "SEGMENT": sizes.segment,
        "KE": _padded(patch * channels, BYTES, _tiles(sizes.width, warps)),
        "KF": _padded(features * channels, BYTES, _tiles(sizes.width, warps)),
        "LEAD": LEAD.value,
    }


def _window_bytes(of: dict[str, int]) -> int:
    """What the kernel's `Activations` take, which it asserts."""
    channels, skew = of["CP"], 8
    embedding = 16 * -(-of["WINDOW"] * of["C"] // 4) + 2 * TOKENS * (of["KE"] + skew) + 2 * of["KF"]
    mixing = 2 * TOKENS * (of["D"] + skew)
    moments = 2 * of["WARPS"] * 16 * channels
    powers = 2 * of["WINDOW"] * channels + 4 * channels * (2 * of["SEGMENT"] + 1)
    either = max(moments + powers, 2 * TOKENS * (of["E"] + skew))
    norms = 2 * of["CLUSTER"] * of["WARPS"] * 8 * TOKENS
    return embedding + mixing + either + norms + 4 * (of["NP"] + channels) + 32


def _tiles(columns: int, warps: int) -> int:
    """Products side by side of a warp."""
    return -(-columns // (warps * _WIDE))


def _padded(inputs: int, codes: int, tiles: int) -> int:
    """Inputs of a layer, so that a lane has a whole number of words to read together."""
    unit = _DEEP * codes // BYTES * _TOGETHER // gcd(_TOGETHER, tiles)
    return -(-inputs // unit) * unit


def _weights(codes: Tensor, of_word: int, warps: int) -> Tensor:
    """Words of codes [N, K], each of one column: of 16 inputs, or of 32 if they are INT4.

    In the order warp, four words, lane, word; the words of a lane in the order inputs, tile.
    """
    outputs, inputs = codes.shape
    tiles, more = _tiles(outputs, warps), of_word // BYTES
    padded = _padded(inputs, of_word, tiles)
    codes = pad(codes, (0, padded - inputs, 0, tiles * warps * _WIDE - outputs))
    codes = codes.reshape(warps, tiles, _WIDE, padded // (_DEEP * more), more, 2, 4, 2)
    codes = codes.permute(0, 3, 1, 2, 6, 4, 5, 7).reshape(-1, of_word)
    words = byte_words(codes) if of_word == BYTES else nibble_words(codes)
    return words.reshape(warps, -1, _TOGETHER, LANES).transpose(2, 3).flatten()


def _as_a(rows: Tensor) -> Tensor:
    """Rows [M, K] as the left side of products: [M / 16, K / 16, lane, 8]."""
    m, k = rows.shape
    parts = rows.reshape(m // 16, 2, 8, k // _DEEP, 2, 4, 2).permute(0, 3, 2, 5, 4, 1, 6)
    return parts.reshape(m // 16, k // _DEEP, LANES, 8)


def _token_weights(block: BlockTensors) -> Tensor:
    """Of 16 hidden units at a time the up- and the down-projection, two words of a lane each."""
    up = _as_a(block.token_up.codes).flatten(0, 1)
    down = _as_a(block.token_down.codes).flatten(0, 1)
    return byte_words(torch.cat((up, down), -1).flatten(0, 1)).flatten()


def _adapters(block: BlockTensors, tiles: int, warps: int) -> Tensor:
    """A of both layers for every warp, then B of both for each."""
    first, second = [], []
    for layer in (block.channel_up, block.channel_down):
        outputs, inputs = layer.codes.shape
        down, up = torch.zeros(tiles * _WIDE, inputs), torch.zeros(outputs, tiles * _WIDE)
        if layer.down is not None and layer.up is not None:
            down[: len(layer.down)], up[:, : len(layer.down)] = layer.down, layer.up
        down = down.reshape(tiles, _WIDE, inputs // _DEEP, 2, 4, 2).permute(2, 0, 1, 4, 3, 5)
        up = up.reshape(warps, _tiles(outputs, warps), _WIDE, tiles, 4, 2).permute(0, 3, 1, 2, 4, 5)
        first.append(down.flatten())
        second.append(up.flatten())
    return torch.cat(first + second)


def _bytes(part: Tensor) -> Tensor:
    flat = part.flatten().contiguous().view(torch.uint8)
    return pad(flat, (0, -len(flat) % 16))
