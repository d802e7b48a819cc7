"""A mixer's tensors in the order in which `fused_mixer` reads them, made once when it is loaded."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .mixer_tensors import MixerTensors, Sizes
from .packing import byte_words, nibble_words


class Buffers(NamedTuple):
    """The model on the device: float32, int32, int32, float16; see `fused_mixer`."""

    vectors: Tensor
    codes8: Tensor
    codes4: Tensor
    adapters: Tensor


def mixer_buffers(model: MixerTensors, sizes: Sizes, device: str) -> Buffers:
    """Lay out a model for `fused_mixer`."""
    return Buffers(
        torch.cat(_vectors(model, sizes)).float().to(device),
        torch.cat(_codes8(model, sizes)).to(device),
        torch.cat(_codes4(model, sizes)).to(device),
        torch.cat(_adapters(model, sizes)).half().to(device),
    )


def _vectors(model: MixerTensors, sizes: Sizes) -> list[Tensor]:
    channels, results = sizes.padded_channels, sizes.padded_results
    # The kernel looks for two heads' scales.
    layers = [model.embed, model.embed_features, model.heads[0], model.heads[-1]]
    for block in model.blocks:
        layers += [block.token_up, block.token_down, block.channel_up, block.channel_down]
    scales = torch.tensor([layer.x_scale for layer in layers], dtype=torch.float64)
    parts = [
        _padded(model.level_mean, channels),
        _padded(1.0 / model.level_std, channels),
        _padded(1.0 / model.spread, channels),
        _padded(scales, sizes.scalars),
        _padded(1.0 / scales, sizes.scalars),
        model.embed.scales,
        model.embed_features.scales,
        model.embed.bias + model.embed_features.bias,
    ]
    if model.basis is not None:
        parts.insert(0, model.basis)
    for block in model.blocks:
        parts += [*block.token_norm, *block.channel_norm]
        for layer in (block.token_up, block.token_down, block.channel_up, block.channel_down):
            parts += [layer.scales, layer.bias]
    parts += [*model.norm]
    parts += [_padded(torch.cat([head.scales for head in model.heads]), results)]
    parts += [_padded(torch.cat([head.bias for head in model.heads]), results)]
    return [part.double().flatten() for part in parts]


def _codes8(model: MixerTensors, sizes: Sizes) -> list[Tensor]:
    channels, padded, width = sizes.channels, sizes.padded_channels, sizes.width
    rows = sizes.window // sizes.tokens
    embed = torch.zeros(width, rows, padded, dtype=torch.int16)
    embed[..., :channels] = model.embed.codes.reshape(width, rows, channels)
    of_features = model.embed_features.codes.reshape(width, -1, channels)
    joined = 4 if sizes.segment else 2  # features of a channel that the kernel joins
    features = torch.zeros(width, padded, joined, dtype=torch.int16)
    features[:, :channels] = of_features[:, :joined].mT
    powers = torch.zeros(width, sizes.segment // 2, padded, dtype=torch.int16)
    powers[..., :channels] = of_features[:, joined:]
    heads = torch.zeros(sizes.padded_results, width, dtype=torch.int16)
    heads[: sizes.results] = torch.cat([head.codes for head in model.heads])
    parts = [embed, features, powers, heads]
    for block in model.blocks:
        parts += [block.token_up.codes, block.token_down.codes]
    return [byte_words(part.flatten(1)).flatten() for part in parts]


def _codes4(model: MixerTensors, sizes: Sizes) -> list[Tensor]:
    parts = []
    for block in model.blocks:
        for first in range(0, sizes.hidden, sizes.step):
            units = slice(first, first + sizes.step)
            for codes in (block.channel_up.codes[units], block.channel_down.codes[:, units]):
                parts.append(nibble_words(codes).flatten())
    return parts


def _adapters(model: MixerTensors, sizes: Sizes) -> list[Tensor]:
    parts = []
    for block in model.blocks:
        for layer in (block.channel_up, block.channel_down):
            outputs, inputs = layer.codes.shape
            down, up = torch.zeros(inputs, sizes.rank), torch.zeros(sizes.rank, outputs)
            if layer.down is not None and layer.up is not None:
                down[:, : len(layer.down)] = layer.down.T
                up[: len(layer.down)] = layer.up.T
            parts += [down.flatten(), up.flatten()]
    return parts


def _padded(values: Tensor, length: int) -> Tensor:
    zeros = torch.zeros(length - values.numel(), dtype=torch.float64)
    return torch.cat((values.double().flatten(), zeros))
