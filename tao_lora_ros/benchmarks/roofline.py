"""The least time that the reference models can take on a device, by its data sheet: computed.

The kernels multiply codes as FP16 whole numbers, so all paths have the FP16 rate.
"""

from __future__ import annotations

from dataclasses import dataclass

from tao_lora_ros.benchmarks.model_bytes import (
    CONFIGS,
    activation_bytes,
    branch_bytes,
    fp16_bytes,
    steady_bytes,
)
from tao_lora_ros.model.mixer_config import MixerConfig


@dataclass(frozen=True)
class Device:
    """Peak rates of a device.

    Args:
        memory: bytes a second.
        multiprocessors: of the GPU.
        half: FP16 tensor-core operations a second, dense, multiply and add counted apart.
    """

    name: str
    memory: float
    multiprocessors: int
    half: float


# By its data sheet: 1024 CUDA cores (8 multiprocessors), 32 tensor
# cores, 625 MHz: 10 TFLOPS dense FP16; 68 GB/s.
ORIN_NANO = Device("Jetson Orin Nano 8 GB", 68e9, 8, 10e12)


def multiplications(config: MixerConfig, rank: int) -> int:
    """Products of two numbers for one window; rank 0 is the steady path."""
    d, t, e = config.width, config.tokens, config.expansion
    edges = t * config.patch * config.channels * d + config.features * config.channels * d
    edges += 2 * config.segment * config.window * config.channels
    edges += d * (config.classes + config.horizon * config.channels)
    tokens = 2 * d * t * t * e
    channels = 2 * t * d * d * e
    branches = 2 * t * rank * (d + d * e)
    return edges + config.blocks * (tokens + channels + branches)


def roofline(device: Device) -> str:
    """Markdown table: bytes, operations and the least times of either, in µs."""
    lines = [
        f"{device.name}, computed: {device.memory / 1e9:.0f} GB/s, "
        f"{device.multiprocessors} multiprocessors, {device.half / 1e12:.0f} TFLOPS dense FP16",
        "",
        "| model | windows | path | weights KB | M products | memory µs | arithmetic µs "
        "| one multiprocessor µs |",
        "|---|--:|---|--:|--:|--:|--:|--:|",
    ]
    for name, config in CONFIGS.items():
        steady, branches = steady_bytes(config), branch_bytes(config)
        for batch in (1, 64):
            for path, weights, rank in (
                ("fp16", fp16_bytes(config), 0),
                ("steady", steady, 0),
                ("transient", steady + branches, config.rank),
            ):
                products = batch * multiplications(config, rank)
                memory = (weights + batch * activation_bytes(config)) / device.memory
                arithmetic = 2 * products / device.half
                lines.append(
                    f"| {name} | {batch} | {path} | {weights / 1e3:.0f} | {products / 1e6:.1f} "
                    f"| {memory * 1e6:.1f} | {arithmetic * 1e6:.1f} "
                    f"| {arithmetic * device.multiprocessors * 1e6:.1f} |"
                )
    return "\n".join(lines)
