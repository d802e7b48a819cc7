"""The whole way from bags to an artifact: read, fit, quantise, adapt, calibrate, evaluate, save."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import Run
from tao_lora_ros.detection.calibration import uncalibrated
from tao_lora_ros.engine.calibration import calibrated_on
from tao_lora_ros.model.artifact import Artifact, save_artifact, training_folder
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.report.loss_plot import plot_losses
from tao_lora_ros.report.score_tables import HELD_OUT, write_scores
from tao_lora_ros.training.cross_validation import cross_validate, validation
from tao_lora_ros.training.dataset import WindowSet, label_names
from tao_lora_ros.training.distributed import Workers
from tao_lora_ros.training.event_names import EventNameError
from tao_lora_ros.training.fit import fit
from tao_lora_ros.training.fit_config import FitConfig
from tao_lora_ros.training.folds import (
    Fold,
    Part,
    Split,
    groups_of,
    long_enough,
    names_in,
    runs_in,
    split,
)
from tao_lora_ros.training.held_out import RunOutputs, run_outputs
from tao_lora_ros.training.losses import LossLog
from tao_lora_ros.training.name_events import PROVENANCE_KEY, evaluate_events, name_events
from tao_lora_ros.training.progress import progress_bar
from tao_lora_ros.training.recordings import Reading, read_runs
from tao_lora_ros.training.robot import WINDOWS, with_scales
from tao_lora_ros.training.steps import (
    TrainingData,
    adapt_step,
    evaluate_step,
    quantize_step,
)
from tao_lora_ros.training.teacher import save_teacher

SIZES = {
    "base": MixerConfig(1, 0, segment=32),
    "large": MixerConfig(1, 0, width=256, blocks=6, expansion=4, segment=32),
}
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
        folds: in which every run is held out once for the scores; below 2 nothing is scored.
        fold_steps: of a fold's fit, which are fewer than those of the model that is kept.
        group: expression whose first group in a bag's path says what belongs together.
        hold_out: train on all but one fold, which gives the scores, instead of on everything.
    """

    model_id: str
    size: str = "base"
    fit: FitConfig = field(default_factory=FitConfig)
    settle_steps: int = 600
    adapt_steps: int = 400
    alarms_per_hour: float = 1.0
    folds: int = 5
    fold_steps: int = 600
    group: str = ""
    hold_out: bool = False


