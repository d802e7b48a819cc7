"""Between a network as it is stored and the torch module that is trained and compared with."""

from __future__ import annotations

import torch

from tao_lora_ros.model.adapter import Adapter
from tao_lora_ros.model.layers import DualPathLinear, Int8Linear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.network import Network


def network_of(model: Mixer) -> Network:
    """A copy of a quantised model's tensors.

    Raises:
        TypeError: the model is in full precision.
    """
    if not isinstance(model.embed, Int8Linear):
        raise TypeError("the model is in full precision; a runtime takes a quantised one")
    state = model.state_dict()
    return Network(model.config, {name: tensor.numpy().copy() for name, tensor in state.items()})


def mixer_of(network: Network) -> Mixer:
    """The module with a copy of a network's tensors, ready to infer."""
    model = Mixer(network.config, quantized=True)
    model.load_state_dict({name: torch.tensor(t) for name, t in network.tensors.items()})
    return model.prepare()


def branches(model: Mixer) -> dict[str, DualPathLinear]:
    """The layers that have a low-rank branch, by name."""
    return {name: m for name, m in model.named_modules() if isinstance(m, DualPathLinear)}


@torch.no_grad()
def set_adapter(model: Mixer, adapter: Adapter) -> None:
    """Give a model other branches of the same sizes; its steady path stays as it is."""
    for name, layer in branches(model).items():
        for factor, values in zip((layer.down, layer.up), adapter[name], strict=True):
            factor.copy_(torch.from_numpy(values))
        layer.prepare()
