"""The two models that every latency and memory number is about, with random weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tao_lora_ros.benchmarks.model_bytes import CONFIGS
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.training.quantize import observe, quantize


@dataclass(frozen=True)
class Reference:
    """A model in full precision, what every peer computes, and in our dual-path form."""

    name: str
    full: Mixer
    dual: Mixer


def reference(name: str) -> Reference:
    """One of `CONFIGS`; the same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        full = Mixer(CONFIGS[name]).eval()
    steady = torch.from_numpy(windows(16, 1))
    return Reference(name, full, quantize(full, observe(full, steady, 10 * steady)))


def windows(count: int, seed: int) -> NDArray[np.float32]:
    """Noise of the models' shape, [count, T, C]."""
    config = CONFIGS["base"]
    shape = (count, config.window, config.channels)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
