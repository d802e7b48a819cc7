"""The two models that every latency and memory number is about: their sizes, and their bytes."""

from __future__ import annotations

from math import prod

from tao_lora_ros.model.describe import layer_bytes
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.model.network import kinds_of, layers_of

CONFIGS = {
    "base": MixerConfig(channels=12, classes=16, segment=32),
    "large": MixerConfig(12, 16, width=256, blocks=6, expansion=4, segment=32),
}
FP16 = 2


def steady_bytes(config: MixerConfig) -> int:
    """Bytes that the steady path reads of a quantised model: all but the low-rank branches."""
    return sum(kind.bytes for kind in kinds_of(config).values()) - branch_bytes(config)


def branch_bytes(config: MixerConfig) -> int:
    """Bytes of the low-rank branches, which only transients read."""
    return sum(layer_bytes(layer, branch=True) for layer in layers_of(config).values())


def fp16_bytes(config: MixerConfig) -> int:
    """Bytes of the whole model in FP16."""
    layers = layers_of(config)
    weights = sum(layer.outputs * (layer.inputs + 1) for layer in layers.values())
    others = (
        prod(kind.shape)
        for name, kind in kinds_of(config).items()
        if name.rpartition(".")[0] not in layers
    )
    return FP16 * (weights + sum(others))


def activation_bytes(config: MixerConfig) -> int:
    """Bytes into and out of the device a window: raw float32 in; logits, forecast, level out."""
    outputs = config.classes + config.horizon * config.channels + config.channels
    return 4 * (config.window * config.channels + outputs)
