"""Small models and artifacts, made at once instead of trained, and replays with them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.replay import Replay, replay
from tao_lora_ros.detection.calibration import calibrated, uncalibrated
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.kernels.int4_linear import INT8_MAX, STEADY_MAX, pack_int4
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.model.layers import DualPathLinear, FullLinear, Int8Linear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.quantization.low_rank import fit_low_rank
from tao_lora_ros.quantization.rounding import channel_scales, dequantize, round_nearest

CHANNELS = tuple(
    f"{source}_{axis}"
    for source in ("imu.accel", "imu.gyro", "wrench.force", "wrench.torque")
    for axis in "xyz"
)
LABELS = ("free", "contact", "impact")
RATE_HZ = 500.0
SMALL = MixerConfig(
    channels=12, classes=3, window=32, patch=8, width=32, blocks=2, horizon=4, rank=4
)
LEVEL = torch.tensor([0.0, 0, 9.81, 0, 0, 0, 0, 0, -20, 0, 0, 0])
SPREAD = torch.tensor([0.05] * 3 + [0.005] * 3 + [0.2] * 3 + [0.01] * 3)


def windows(seed: int = 0, count: int = 64, config: MixerConfig = SMALL) -> Tensor:
    """Raw windows of an arm at rest, [count, T, C]."""
    noise = torch.randn(
        count, config.window, config.channels, generator=torch.Generator().manual_seed(seed)
    )
    return LEVEL[: config.channels] + SPREAD[: config.channels] * noise


def full_precision(config: MixerConfig = SMALL, seed: int = 0) -> Mixer:
    """A mixer with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Mixer(config)
    model.level_mean.copy_(LEVEL[: config.channels])
    model.level_std.copy_(SPREAD[: config.channels])
    model.spread.copy_(SPREAD[: config.channels])
    return model.eval()


@torch.no_grad()
def quantized(teacher: Mixer, inputs: Tensor) -> Mixer:
    """The dual-path form of a mixer: nearest rounding, branches fitted on these windows."""
    layers = {name: m for name, m in teacher.named_modules() if isinstance(m, FullLinear)}
    fed: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(
            lambda _, arguments, name=name: fed.update(
                {name: arguments[0].reshape(-1, arguments[0].shape[-1])}
            )
        )
        for name, layer in layers.items()
    ]
    teacher(inputs, Route.TRANSIENT)
    for hook in hooks:
        hook.remove()
    student = Mixer(teacher.config, quantized=True)
    shared = {k: v for k, v in teacher.state_dict().items() if k.rpartition(".")[0] not in layers}
    student.load_state_dict(shared, strict=False)
    for name, layer in layers.items():
        _fill(student.get_submodule(name), layer, fed[name])
    return student.prepare()


def _fill(target: torch.nn.Module, layer: FullLinear, rows: Tensor) -> None:
    weight = layer.weight.detach()
    target.bias.copy_(layer.bias)
    target.x_scale.fill_(rows.abs().max() / STEADY_MAX)
    if isinstance(target, Int8Linear):
        scales = channel_scales(weight, INT8_MAX)
        target.scales.copy_(scales)
        target.codes.copy_(torch.round(weight / scales).clamp(-INT8_MAX, INT8_MAX))
    elif isinstance(target, DualPathLinear):
        scales = channel_scales(weight)
        codes = round_nearest(weight, scales)
        error = weight - dequantize(codes, scales)
        down, up = fit_low_rank(error, rows.T @ rows / len(rows), target.down.shape[0])
        target.packed.copy_(pack_int4(codes))
        target.scales.copy_(scales)
        target.down.copy_(down)
        target.up.copy_(up)


@cache
def small_artifact(config: MixerConfig = SMALL) -> Artifact:
    """A quantised random model whose router is calibrated on noise like `recordings.motion`'s."""
    rows = windows(seed=7, count=20 * 500 // config.window, config=config).flatten(0, 1)
    channels = CHANNELS[: config.channels]
    start = uncalibrated(channels, RATE_HZ)
    calibration, _ = calibrated(start, [rows.double().numpy()], RATE_HZ, 1.0)
    return Artifact(
        model_id="small",
        version="1",
        model=network_of(quantized(full_precision(config), windows(config=config))),
        rate_hz=RATE_HZ,
        channels=channels,
        labels=LABELS[: config.classes],
        calibration=calibration,
        provenance={"trained": False},
        metrics={"accuracy": 0.25},
    )


def replayed(
    bag: Path, artifact: Artifact, settings: Settings | None = None
) -> tuple[Replay, Pipeline]:
    """What a replay of a bag gives, and the pipeline that it went through."""
    settings = settings or Settings()
    pipeline = Pipeline(settings, artifact)
    with BagReader(bag, source_configs(settings)) as reader:
        return replay(reader, pipeline), pipeline


def with_thresholds(artifact: Artifact, factor: float) -> Artifact:
    """The artifact with its router's thresholds multiplied."""
    old = artifact.calibration
    thresholds, levels = (
        tuple(factor * threshold for threshold in kind)
        for kind in (old.thresholds, old.level_thresholds)
    )
    calibration = replace(old, thresholds=thresholds, level_thresholds=levels)
    return replace(artifact, calibration=calibration)
