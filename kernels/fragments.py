"""A mixer as `persistent_mixer.cu` reads it: weights in the order in which a warp multiplies them.

A tensor-core product, 16 inputs deep and 8 columns wide, takes of lane 4 g + t column g and inputs
2 t, 2 t + 1, 2 t + 8 and 2 t + 9. What a lane takes lies together, and the lanes of a warp read 16
bytes each at a time. Every warp has an eighth of the columns of a product.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from .arrival import LEAD
from .mixer_buffers import mixer_buffers
from .mixer_tensors import BlockTensors, MixerTensors, Sizes, sizes_of
from .packing import BYTES, NIBBLES, byte_words, nibble_words

WARPS, LANES, TOKENS = 8, 32, 16
_WIDE, _DEEP = 8, 16  # columns and inputs of a product
_TOGETHER = 4  # words that a lane reads at a time


class Fragments(NamedTuple):
    """A model for the persistent kernel.

    Args:
        image: all its weights, uint8; its first bytes go into shared memory, and where there is
            room with them those of the channel mixing, which are most.
        constants: what the kernel is compiled with; SHARED are the bytes of shared memory.
        sizes: of the model.
    """

    image: Tensor
    constants: dict[str, int]
    sizes: Sizes


def fragments(model: MixerTensors, most_shared: int) -> Fragments:
    """Lay a model out.

    Args:
        model: the model.
        most_shared: bytes of shared memory that a block may have.

    Raises:
        ValueError: it has a size that the kernel cannot take.
    """
    sizes = sizes_of(model, 1)
    _check(sizes)
    pairs = [layer for b in model.blocks for layer in (b.channel_up, b.channel_down)]
    rank_tiles = max(0 if layer.down is None else -(-len(layer.down) // _WIDE) for layer in pairs)
    resident = {
        "TOKENS": torch.cat([_token_weights(block) for block in model.blocks]),
        "EMBED": _weights(model.embed.codes, BYTES),
        "HEADS": _weights(torch.cat([head.codes for head in model.heads]), BYTES),
        "VECTORS": mixer_buffers(model, sizes, "cpu").vectors[2 * sizes.segment**2 :],
    }
    rest = {
        "CHANNELS": torch.cat([_weights(layer.codes, NIBBLES) for layer in pairs]),
        "FEATURES": _weights(model.embed_features.codes, BYTES),
        "BASIS": torch.zeros(0) if model.basis is None else _as_a(model.basis.flatten(0, 1)).half(),
        "ADAPTERS": torch.cat([_adapters(block, rank_tiles) for block in model.blocks]).half(),
    }
    parts = {name: _bytes(part) for name, part in (resident | rest).items()}
    constants = _constants(sizes, rank_tiles)
    offset = 0
    for name, part in parts.items():
        constants[f"AT_{name}"] = offset
        offset += len(part)
    constants["ADAPTERS_BLOCK"] = len(parts["ADAPTERS"]) // sizes.blocks
    window = _window_bytes(constants)
    fits = constants["AT_FEATURES"] + window <= most_shared
    constants["RESIDENT"] = constants["AT_FEATURES" if fits else "AT_CHANNELS"]
    constants["SHARED"] = constants["RESIDENT"] + window
    return Fragments(torch.cat(list(parts.values())), constants, sizes)


def _check(sizes: Sizes) -> None:
    for name, least, most in (
        ("tokens", TOKENS, TOKENS),
        ("channels", 1, 32),
        ("width", 64, 256),
        ("hidden", 128, 512),
    ):
        if not least <= (value := getattr(sizes, name)) <= most:
            raise ValueError(
                f"the persistent kernel takes {name} from {least} to {most}, not {value}"
            )


def _constants(sizes: Sizes, rank_tiles: int) -> dict[str, int]:
    channels, patch = sizes.channels, sizes.window // sizes.tokens
    features = 4 + sizes.segment // 2 if sizes.segment else 2
    return {
        "WARPS": WARPS,
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
        "N_TILES": _tiles(sizes.results),
        "SCALARS": sizes.scalars,
        "SEGMENT": sizes.segment,
        "KE": _padded(patch * channels, BYTES, _tiles(sizes.width)),
        "KF": _padded(features * channels, BYTES, _tiles(sizes.width)),
        "LEAD": LEAD.value,
    }


def _window_bytes(of: dict[str, int]) -> int:
    """What the kernel's `Activations` take, which it asserts."""
    channels, skew = of["CP"], 8
    embedding = 16 * -(-of["WINDOW"] * of["C"] // 4) + 2 * TOKENS * (of["KE"] + skew) + 2 * of["KF"]
    mixing = 2 * TOKENS * (of["D"] + skew)
    moments = 2 * WARPS * 16 * channels
    powers = 2 * of["WINDOW"] * channels + 4 * channels * (2 * of["SEGMENT"] + 1)
    either = max(moments + powers, 2 * TOKENS * (of["E"] + skew))
    return embedding + mixing + either + 2 * WARPS * 8 * TOKENS + 4 * (of["NP"] + channels) + 16


def _tiles(columns: int) -> int:
    """Products side by side of a warp."""
    return -(-columns // (WARPS * _WIDE))


def _padded(inputs: int, codes: int, tiles: int) -> int:
    """Inputs of a layer, so that a lane has a whole number of words to read together."""
    unit = _DEEP * codes // BYTES * _TOGETHER // gcd(_TOGETHER, tiles)
    return -(-inputs // unit) * unit


def _weights(codes: Tensor, of_word: int) -> Tensor:
    """Words of codes [N, K], each of one column: of 16 inputs, or of 32 if they are INT4.

    In the order warp, four words, lane, word; the words of a lane in the order inputs, tile.
    """
    outputs, inputs = codes.shape
    tiles, more = _tiles(outputs), of_word // BYTES
    padded = _padded(inputs, of_word, tiles)
    codes = pad(codes, (0, padded - inputs, 0, tiles * WARPS * _WIDE - outputs))
    codes = codes.reshape(WARPS, tiles, _WIDE, padded // (_DEEP * more), more, 2, 4, 2)
    codes = codes.permute(0, 3, 1, 2, 6, 4, 5, 7).reshape(-1, of_word)
    words = byte_words(codes) if of_word == BYTES else nibble_words(codes)
    return words.reshape(WARPS, -1, _TOGETHER, LANES).transpose(2, 3).flatten()


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


def _adapters(block: BlockTensors, tiles: int) -> Tensor:
    """A of both layers for every warp, then B of both for each."""
    first, second = [], []
    for layer in (block.channel_up, block.channel_down):
        outputs, inputs = layer.codes.shape
        down, up = torch.zeros(tiles * _WIDE, inputs), torch.zeros(outputs, tiles * _WIDE)
        if layer.down is not None and layer.up is not None:
            down[: len(layer.down)], up[:, : len(layer.down)] = layer.down, layer.up
        down = down.reshape(tiles, _WIDE, inputs // _DEEP, 2, 4, 2).permute(2, 0, 1, 4, 3, 5)
        up = up.reshape(WARPS, _tiles(outputs), _WIDE, tiles, 4, 2).permute(0, 3, 1, 2, 4, 5)
        first.append(down.flatten())
        second.append(up.flatten())
    return torch.cat(first + second)


def _bytes(part: Tensor) -> Tensor:
    flat = part.flatten().contiguous().view(torch.uint8)
    return pad(flat, (0, -len(flat) % 16))
