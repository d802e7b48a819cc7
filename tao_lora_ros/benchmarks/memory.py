"""`tao-lora bench memory`: bytes of the weights, bytes that one inference has to move, and what
stays on a GPU to infer on one window, its workspace included.

Computed from the tensors themselves: what a device holds and reads, not what a file is long.
"""

from __future__ import annotations

from tao_lora_ros.benchmarks.model_bytes import (
    CONFIGS,
    FP16,
    activation_bytes,
    branch_bytes,
    fp16_bytes,
    steady_bytes,
)
from tao_lora_ros.benchmarks.reference import reference
from tao_lora_ros.benchmarks.results import OURS, STAYS, Measurement
from tao_lora_ros.kernels.fragments import fragments, team_for
from tao_lora_ros.kernels.fused_launch import workspace
from tao_lora_ros.kernels.mixer_buffers import mixer_buffers
from tao_lora_ros.kernels.mixer_tensors import sizes_of
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.runtime.gpu_tensors import mixer_tensors
from tao_lora_ros.runtime.launch_tuning import tuning

PACKAGES = ("torch", "triton")
_GPU = "NVIDIA H200", 132  # and its multiprocessors


def bench_memory() -> list[Measurement]:
    """Rows of both reference models, for FP16, for INT8 as a mixed-precision peer, for ours."""
    rows = [row for name, config in CONFIGS.items() for row in _rows(name, config)]
    for name, config in CONFIGS.items():
        for subject, resident in resident_bytes(name).items():
            share = resident / fp16_bytes(config)
            rows.append(Measurement(subject, name, "resident_share_of_fp16", share, ""))
    return rows


def resident_bytes(name: str) -> dict[str, int]:
    """Bytes on an H200 of a reference model and of what a window needs: of the kernel that is
    launched, and of the one that stays.
    """
    model = mixer_tensors(network_of(reference(name).dual))
    splits = tuning(*_GPU, len(model.norm.gain), len(model.blocks[0].channel_up.bias), 1).splits
    sizes = sizes_of(model, splits)
    parts = (*mixer_buffers(model, sizes, "cpu"), *workspace(sizes, 1, "cpu"))
    found = {OURS: sum(part.nbytes for part in parts)}
    found[STAYS] = fragments(model, 0, team_for(model, clusters=True)).image.nbytes
    return found


def _rows(name: str, config: MixerConfig) -> list[Measurement]:
    fp16 = fp16_bytes(config)
    # weights of the linear layers in INT8 with a scale a column, the rest in FP16
    mixed = sum(
        tensor.numel() + FP16 * tensor.shape[0] if tensor.ndim == 2 else FP16 * tensor.numel()
        for tensor in Mixer(config).state_dict().values()
    )
    steady, branches = steady_bytes(config), branch_bytes(config)
    moved = activation_bytes(config)
    rows = []
    for subject, resting, whole in (
        ("fp16", fp16, fp16),
        ("int8-mixed", mixed, mixed),
        (OURS, steady, steady + branches),
    ):
        for metric, value, unit in (
            ("steady_share_of_fp16", resting / fp16, ""),
            ("total_share_of_fp16", whole / fp16, ""),
            ("weight_bytes", whole, "B"),
            ("bytes_moved_steady", resting + moved, "B"),
            ("bytes_moved_transient", whole + moved, "B"),
        ):
            rows.append(Measurement(subject, name, metric, float(value), unit))
    return rows
