"""A quantised model as it is stored and run: its sizes and its tensors. It needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.model.heads import HEADS
from tao_lora_ros.model.mixer_config import MixerConfig

Tensor = NDArray[Any]


class Kind(NamedTuple):
    """Type and shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """What it takes."""
        size = np.dtype(self.dtype).itemsize
        for length in self.shape:
            size *= length
        return size

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


@dataclass(frozen=True)
class Layer:
    """A quantised linear layer.

    Args:
        name: of the layer in the model; its tensors are called `NAME.codes` and so on.
        inputs, outputs: sizes K and N.
        rank: of its low-rank branch; None: INT8 without a branch, instead of INT4 with one.
    """

    name: str
    inputs: int
    outputs: int
    rank: int | None = None

    def tensors(self) -> Iterator[tuple[str, Kind]]:
        """Names and kinds of its tensors."""
        yield f"{self.name}.bias", Kind("float32", (self.outputs,))
        yield f"{self.name}.x_scale", Kind("float32", ())
        yield f"{self.name}.scales", Kind("float16", (self.outputs, 1))
        if self.rank is None:
            yield f"{self.name}.codes", Kind("int8", (self.outputs, self.inputs))
            return
        yield f"{self.name}.packed", Kind("uint8", (self.outputs, self.inputs // 2))
        yield f"{self.name}.down", Kind("float16", (self.rank, self.inputs))
        yield f"{self.name}.up", Kind("float16", (self.outputs, self.rank))


@dataclass(frozen=True)
class Network:
    """A quantised mixer.

    Args:
        config: its sizes.
        tensors: by name, as `kinds_of` says; those of `model.mixer.Mixer.state_dict`.
    """

    config: MixerConfig
    tensors: dict[str, Tensor]

    def codes(self, layer: Layer) -> NDArray[np.int8]:
        """Weights of a layer as whole numbers, int8 [N, K]."""
        if layer.rank is None:
            return self.tensors[f"{layer.name}.codes"]
        packed = self.tensors[f"{layer.name}.packed"]
        halves = np.stack((packed & 0xF, packed >> 4), axis=-1).reshape(len(packed), -1)
        return ((halves.astype(np.int8) ^ 8) - 8).astype(np.int8)  # four bits' sign


def layers_of(config: MixerConfig) -> dict[str, Layer]:
    """The linear layers of a mixer, by name, in the order in which they are computed."""
    d, t, e = config.width, config.tokens, config.expansion
    layers = [
        Layer("embed", config.patch * config.channels, d),
        Layer("embed_features", config.features * config.channels, d),
    ]
    for block in (f"blocks.{i}" for i in range(config.blocks)):
        layers += [
            Layer(f"{block}.token_up", t, t * e),
            Layer(f"{block}.token_down", t * e, t),
            Layer(f"{block}.channel_up", d, d * e, config.rank),
            Layer(f"{block}.channel_down", d * e, d, config.rank),
        ]
    layers += [Layer(head.name, d, head.outputs(config)) for head in HEADS if head.outputs(config)]
    return {layer.name: layer for layer in layers}


def kinds_of(config: MixerConfig) -> dict[str, Kind]:
    """Every tensor of a mixer, by name."""
    kinds = {
        name: Kind("float32", (config.channels,)) for name in ("level_mean", "level_std", "spread")
    }
    for layer in layers_of(config).values():
        kinds |= dict(layer.tensors())
    norms = [
        f"blocks.{i}.{name}_norm" for i in range(config.blocks) for name in ("token", "channel")
    ]
    for norm in [*norms, "norm"]:
        kinds |= {f"{norm}.{what}": Kind("float32", (config.width,)) for what in ("weight", "bias")}
    return kinds