def train(
    bags: list[Path], steady: list[Path], out: Path, how: Reading, config: TrainingConfig
) -> Artifact | None:
    """Train on bags and write the artifact folder `out`; resumes what was interrupted.

    Scores and the filter of labels over time come from models that did not see the runs they are
    scored on, one a fold; the model itself is fitted on everything, unless `hold_out` is set.
    `out`/training keeps the full-precision model, checkpoints and the log of losses. Under
    `torchrun` all workers share the batch; the first one writes.

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
    runs, steady_runs = read_runs(bags, how), read_runs(steady, how)
    if workers.first:
        workers.wait()
    labels = label_names(runs)
    sizes = MixerConfig(
        **asdict(SIZES[config.size]) | {"channels": len(how.channels), "classes": len(labels)}
    )
    parted = _parted(bags, runs, sizes, config)
    kept = Fold(list(enumerate(runs)), [])
    if config.hold_out and parted.folds:
        kept = parted.folds[-1]
    data = TrainingData(
        how.channels,
        labels,
        sizes,
        training=windows_of(runs_in(kept.training), labels, sizes),
        held_out=windows_of(runs_in(kept.held_out), labels, sizes) if kept.held_out else None,
        steady=windows_of(steady_runs, labels, sizes),
        seed=config.fit.seed,
    )
    folder = training_folder(out)
    router = uncalibrated(how.channels, how.rate_hz)
    outputs = []
    if labels and config.folds > 1 and not config.hold_out:
        outputs = _cross_validated(parted, data, router.floors, config, folder, workers.first)
    teacher = _fitted(data, router.floors, config.fit, folder, workers.first)
    if not workers.first:
        return None
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
        labels=labels,
        calibration=made.router,
        contacts=made.contacts,
        provenance={
            "training_runs": names_in(kept.training),
            "validation_runs": names_in(kept.held_out),
            "steady_runs": [run.name for run in steady_runs],
            "torch": torch.__version__,
            "workers": workers.count,
            **asdict(config),
        },
        metrics=evaluate_step(student, teacher, data),
    )
    windows = data.training.spaced(WINDOWS).windows.numpy()
    artifact = with_scales(artifact, made.kept, windows)
    if kept.held_out and labels:
        outputs = [run_outputs(teacher, kept.held_out, labels)]
    if any(outputs):
        artifact = _validated(artifact, outputs, _how(runs, parted, config), parted.notes)
    elif config.folds > 1 and labels:
        told = {"scores": "none: the runs are too few or too short to hold any out"}
        artifact = replace(artifact, provenance=artifact.provenance | told)
    trained = {number for number, _ in kept.training}
    groups: tuple[list[Path], list[Path]] = [], []
    for number, bag in enumerate(bags):
        groups[number not in trained].append(bag)
    artifact = _with_names(artifact, *groups, how)
    save_artifact(artifact, out)
    write_scores(artifact.metrics, artifact.model_id, folder / "scores.html")
    return artifact


def _parted(bags: list[Path], runs: list[Run], sizes: MixerConfig, config: TrainingConfig) -> Split:
    folds = max(config.folds, 2)
    groups = groups_of(bags, runs, config.group, folds)
    parted = split(runs, groups, folds, gap=sizes.window, fewest=3 if config.hold_out else 2)
    rows = sizes.window + sizes.horizon
    notes, kept = list(parted.notes), long_enough(parted.folds, rows)
    if short := sum(len(run.values) <= rows for run in runs):
        notes.append(f"{short} runs of {rows} rows or less are not scored")
    if lost := len(parted.folds) - len(kept):
        notes.append(f"{lost} folds are not scored: nothing longer than {rows} rows on either side")
    return Split(kept, notes)


def _how(runs: list[Run], parted: Split, config: TrainingConfig) -> str:
    """What the scores are of, in a sentence."""
    together = f"with one /{config.group}/" if config.group else "recorded one after another"
    if config.hold_out:
        held_out = len({number for number, _ in parted.folds[-1].held_out})
        return f"{held_out} of {len(runs)} runs held out, those {together} not parted"
    return (
        f"{len(runs)} runs in {len(parted.folds)} folds, those {together} in one; every run called "
        f"by a fit of {min(config.fold_steps, config.fit.steps)} steps without its fold, in full "
        "precision; the model itself is fitted on all"
    )


def _cross_validated(
    parted: Split,
    data: TrainingData,
    floors: tuple[float, ...],
    config: TrainingConfig,
    folder: Path,
    shown: bool,
) -> list[list[RunOutputs]]:
    fit_config = replace(config.fit, steps=min(config.fold_steps, config.fit.steps))

    def fit_fold(number: int, fold: Fold) -> Mixer:
        windows = windows_of(runs_in(fold.training), data.labels, data.sizes)
        with progress_bar(f"fold {number} of {len(parted.folds)}", fit_config.steps, shown) as bar:
            checkpoint = folder / f"fold_{_digest(fold.training)}.safetensors"
            return fit(windows, data.sizes, data.channels, floors, fit_config, bar, checkpoint)

    return cross_validate(parted.folds, data.labels, fit_fold)


def _digest(parts: Sequence[Part]) -> str:
    """Of runs, so that a fold is not gone on with on others, some of which are to be scored."""
    content = [(run.name, len(run.values)) for _, run in parts]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _fitted(
    data: TrainingData, floors: tuple[float, ...], config: FitConfig, folder: Path, shown: bool
) -> Mixer:
    losses = LossLog(folder / "losses.csv")
    with progress_bar("training", config.steps, shown) as bar:

        def show(step: int, loss: float) -> None:
            losses.add(step, loss)
            bar(step, loss)

        checkpoint = folder / "checkpoint.safetensors"
        model = fit(data.training, data.sizes, data.channels, floors, config, show, checkpoint)
    if shown:
        plot_losses(losses.read(), folder / "losses.html")
    return model


def _validated(
    artifact: Artifact, outputs: list[list[RunOutputs]], how: str, notes: list[str]
) -> Artifact:
    """With the scores of runs held out, and the filter of labels that is best for them."""
    window, rate_hz = artifact.window, artifact.rate_hz
    outputs = [fold for fold in outputs if fold]
    found = validation(outputs, artifact.labels, window, rate_hz, how, notes)
    metrics = artifact.metrics | {HELD_OUT: found.scores}
    return replace(artifact, metrics=metrics, label_filter=found.label_filter)


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
    if not held_out:
        return named
    scores = evaluate_events(named, held_out, how)
    return replace(named, metrics=named.metrics | {"events": scores})


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
