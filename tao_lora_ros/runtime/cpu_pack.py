"""A quantised model as two flat arrays, in the order in which the CPU reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tao_lora_ros.kernels.int4_linear import unpack_int4
from tao_lora_ros.model.heads import heads_of
from tao_lora_ros.model.layers import DualPathLinear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.runtime.cpu_product import panels

INT16_MAX = 32767
RANK_STEP = 4  # the low-rank branches are padded to a multiple with zeros


class Packed(NamedTuple):
    """What `cpu_forward.forward` reads from beginning to end.

    Args:
        codes: weights, int8.
        numbers: scales, biases, norms and low-rank branches, float32.
        sizes: tokens, width, expansion, blocks, channels, patch, classes, horizon, rank
            (padded); int64.
    """

    codes: NDArray[np.int8]
    numbers: NDArray[np.float32]
    sizes: NDArray[np.int64]


def pack(model: Mixer) -> Packed:
    """Lay a quantised model out; the arrays share nothing with it."""
    config = model.config
    rank = config.rank + -config.rank % RANK_STEP
    sizes = (
        *(config.tokens, config.width, config.expansion, config.blocks, config.channels),
        *(config.patch, config.classes, config.horizon, rank),
    )
    codes: list[np.ndarray] = []
    numbers: list[np.ndarray] = []
    for layer_codes, layer_numbers in _parts(model):
        codes += layer_codes
        numbers += layer_numbers
    return Packed(
        np.concatenate([part.ravel() for part in codes]),
        np.concatenate([part.ravel() for part in numbers]),
        np.array(sizes, np.int64),
    )


_Part = tuple[list[NDArray[np.int8]], list[NDArray[np.float32]]]


def _parts(model: Mixer) -> Iterator[_Part]:
    yield [], [_float(x) for x in (model.level_mean, 1 / model.level_std, 1 / model.spread)]
    yield _columns(model.embed_features)
    yield _columns(model.embed)
    block: Any
    for block in model.blocks:
        yield [], _norm(block.token_norm)
        yield _rows(block.token_up)
        yield _rows(block.token_down)
        yield [], _norm(block.channel_norm)
        yield _columns(block.channel_up)
        yield _columns(block.channel_down)
    yield [], _norm(model.norm)
    for head in heads_of(model):
        yield _columns(head)


# mypy takes what is in a ModuleList, and its attributes, for tensors: hence Any
def _columns(layer: Any) -> _Part:
    """A layer that multiplies from the right, its output channels side by side."""
    codes = _codes(layer)
    return [panels(codes.T)], _layer(layer, codes)


def _rows(layer: Any) -> _Part:
    """A layer that multiplies from the left, an output channel a row."""
    codes = _codes(layer)
    return [np.pad(codes, ((0, 0), (0, codes.shape[1] % 2)))], _layer(layer, codes)


def _codes(layer: Any) -> NDArray[np.int8]:
    codes = unpack_int4(layer.packed) if isinstance(layer, DualPathLinear) else layer.codes
    return codes.numpy().astype(np.int8)


def _layer(layer: Any, codes: NDArray[np.int8]) -> list[NDArray[np.float32]]:
    """Activations are counted in steady-scale units, so every factor of x takes that scale in."""
    scale = layer.x_scale
    # the codes of a transient's activations, as large as int32 sums allow
    largest = max(1, int(np.abs(codes).astype(np.int64).sum(axis=1).max()))
    limit = min(INT16_MAX, (2**31 - 1) // largest)
    numbers = [1 / scale, torch.tensor(float(limit)), layer.scales.float() * scale, layer.bias]
    if isinstance(layer, DualPathLinear):
        missing = -len(layer.down) % RANK_STEP
        numbers += [F.pad(layer.down, (0, 0, 0, missing)), F.pad(layer.up, (0, missing)).T]
    return [_float(part) for part in numbers]


def _norm(norm: Any) -> list[NDArray[np.float32]]:
    return [_float(norm.weight), _float(norm.bias)]


def _float(values: Tensor) -> NDArray[np.float32]:
    return values.detach().float().contiguous().numpy().ravel()
