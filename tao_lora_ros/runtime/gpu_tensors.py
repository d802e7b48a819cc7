"""A quantised model as the plain tensors that the kernels' buffers are made from; their results."""

from __future__ import annotations

import torch

from tao_lora_ros.kernels.mixer_tensors import BlockTensors, Linear, MixerTensors, Norm, Sizes
from tao_lora_ros.model.heads import HEADS
from tao_lora_ros.model.network import Network, layers_of
from tao_lora_ros.model.spectrum import spectral_basis
from tao_lora_ros.runtime.runtime import Array, Output


def mixer_tensors(network: Network) -> MixerTensors:
    """The network's tensors as plain numbers.

    Raises:
        ValueError: the kernels cannot take it.
    """
    if network.config.absolute:
        raise ValueError("rows about their usual level run on the CPU alone")
    tensors = {name: torch.tensor(values) for name, values in network.tensors.items()}
    layers = layers_of(network.config)
    window, segment = network.config.window, network.config.segment

    def norm(name: str) -> Norm:
        return Norm(tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def linear(name: str) -> Linear:
        return Linear(
            torch.tensor(network.codes(layers[name])),
            tensors[f"{name}.scales"].double().flatten(),
            tensors[f"{name}.bias"],
            float(tensors[f"{name}.x_scale"]),
            tensors.get(f"{name}.down"),
            tensors.get(f"{name}.up"),
        )

    def block(name: str) -> BlockTensors:
        linears = "token_up", "token_down", "channel_up", "channel_down"
        return BlockTensors(
            norm(f"{name}.token_norm"),
            norm(f"{name}.channel_norm"),
            *(linear(f"{name}.{layer}") for layer in linears),
        )

    return MixerTensors(
        window=window,
        patch=network.config.patch,
        level_mean=tensors["level_mean"],
        level_std=tensors["level_std"],
        spread=tensors["spread"],
        embed=linear("embed"),
        embed_features=linear("embed_features"),
        blocks=[block(f"blocks.{i}") for i in range(network.config.blocks)],
        norm=norm("norm"),
        labels=network.config.classes,
        heads=[linear(head.name) for head in HEADS if head.name in layers],
        basis=torch.from_numpy(spectral_basis(window, segment)) if segment else None,
    )


class Parts:
    """Finds the parts of outputs among a kernel's results.

    Args:
        sizes: of the model.
    """

    def __init__(self, sizes: Sizes) -> None:
        level = sizes.padded_results
        self._logits = slice(sizes.labels)
        self._forecast = slice(sizes.labels, sizes.results)
        self._level = slice(level, level + sizes.channels)
        self._rows = -1, sizes.channels

    def __call__(self, results: Array) -> Output:
        """Of results [..., padded results + padded channels]."""
        forecast = results[..., self._forecast]
        return Output(
            results[..., self._logits],
            forecast.reshape(*results.shape[:-1], *self._rows),
            results[..., self._level],
        )
