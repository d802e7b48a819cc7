"""A quantised model as two flat arrays, in the order in which the CPU reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.model.heads import HEADS
from tao_lora_ros.model.network import Layer, Network, layers_of
from tao_lora_ros.model.spectrum import spectral_basis
from tao_lora_ros.runtime.cpu_product import panels

INT16_MAX = 32767
RANK_STEP = 4  # the low-rank branches are padded to a multiple with zeros


class Packed(NamedTuple):
    """What `cpu_forward.forward` reads from beginning to end.

    Args:
        codes: weights, int8.
        numbers: scales, biases, norms and low-rank branches, float32.
        sizes: tokens, width, expansion, blocks, channels, patch, classes, horizon, rank
            (padded), segment, absolute; int64.
    """

    codes: NDArray[np.int8]
    numbers: NDArray[np.float32]
    sizes: NDArray[np.int64]


def pack(network: Network) -> Packed:
    """Lay a quantised model out; the arrays share nothing with it."""
    config = network.config
    rank = config.rank + -config.rank % RANK_STEP
    sizes = (
        *(config.tokens, config.width, config.expansion, config.blocks, config.channels),
        *(config.patch, config.classes, config.horizon, rank, config.segment, config.absolute),
    )
    codes: list[np.ndarray] = []
    numbers: list[np.ndarray] = []
    for layer_codes, layer_numbers in _parts(network):
        codes += layer_codes
        numbers += layer_numbers
    return Packed(
        np.concatenate([part.ravel() for part in codes]),
        np.concatenate([part.ravel() for part in numbers]),
        np.array(sizes, np.int64),
    )


_Part = tuple[list[NDArray[np.int8]], list[NDArray[np.float32]]]


def _parts(network: Network) -> Iterator[_Part]:
    layers, tensors = layers_of(network.config), network.tensors

    def norm(name: str) -> _Part:
        return [], [_float(tensors[f"{name}.weight"]), _float(tensors[f"{name}.bias"])]

    def columns(name: str) -> _Part:
        """A layer that multiplies from the right, its output channels side by side."""
        codes = network.codes(layers[name])
        return [panels(codes.T)], _layer(network, layers[name], codes)

    def rows(name: str) -> _Part:
        """A layer that multiplies from the left, an output channel a row."""
        codes = network.codes(layers[name])
        padded = np.pad(codes, ((0, 0), (0, codes.shape[1] % 2)))
        return [padded], _layer(network, layers[name], codes)

    units = tensors["level_mean"], 1 / tensors["level_std"], 1 / tensors["spread"]
    yield [], [_float(values) for values in units]
    if segment := network.config.segment:
        basis = spectral_basis(network.config.window, segment)
        yield [], [_float(basis.reshape(-1, segment)[:, : segment // 2].T)]
    yield columns("embed_features")
    yield columns("embed")
    for block in (f"blocks.{i}" for i in range(network.config.blocks)):
        yield norm(f"{block}.token_norm")
        yield rows(f"{block}.token_up")
        yield rows(f"{block}.token_down")
        yield norm(f"{block}.channel_norm")
        yield columns(f"{block}.channel_up")
        yield columns(f"{block}.channel_down")
    yield norm("norm")
    for head in HEADS:
        if head.name in layers:
            yield columns(head.name)


def _layer(network: Network, layer: Layer, codes: NDArray[np.int8]) -> list[NDArray[np.float32]]:
    """Activations are counted in steady-scale units, so every factor of x takes that scale in."""
    parts = "x_scale", "scales", "bias"
    scale, scales, bias = (network.tensors[f"{layer.name}.{part}"] for part in parts)
    # the codes of a transient's activations, as large as int32 sums allow
    largest = max(1, int(np.abs(codes.astype(np.int64)).sum(axis=1).max()))
    limit = min(INT16_MAX, (2**31 - 1) // largest)
    numbers = [1 / scale, np.float32(limit), scales.astype(np.float32) * scale, bias]
    if layer.rank is not None:
        missing = -layer.rank % RANK_STEP
        numbers.append(np.pad(network.tensors[f"{layer.name}.down"], ((0, missing), (0, 0))))
        numbers.append(np.pad(network.tensors[f"{layer.name}.up"], ((0, 0), (0, missing))).T)
    return [_float(part) for part in numbers]


def _float(values: Any) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32).ravel()
