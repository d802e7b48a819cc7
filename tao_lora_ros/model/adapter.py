"""Low-rank branches apart from the weights they add to: several may share one base."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.model.network import Network, layers_of

Factor = NDArray[np.float16]
Adapter = dict[str, tuple[Factor, Factor]]  # by layer: A (down) [r, K] and B (up) [N, r]


def adapter_of(network: Network) -> Adapter:
    """A network's own branches."""
    tensors, layers = network.tensors, layers_of(network.config)
    return {
        name: (tensors[f"{name}.down"], tensors[f"{name}.up"])
        for name, layer in layers.items()
        if layer.rank is not None
    }


def with_adapter(network: Network, adapter: Adapter) -> Network:
    """The network with other branches; its steady path is the same.

    Raises:
        ValueError: the adapter is of other layers or sizes.
    """
    own = adapter_of(network)
    if missing := set(own) ^ set(adapter):
        raise ValueError(f"layer {min(missing)} is in the model or in the adapter alone")
    tensors = dict(network.tensors)
    for name in own:
        for what, old, new in zip(("down", "up"), own[name], adapter[name], strict=True):
            if old.shape != new.shape:
                raise ValueError(f"{name}.{what} is {new.shape}, expected {old.shape}")
            tensors[f"{name}.{what}"] = new
    return replace(network, tensors=tensors)
