"""The steps after the fit, each of which a command of its own can take again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.adapter import Adapter
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.training.adapt import adapt, fidelity, task
from tao_lora_ros.training.augment import NONE, augment
from tao_lora_ros.training.dataset import Batch, WindowSet
from tao_lora_ros.training.evaluate import WindowModel, evaluate
from tao_lora_ros.training.finetune_codes import finetune
from tao_lora_ros.training.progress import progress_bar
from tao_lora_ros.training.quantize import ROUNDINGS, fit_branches, observe, quantize

CALIBRATION_WINDOWS = 512
VALIDATION_WINDOWS = 4000
LOSS_WINDOWS = 512  # held out, whose loss is followed
ADAPT_BATCH = 128
LOSSES = {"fidelity": fidelity, "task": task}


@dataclass(frozen=True)
class TrainingData:
    """Windows by what they are for.

    Args:
        channels: names of the channels.
        labels: label names.
        sizes: of the model.
        training: windows to fit on.
        held_out: windows of runs that are scored, if any.
        steady: windows of steady motion.
        seed: of all draws.
    """

    channels: tuple[str, ...]
    labels: tuple[str, ...]
    sizes: MixerConfig
    training: WindowSet
    held_out: WindowSet | None
    steady: WindowSet
    seed: int


def quantize_step(
    teacher: Mixer, data: TrainingData, settle_steps: int, rounding: str = "gptq"
) -> Mixer:
    """The dual-path form of a trained model; `rounding` is one of `ROUNDINGS`."""
    steady = data.steady.spaced(CALIBRATION_WINDOWS).windows
    rng = np.random.default_rng(data.seed)
    inputs = observe(teacher, steady, data.training.draw(CALIBRATION_WINDOWS, rng).windows)
    student = quantize(teacher, inputs, ROUNDINGS[rounding])
    draws = {
        Route.STEADY: steady_draws(data.steady, data.seed),
        Route.TRANSIENT: impact_draws(data.training, data.channels, teacher, data.seed),
    }
    with progress_bar("fine-tuning", settle_steps) as progress:
        finetune(student, teacher, draws, settle_steps, progress)
    fit_branches(student, teacher, {name: watched.gram for name, watched in inputs.items()})
    return student


def adapt_step(
    student: Mixer, teacher: Mixer, data: TrainingData, steps: int, loss: str = "fidelity"
) -> Adapter:
    """Tune a quantised model's branches by one of `LOSSES`."""
    draw = impact_draws(data.training, data.channels, teacher, data.seed)
    with progress_bar("adapting", steps) as progress:
        return adapt(student, draw, LOSSES[loss](teacher), steps, progress)


def steady_draws(windows: WindowSet, seed: int) -> Callable[[int], Batch]:
    """Random windows as they are, for each step of fine-tuning."""
    return lambda step: windows.draw(ADAPT_BATCH, np.random.default_rng((seed, step, 2)))


def impact_draws(
    windows: WindowSet, channels: tuple[str, ...], teacher: Mixer, seed: int, share: float = 1.0
) -> Callable[[int], Batch]:
    """Random windows for each step of tuning, an impact planted into a share of them."""

    def draw(step: int) -> Batch:
        rng = np.random.default_rng((seed, step, 1))
        g = torch.Generator().manual_seed(int(rng.integers(2**62)))
        batch = windows.draw(ADAPT_BATCH, rng)
        return augment(batch, channels, teacher.spread, replace(NONE, impact=share), g)

    return draw


def evaluate_step(
    student: Mixer, teacher: Mixer | None, data: TrainingData, run: WindowModel | None = None
) -> dict[str, dict[str, float]]:
    """Scores of both paths and, with a teacher, of full precision.

    On held-out windows; where there are none, on those trained on, without what these cannot tell.

    `run` is what runs the student, where it does not run itself.
    """
    batch = (data.held_out or data.training).spaced(VALIDATION_WINDOWS)
    exact = teacher or student
    found = {"fp32": evaluate(teacher, teacher, batch, Route.TRANSIENT)} if teacher else {}
    found |= {
        f"{route.name.lower()}_path": evaluate(run or student, exact, batch, route)
        for route in Route
    }
    if data.held_out is not None:
        return found
    kept = ("deviation", "flips")
    return {path: {key: of[key] for key in kept if key in of} for path, of in found.items()}
