"""How to fit: what a training and its checkpoints agree on."""

from __future__ import annotations

from dataclasses import dataclass, field

from tao_lora_ros.training.augment import Augmentation

BATCH = 128


@dataclass(frozen=True)
class FitConfig:
    """How to fit.

    Args:
        steps: optimiser steps of `batch` windows.
        seed: of weights, draws and variations.
        batch: windows of a step, all workers together.
        augmentation: how far windows are varied.
    """

    steps: int = 1500
    seed: int = 0
    batch: int = BATCH
    augmentation: Augmentation = field(default_factory=Augmentation)
