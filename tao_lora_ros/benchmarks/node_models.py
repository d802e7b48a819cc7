"""The models that `bench node` runs: untrained, for the cost does not depend on the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tao_lora_ros.detection.calibration import calibrated, uncalibrated
from tao_lora_ros.model.artifact import Artifact, save_artifact
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.training.quantize import observe, quantize

RATE_HZ = 500.0
LABELS = ("free", "impact", "contact", "slide")
_STEADY_ROWS = 40_000


def config_of(channels: int) -> MixerConfig:
    """The model that ships, for this many channels."""
    return MixerConfig(channels=channels, classes=len(LABELS))


def write_artifact(folder: Path, channels: tuple[str, ...], spread: np.ndarray) -> None:
    """An artifact for these channels, its router calibrated on noise of this spread, [C]."""
    torch.manual_seed(0)
    teacher = Mixer(config_of(len(channels))).eval()
    scale = torch.from_numpy(spread).float()
    teacher.spread.copy_(scale)
    rows = np.random.default_rng(0).standard_normal((_STEADY_ROWS, len(channels))) * spread
    window = teacher.config.window
    count = 64 * window
    windows = torch.from_numpy(rows[:count]).float().reshape(-1, window, len(channels))
    start = uncalibrated(channels, RATE_HZ)
    calibration, _ = calibrated(start, [rows], RATE_HZ, alarms_per_hour=1.0)
    artifact = Artifact(
        model_id="untrained",
        version="1",
        model=network_of(quantize(teacher, observe(teacher, windows, 10 * windows))),
        rate_hz=RATE_HZ,
        channels=channels,
        labels=LABELS,
        calibration=calibration,
    )
    save_artifact(artifact, folder)
