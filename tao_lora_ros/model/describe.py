"""An artifact in words: layers, bits, bytes, calibration, provenance."""

from __future__ import annotations

import json
from collections.abc import Iterator

from torch import nn

from tao_lora_ros.messages.texts import shown
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.layers import DualPathLinear, Int8Linear

_BRANCH = ("down", "up")


def describe(artifact: Artifact) -> str:
    """Several lines about an artifact, for the terminal."""
    return "\n".join(_lines(artifact))


def layer_bytes(layer: nn.Module, branch: bool) -> int:
    """Bytes of a quantised layer as it is stored: its branch alone, or all the rest."""
    return sum(
        tensor.numel() * tensor.element_size()
        for name, tensor in layer.named_buffers()
        if (name in _BRANCH) == branch
    )


def _lines(artifact: Artifact) -> Iterator[str]:
    model, config = artifact.model, artifact.model.config
    layers = {n: m for n, m in model.named_modules() if isinstance(m, (DualPathLinear, Int8Linear))}
    yield f"{artifact.model_id}, version {artifact.version}"
    yield (
        f"  window {config.window} x {config.channels} at {artifact.rate_hz:g} Hz, patch "
        f"{config.patch}, width {config.width}, {config.blocks} blocks, rank {config.rank}"
    )
    yield f"  channels: {', '.join(artifact.channels)}"
    yield f"  labels: {', '.join(artifact.labels) or 'none, forecast alone'}"
    yield "  layer                          N     K  bits  bytes  rank  branch bytes  input step"
    for name, layer in layers.items():
        dual = isinstance(layer, DualPathLinear)
        outputs, inputs = len(layer.bias), _weights(layer) // len(layer.bias)
        rank = str(config.rank) if dual else "-"
        yield (
            f"  {name:26} {outputs:5} {inputs:5} {4 if dual else 8:5} "
            f"{layer_bytes(layer, branch=False):6} {rank:>5} {layer_bytes(layer, branch=True):13} "
            f"{float(layer.x_scale):11.4g}"
        )
    yield from _totals(layers)
    router = artifact.calibration
    numbers = {k: v for k, v in vars(router).items() if k != "autocovariance"}  # a large table
    yield f"  router: {json.dumps(numbers)}"
    yield f"  adapters: {', '.join(artifact.adapters) or 'its own alone'}"
    yield f"  provenance: {json.dumps(artifact.provenance)}"
    for path, values in artifact.metrics.items():
        yield f"  {shown(path)}: {json.dumps(values)}"


def _weights(layer: DualPathLinear | Int8Linear) -> int:
    return layer.packed.numel() * 2 if isinstance(layer, DualPathLinear) else layer.codes.numel()


def _totals(layers: dict[str, DualPathLinear | Int8Linear]) -> Iterator[str]:
    steady = sum(layer_bytes(layer, branch=False) for layer in layers.values())
    branches = sum(layer_bytes(layer, branch=True) for layer in layers.values())
    weights = sum(_weights(layer) for layer in layers.values())
    yield (
        f"  {weights} weights: {steady} bytes steady ({8 * steady / weights:.2f} bits a weight), "
        f"{branches} more in transients ({8 * (steady + branches) / weights:.2f})"
    )
