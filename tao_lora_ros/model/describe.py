"""All of an artifact in words: layers, bits, bytes, calibration, provenance; not its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tao_lora_ros.detection.findings import UNCALIBRATED
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.network import Layer, Network, layers_of

_BRANCH = ("down", "up")
_LARGE = ("autocovariance", "peaks")  # tables of the router


def describe(artifact: Artifact) -> str:
    """Several lines about an artifact, for the terminal."""
    return "\n".join(_lines(artifact))


def layer_bytes(layer: Layer, branch: bool) -> int:
    """Bytes of a quantised layer as it is stored: its branch alone, or all the rest."""
    return sum(
        kind.bytes
        for name, kind in layer.tensors()
        if (name.rpartition(".")[2] in _BRANCH) == branch
    )


def network_bytes(network: Network) -> tuple[int, int, int]:
    """Its weights, their bytes as stored, and the bytes that a transient's branches add."""
    layers = layers_of(network.config).values()
    steady, branches = (sum(layer_bytes(layer, of) for layer in layers) for of in (False, True))
    return sum(layer.inputs * layer.outputs for layer in layers), steady, branches


def _lines(artifact: Artifact) -> Iterator[str]:
    yield f"{artifact.model_id}, version {artifact.version}"
    if artifact.model:
        yield from _network(artifact, artifact.model)
    else:
        yield f"  detection only, at {artifact.rate_hz:g} Hz: no network, no labels"
        yield f"  channels: {', '.join(artifact.channels)}"
    if head := artifact.event_head:
        yield f"  event names: {', '.join(head.names)}"
        onset, end = map(_text, head.margins.tolist())
        yield f"  their margins: {onset} at the onset, {end} at the end"
        if head.likeness:
            yield f"  unlike any of these: farther than {_text(head.likeness.limits)} from all"
        else:
            yield "  every event is named, however unlike these: `tao-lora name` learns to tell"
    if by := artifact.label_filter:
        yield (
            f"  labels over time: {by.evidence_hz:.3g} windows a second count, a label holds "
            f"{by.dwell_s:.3g} s on average"
        )
    if artifact.calibration.has_thresholds:
        numbers = {k: v for k, v in vars(artifact.calibration).items() if k not in _LARGE}
        yield lines_of({"router": numbers}, "  ")
    else:
        yield f"  router: {UNCALIBRATED}"
    yield f"  adapters: {', '.join(artifact.adapters) or 'its own alone'}"
    yield lines_of({"provenance": artifact.provenance}, "  ")


def lines_of(values: Mapping[str, Any], margin: str = "") -> str:
    """Values by name, a line each; what has parts of its own, above them."""
    return "\n".join(_pairs(values, margin))


def _pairs(values: Mapping[str, Any], margin: str) -> Iterator[str]:
    for name, value in values.items():
        parts = value
        if isinstance(value, list) and any(isinstance(part, Mapping) for part in value):
            parts = {f"{number}": part for number, part in enumerate(value, 1)}
        if isinstance(parts, Mapping):
            yield f"{margin}{name}:"
            yield from _pairs(parts, margin + "  ")
        else:
            yield f"{margin}{name}: {_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _network(artifact: Artifact, network: Network) -> Iterator[str]:
    config, layers = network.config, layers_of(network.config)
    yield (
        f"  window {config.window} x {config.channels} at {artifact.rate_hz:g} Hz, patch "
        f"{config.patch}, width {config.width}, {config.blocks} blocks, rank {config.rank}"
    )
    yield f"  channels: {', '.join(artifact.channels)}"
    yield f"  labels: {', '.join(artifact.labels) or 'none, forecast alone'}"
    yield "  layer                          N     K  bits  bytes  rank  branch bytes  input step"
    for name, layer in layers.items():
        rank = "-" if layer.rank is None else str(layer.rank)
        yield (
            f"  {name:26} {layer.outputs:5} {layer.inputs:5} {8 if layer.rank is None else 4:5} "
            f"{layer_bytes(layer, branch=False):6} {rank:>5} {layer_bytes(layer, branch=True):13} "
            f"{float(network.tensors[f'{name}.x_scale']):11.4g}"
        )
    weights, steady, branches = network_bytes(network)
    yield (
        f"  {weights} weights: {steady} bytes steady ({8 * steady / weights:.2f} bits a weight), "
        f"{branches} more in transients ({8 * (steady + branches) / weights:.2f})"
    )
