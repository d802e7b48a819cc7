"""One trained model on one split of the data, in every form: the numbers of a single seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.subjects import Draws, Subject, subjects
from tao_lora_ros.bags.rows import Run
from tao_lora_ros.detection.calibration import uncalibrated
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.training.augment import impact
from tao_lora_ros.training.dataset import Batch, WindowSet
from tao_lora_ros.training.evaluate import outputs, scores
from tao_lora_ros.training.fit import fit
from tao_lora_ros.training.fit_config import FitConfig
from tao_lora_ros.training.quantize import LayerInputs, observe
from tao_lora_ros.training.steps import CALIBRATION_WINDOWS, impact_draws, steady_draws
from tao_lora_ros.training.training_config import SIZES

Number = tuple[str, str, str, float]  # subject, case, metric, value
Say = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """What one trial works on: whole runs, by their part.

    Args:
        name: of the data, as in its cases.
        channels: names of the channels.
        rate_hz: rows a second.
        labels: label names.
        training: runs that the model is trained on.
        validation: runs that the task losses are calibrated on.
        test: runs that are scored.
        seed: of the training.
    """

    name: str
    channels: tuple[str, ...]
    rate_hz: float
    labels: tuple[str, ...]
    training: list[Run]
    validation: list[Run]
    test: list[Run]
    seed: int

    @property
    def sizes(self) -> MixerConfig:
        """Of the model: `base` for these channels and labels."""
        return replace(SIZES["base"], channels=len(self.channels), classes=len(self.labels))

    def windows(self, runs: list[Run]) -> WindowSet:
        """The windows of some of the runs."""
        return WindowSet(runs, self.labels, self.sizes.window, self.sizes.horizon)


def teacher_of(
    trial: Trial,
    config: FitConfig,
    cache: Path,
    say: Say,
    make: Callable[[MixerConfig], Mixer] = Mixer,
) -> Mixer:
    """The trial's model in full precision; an interrupted training is resumed from the cache."""
    floors = uncalibrated(trial.channels, trial.rate_hz).floors
    file = cache / f"{make.__name__}-{trial.name}-{trial.seed}-{config.steps}.safetensors"

    def tell(step: int, loss: float) -> None:
        if step % 500 == 0:
            say(f"{trial.name} seed {trial.seed}: step {step} of {config.steps}, loss {loss:.3f}")

    data = trial.windows(trial.training)
    return fit(data, trial.sizes, trial.channels, floors, config, tell, file, make)


@dataclass(frozen=True)
class Observed:
    """What a trained model's layers are fed, and windows to tune its other forms on."""

    inputs: dict[str, LayerInputs]
    draws: Draws


def observed(trial: Trial, teacher: Mixer, calm: Tensor) -> Observed:
    """Of the training runs; `calm` are windows of their steady motion, [B, T, C]."""
    data = trial.windows(trial.training)
    draws = Draws(
        steady_draws(data, trial.seed),
        impact_draws(data, trial.channels, teacher, trial.seed),
        impact_draws(data, trial.channels, teacher, trial.seed, share=0.5),
    )
    transient = draws.transient(int(np.random.default_rng(trial.seed).integers(2**31)))
    return Observed(observe(teacher, calm[:CALIBRATION_WINDOWS], transient.windows), draws)


def measure(
    trial: Trial,
    teacher: Mixer,
    cases: Callable[[WindowSet, Trial, Mixer], dict[str, Batch]],
    settle_steps: int,
    steps: int,
) -> Iterator[Number]:
    """Score every form of the trial's model.

    Args:
        trial: the data.
        teacher: the trained model.
        cases: the `steady` and the `transient` windows of some runs.
        settle_steps: of tuning codes, scales and biases.
        steps: of tuning the branches.
    """
    calm = cases(trial.windows(trial.training), trial, teacher)["steady"].windows
    known = observed(trial, teacher, calm)
    test = cases(trial.windows(trial.test), trial, teacher)
    chosen = cases(trial.windows(trial.validation), trial, teacher)
    exact = {case: outputs(teacher, batch.windows, Route.TRANSIENT) for case, batch in test.items()}
    off: dict[tuple[str, str], float] = {}
    for subject in subjects(teacher, known.inputs, known.draws, settle_steps, steps):
        for case, batch in test.items():
            path = subject.steady if case == "steady" else subject.transient
            mine = outputs(subject.model, batch.windows, path)
            found = scores(mine, exact[case], batch, teacher)
            off[subject.name, case] = found["deviation"]
            for rounding in ("nearest", "gptq"):
                if reference := off.get((f"w4a16-{rounding}", case)):
                    found[f"recovered_of_{rounding}"] = 1 - found["deviation"] / reference
            if mine.logits is not None:
                found["task_loss"] = _task_loss(subject, path, chosen[case], mine.logits, batch)
            found["weight_bytes"] = subject.bytes
            for metric, value in found.items():
                yield subject.name, f"{trial.name}-{case}", metric, value


def struck(batch: Batch, trial: Trial, teacher: Mixer) -> Batch:
    """The windows with an impact in each, of 3 to 100 usual spreads."""
    g = torch.Generator().manual_seed(trial.seed)
    return replace(
        batch,
        windows=batch.windows
        + impact(len(batch.windows), batch.windows.shape[1], trial.channels, teacher.spread, g),
    )


def _task_loss(subject: Subject, path: Route, chosen: Batch, logits: Tensor, batch: Batch) -> float:
    """Cross-entropy with a bias and a temperature that were fitted on the validation runs."""
    fitted = outputs(subject.model, chosen.windows, path).logits
    assert fitted is not None
    bias = torch.zeros(fitted.shape[1], requires_grad=True)
    log_scale = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([bias, log_scale], max_iter=50)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(fitted * log_scale.exp() + bias, chosen.labels)
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        return float(F.cross_entropy(logits * log_scale.exp() + bias, batch.labels))
