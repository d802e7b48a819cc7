"""A quantised model as the plain tensors that the kernels' buffers are made from."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from tao_lora_ros.kernels.int4_linear import unpack_int4
from tao_lora_ros.kernels.mixer_tensors import BlockTensors, Linear, MixerTensors, Norm
from tao_lora_ros.model.heads import heads_of
from tao_lora_ros.model.layers import DualPathLinear, Int8Linear
from tao_lora_ros.model.mixer import Block, Mixer


def mixer_tensors(model: Mixer) -> MixerTensors:
    """The model's tensors as plain numbers."""
    return MixerTensors(
        window=model.config.window,
        patch=model.config.patch,
        level_mean=model.level_mean,
        level_std=model.level_std,
        spread=model.spread,
        embed=_linear(model.embed),
        embed_features=_linear(model.embed_features),
        blocks=[_block(cast(Block, block)) for block in model.blocks],
        norm=_norm(model.norm),
        labels=model.config.classes,
        heads=[_linear(head) for head in heads_of(model)],
    )


def _block(block: Block) -> BlockTensors:
    layers = block.token_up, block.token_down, block.channel_up, block.channel_down
    return BlockTensors(
        _norm(block.token_norm), _norm(block.channel_norm), *(_linear(layer) for layer in layers)
    )


def _norm(norm: nn.LayerNorm) -> Norm:
    return Norm(norm.weight.detach(), norm.bias.detach())


def _linear(layer: nn.Module) -> Linear:
    if isinstance(layer, DualPathLinear):
        codes = unpack_int4(layer.packed)
        adapter: tuple[Tensor | None, Tensor | None] = (layer.down, layer.up)
    elif isinstance(layer, Int8Linear):
        codes, adapter = layer.codes, (None, None)
    else:
        raise TypeError("the model is in full precision; a runtime takes a quantised one")
    scales = layer.scales.double().flatten()
    return Linear(codes, scales, layer.bias, float(layer.x_scale), *adapter)
