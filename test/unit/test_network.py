"""A network as it is stored: the module's tensors, and run without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from models import SMALL, full_precision, quantized, windows

from tao_lora_ros.benchmarks.model_bytes import CONFIGS
from tao_lora_ros.kernels.int4_linear import unpack_int4
from tao_lora_ros.model.conversion import mixer_of, network_of
from tao_lora_ros.model.layers import DualPathLinear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.model.network import kinds_of, layers_of
from tao_lora_ros.model.tensor_file import kind_of
from tao_lora_ros.runtime.choice import driver_finds_gpu

OTHERS = (
    MixerConfig(5, 0, 32, 4, 32, 1, 4, 1, 0),
    MixerConfig(3, 2, 64, 2, 16, 3, 1, 6, 5),
    MixerConfig(3, 2, segment=32),
)


@pytest.mark.parametrize("config", [SMALL, *CONFIGS.values(), *OTHERS], ids=str)
def test_its_tensors_are_those_of_the_module(config: MixerConfig) -> None:
    state = Mixer(config, quantized=True).state_dict()
    assert {name: kind_of(tensor.numpy()) for name, tensor in state.items()} == kinds_of(config)


def test_its_codes_are_those_of_the_layers() -> None:
    model = quantized(full_precision(), windows())
    network = network_of(model)
    for name, layer in layers_of(network.config).items():
        module = model.get_submodule(name)
        four_bits = isinstance(module, DualPathLinear)
        expected = unpack_int4(module.packed) if four_bits else module.codes
        assert np.array_equal(network.codes(layer), expected.numpy())
        assert (layer.rank is None) == (not four_bits)


def test_there_and_back() -> None:
    network = network_of(quantized(full_precision(), windows()))
    again = network_of(mixer_of(network))
    assert again.config == network.config
    assert again.tensors.keys() == network.tensors.keys()
    for name, tensor in network.tensors.items():
        assert np.array_equal(again.tensors[name], tensor)


WITHOUT_TORCH = """
import sys
from tao_lora_ros.{module} import {name}
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.model.artifact import default_artifact, load_artifact
from tao_lora_ros.hardware.device import facts
Pipeline(Settings(backend="cpu"), load_artifact(default_artifact()), lambda: 0).warm()
facts()  # as diagnostics ask
print(sorted({{"torch", "triton"}} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [("cli.main", "main"), ("bags.replay", "replay"), ("ros.node", "PipelineNode")],
)
@pytest.mark.skipif(driver_finds_gpu(), reason="with a GPU torch is asked for its facts")
def test_inference_on_the_cpu_does_not_load_torch(module: str, name: str) -> None:
    if module.startswith("ros."):
        pytest.importorskip("rclpy", reason="rclpy is not installed")
        pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
    code = WITHOUT_TORCH.format(module=module, name=name)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
