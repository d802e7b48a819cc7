"""The peer of `bench node`: the command that runs `node_peer.py` on a case."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from benchmark.single_path import write_onnx
from tao_lora_ros.benchmarks.node import INFERENCES_HZ, Case
from tao_lora_ros.benchmarks.node_models import config_of
from tao_lora_ros.model.mixer import Mixer

PLAIN = "plain-rclpy-onnxruntime"


def plain_command(case: Case, folder: Path) -> list[str]:
    """A plain node with the same model, untrained, in FP32 as ONNX."""
    model = folder / f"model_{len(case.channels)}.onnx"
    if not model.exists():
        torch.manual_seed(0)
        mixer = Mixer(config_of(len(case.channels))).eval()
        write_onnx(mixer, torch.randn(1, mixer.config.window, len(case.channels)), model)
    every = round(case.rate_hz / INFERENCES_HZ)
    peer = Path(__file__).with_name("node_peer.py")
    return [sys.executable, str(peer), str(model), str(every), *case.sources]
