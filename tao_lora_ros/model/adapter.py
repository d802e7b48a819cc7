"""Low-rank branches apart from the weights they add to: several may share one base."""

from __future__ import annotations

import torch
from torch import Tensor

from tao_lora_ros.model.layers import DualPathLinear
from tao_lora_ros.model.mixer import Mixer

Adapter = dict[str, tuple[Tensor, Tensor]]  # by layer: A (down) [r, K] and B (up) [N, r], FP16


def branches(model: Mixer) -> dict[str, DualPathLinear]:
    """The layers that have a branch, by name."""
    return {name: m for name, m in model.named_modules() if isinstance(m, DualPathLinear)}


def adapter_of(model: Mixer) -> Adapter:
    """A copy of a model's branches."""
    return {name: (m.down.clone(), m.up.clone()) for name, m in branches(model).items()}


@torch.no_grad()
def set_adapter(model: Mixer, adapter: Adapter) -> None:
    """Give a model other branches; its steady path stays as it is.

    Raises:
        ValueError: the adapter is of other layers or sizes.
    """
    layers = branches(model)
    if missing := set(layers) ^ set(adapter):
        raise ValueError(f"layer {min(missing)} is in the model or in the adapter alone")
    for name, layer in layers.items():
        for what, old, new in zip(
            ("down", "up"), (layer.down, layer.up), adapter[name], strict=True
        ):
            if old.shape != new.shape:
                raise ValueError(
                    f"{name}.{what} is {tuple(new.shape)}, expected {tuple(old.shape)}"
                )
            old.copy_(new)
        layer.prepare()
