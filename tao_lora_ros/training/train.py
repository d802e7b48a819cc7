"""The whole way from bags to an artifact: read, fit, quantise, adapt, calibrate, evaluate, save."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import Run
from tao_lora_ros.detection.calibration import uncalibrated
from tao_lora_ros.engine.calibration import calibrated_on
from tao_lora_ros.model.artifact import Artifact, save_artifact
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.report.loss_plot import plot_losses
from tao_lora_ros.training.dataset import WindowSet, label_names
from tao_lora_ros.training.distributed import Workers
from tao_lora_ros.training.event_names import EventNameError
from tao_lora_ros.training.fit import fit
from tao_lora_ros.training.fit_config import FitConfig
from tao_lora_ros.training.losses import LossLog
from tao_lora_ros.training.name_events import PROVENANCE_KEY, evaluate_events, name_events
from tao_lora_ros.training.progress import progress_bar
from tao_lora_ros.training.recordings import Reading, hold_out, read_runs
from tao_lora_ros.training.steps import (
    TrainingData,
    adapt_step,
    evaluate_step,
    quantize_step,
    training_folder,
)
from tao_lora_ros.training.teacher import save_teacher

SIZES = {"base": MixerConfig(1, 0), "large": MixerConfig(1, 0, width=256, blocks=6, expansion=4)}
ARTIFACT_VERSION = "1"


@dataclass(frozen=True)
class TrainingConfig:
    """What to train.

    Args:
        model_id: name of the model.
        size: of `SIZES`.
        fit: how to fit the full-precision model.
        settle_steps: steps of tuning codes, scales and biases of the quantised model.
        adapt_steps: steps of tuning the low-rank branches.
        alarms_per_hour: false alarms that the router's thresholds aim at.
    """

    model_id: str
    size: str = "base"
    fit: FitConfig = field(default_factory=FitConfig)
    settle_steps: int = 600
    adapt_steps: int = 400
    alarms_per_hour: float = 1.0


def train(
    bags: list[Path], steady: list[Path], out: Path, how: Reading, config: TrainingConfig
) -> Artifact | None:
    """Train on bags and write the artifact folder `out`; resumes what was interrupted.

    Of the bags, the last fifth of those with the same labels, whole runs, is held out for the
    metrics. `out`/training keeps the full-precision model, a checkpoint and the log of losses.
    Under `torchrun` all workers share the batch; the first one writes.

    Args:
        bags: recordings to train on.
        steady: recordings without a transient, for the router's thresholds.
        out: artifact folder.
        how: how bags are read.
        config: what to train.

    Returns:
        The artifact; None on any worker but the first.

    Raises:
        BagError: a bag cannot be used, or all together are too short.
        CalibrationError: the steady recordings are too short.
        CheckpointError: the checkpoint in `out` is of another training.
    """
    workers = Workers()
    if not workers.first:
        workers.wait()  # until the first one has filled the cache
    runs = read_runs(bags, how)
    training, held_out = hold_out(runs)
    steady_runs = read_runs(steady, how)
    if workers.first:
        workers.wait()
    data = training_data(training, held_out, steady_runs, how, config)
    folder = training_folder(out)
    losses = LossLog(folder / "losses.csv")
    with progress_bar("training", config.fit.steps, workers.first) as bar:

        def show(step: int, loss: float) -> None:
            losses.add(step, loss)
            bar(step, loss)

        checkpoint = folder / "checkpoint.safetensors"
        router = uncalibrated(how.channels, how.rate_hz)
        sizes = data.sizes
        teacher = fit(
            data.training, sizes, how.channels, router.floors, config.fit, show, checkpoint
        )
    if not workers.first:
        return None
    plot_losses(losses.read(), folder / "losses.html")
    save_teacher(teacher, folder)
    steady_rows = [np.asarray(run.values, np.float64) for run in steady_runs]
    made = calibrated_on(steady_rows, router, how.channels, how.rate_hz, config.alarms_per_hour)
    student = quantize_step(teacher, data, config.settle_steps)
    adapt_step(student, teacher, data, config.adapt_steps)
    artifact = Artifact(
        model_id=config.model_id,
        version=ARTIFACT_VERSION,
        model=network_of(student),
        rate_hz=how.rate_hz,
        channels=how.channels,
        labels=data.labels,
        calibration=made.router,
        contacts=made.contacts,
        provenance={
            "training_runs": [run.name for run in training],
            "validation_runs": [run.name for run in held_out],
            "steady_runs": [run.name for run in steady_runs],
            "torch": torch.__version__,
            "workers": workers.count,
            **asdict(config),
        },
        metrics=evaluate_step(student, teacher, data),
    )
    kept_back = {id(run) for run in held_out}
    groups: tuple[list[Path], list[Path]] = [], []
    for bag, run in zip(bags, runs, strict=True):
        groups[id(run) in kept_back].append(bag)
    artifact = _with_names(artifact, *groups, how)
    save_artifact(artifact, out)
    return artifact


def _with_names(
    artifact: Artifact, training: list[Path], held_out: list[Path], how: Reading
) -> Artifact:
    """With an event head where the bags are labelled; why there is none goes to provenance."""
    if not artifact.labels:
        return artifact
    try:
        named = name_events(artifact, training, how)
    except EventNameError as error:
        return replace(artifact, provenance=artifact.provenance | {PROVENANCE_KEY: str(error)})
    scores = evaluate_events(named, held_out, how)
    return replace(named, metrics=named.metrics | {"events": scores})


def training_data(
    training: list[Run],
    held_out: list[Run],
    steady_runs: list[Run],
    how: Reading,
    config: TrainingConfig,
) -> TrainingData:
    """Runs as windows for a model of the configured size."""
    labels = label_names(training)
    sizes = MixerConfig(
        **asdict(SIZES[config.size]) | {"channels": len(how.channels), "classes": len(labels)}
    )
    return TrainingData(
        channels=how.channels,
        labels=labels,
        sizes=sizes,
        training=windows_of(training, labels, sizes),
        held_out=windows_of(held_out, labels, sizes) if held_out else None,
        steady=windows_of(steady_runs, labels, sizes),
        seed=config.fit.seed,
    )


def windows_of(runs: list[Run], labels: tuple[str, ...], sizes: MixerConfig) -> WindowSet:
    """The windows of runs.

    Raises:
        BagError: all of them are too short.
    """
    windows = WindowSet(runs, labels, sizes.window, sizes.horizon)
    if not len(windows):
        rows = max((len(run.values) for run in runs), default=0)
        raise BagError(
            f"the longest recording has {rows} rows; a window and its forecast take "
            f"{sizes.window + sizes.horizon}"
        )
    return windows
