"""The whole way from bags to an artifact: read, fit, quantise, adapt, calibrate, evaluate, save."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import Run
from tao_lora_ros.detection.calibration import CalibrationError, uncalibrated
from tao_lora_ros.detection.findings import Findings
from tao_lora_ros.engine.calibration import Calibrated, calibrated_on
from tao_lora_ros.engine.sources import WRENCH_TYPES_KEY
from tao_lora_ros.model.artifact import Artifact, save_artifact, training_folder
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.report.loss_plot import plot_losses
from tao_lora_ros.report.score_tables import write_scores
from tao_lora_ros.training import inventory
from tao_lora_ros.training.dataset import label_names, windows_of
from tao_lora_ros.training.distributed import Workers
from tao_lora_ros.training.event_names import EventNameError
from tao_lora_ros.training.fit import fit
from tao_lora_ros.training.fit_config import FitConfig
from tao_lora_ros.training.folds import Fold, Split, names_in, runs_in
from tao_lora_ros.training.held_out import run_outputs
from tao_lora_ros.training.losses import LossLog
from tao_lora_ros.training.name_events import PROVENANCE_KEY, evaluate_events, name_events
from tao_lora_ros.training.progress import progress_bar
from tao_lora_ros.training.recordings import Reading, read_runs
from tao_lora_ros.training.robot import WINDOWS, with_scales
from tao_lora_ros.training.steps import (
    LOSS_WINDOWS,
    TrainingData,
    adapt_step,
    evaluate_step,
    quantize_step,
)
from tao_lora_ros.training.teacher import save_teacher
from tao_lora_ros.training.training_config import TrainingConfig
from tao_lora_ros.training.validate import (
    cross_validated,
    fold_losses,
    how_scored,
    parted_runs,
    with_scores,
)

ARTIFACT_VERSION = "1"


def train(
    bags: Sequence[Path],
    steady: Sequence[Path],
    out: Path,
    how: Reading,
    config: TrainingConfig,
) -> Artifact | None:
    """Train on bags and write the artifact folder `out`; resumes what was interrupted.

    Scores and the filter of labels over time come from models that did not see the runs they are
    scored on, one a fold; the model itself is fitted on everything, unless `hold_out` is set.
    `out`/training keeps the full-precision model, checkpoints and the log of losses. Under
    `torchrun` all workers share the batch; the first one writes, and says on standard error what
    each bag gives.

    Args:
        bags: recordings to train on.
        steady: recordings without a transient, for the router's thresholds; without any the model
            classifies, and finds no event until it is calibrated.
        out: artifact folder.
        how: how bags are read.
        config: what to train.

    Returns:
        The artifact; None on any worker but the first.

    Raises:
        BagError: no bag can be used, under `torchrun` one cannot, all are too short, or there are
            neither labels nor steady recordings.
        CalibrationError: the steady recordings are too short, or not steady.
        CheckpointError: the checkpoint in `out` is of another training.
    """
    workers = Workers()
    ready = _prepared(bags, steady, how, config, workers)
    data, kept, folder = ready.data, ready.kept, training_folder(out)
    floors, labels = ready.made.router.floors, data.labels
    outputs = []
    if labels and config.folds > 1 and not config.hold_out:
        outputs = cross_validated(ready.parted, data, floors, config, folder, workers.first)
    teacher = _fitted(data, floors, config.fit, folder, workers.first)
    if not workers.first:
        return None
    unseen = fold_losses(ready.parted.folds, folder) if outputs else [_held_out_log(folder).read()]
    plot_losses(LossLog(folder / "losses.csv").read(), unseen, folder / "losses.html")
    save_teacher(teacher, folder)
    student = quantize_step(teacher, data, config.settle_steps)
    adapt_step(student, teacher, data, config.adapt_steps)
    metrics = evaluate_step(student, teacher, data)
    artifact = _artifact(student, metrics, ready, how, config, workers.count)
    if kept.held_out and labels:
        outputs = [run_outputs(teacher, kept.held_out, labels)]
    if any(outputs):
        scored = how_scored(ready.runs, ready.parted, config)
        artifact = with_scores(artifact, outputs, scored, ready.parted.notes)
    elif config.folds > 1 and labels:
        no_scores = {"scores": "none: the runs are too few or too short to hold any out"}
        artifact = replace(artifact, provenance=artifact.provenance | no_scores)
    artifact = _with_names(artifact, ready, how)
    save_artifact(artifact, out)
    write_scores(artifact.metrics, artifact.model_id, folder / "scores.html")
    return artifact


@dataclass(frozen=True)
class _Prepared:
    """What a training works on: `bags` and their `runs`, of which those `kept` are fitted on."""

    bags: list[Path]
    runs: list[Run]
    steady: list[Run]
    parted: Split
    kept: Fold
    made: Calibrated
    data: TrainingData


def _prepared(
    bags: Sequence[Path],
    steady: Sequence[Path],
    how: Reading,
    config: TrainingConfig,
    workers: Workers,
) -> _Prepared:
    """Read, part and calibrate, before hours are spent; errors as of `train`."""
    if not workers.first:
        workers.wait()  # until the first one has filled the cache
    runs, steady_runs = read_runs(bags, how), read_runs(steady, how)
    if workers.count > 1 and how.pool.failed:
        raise BagError(f"{next(iter(how.pool.failed.values()))}; all workers need the same bags")
    if workers.first:
        workers.wait()
    bags = how.pool.good(bags)
    labels = label_names(runs)
    if not (labels or steady_runs):
        raise BagError(
            f"{bags[0]}: no label, and no steady recording: label the bags (BAG.labels.csv, "
            "--name-label, --label-topic), or give --steady ones"
        )
    sizes = config.sizes(runs, len(how.channels), len(labels))
    parted = parted_runs(bags, runs, sizes, config)
    kept = Fold(list(enumerate(runs)), [])
    if config.hold_out and parted.folds:
        kept = parted.folds[-1]
    training = windows_of(runs_in(kept.training), labels, sizes)
    made = _calibrated(steady_runs, bool(labels), how, config)
    data = TrainingData(
        how.channels,
        labels,
        sizes,
        training=training,
        held_out=windows_of(runs_in(kept.held_out), labels, sizes) if kept.held_out else None,
        steady=windows_of(steady_runs, labels, sizes) if steady_runs else training,
        seed=config.fit.seed,
    )
    if workers.first:
        for line in inventory.lines(runs, labels, sizes):
            print(line, file=sys.stderr)
    return _Prepared(bags, runs, steady_runs, parted, kept, made, data)


def _artifact(
    student: Mixer,
    metrics: dict[str, Any],
    ready: _Prepared,
    how: Reading,
    config: TrainingConfig,
    workers: int,
) -> Artifact:
    """The model with its calibration and where it comes from, on the scales of its recordings."""
    data, made = ready.data, ready.made
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
            "training_runs": names_in(ready.kept.training),
            "validation_runs": names_in(ready.kept.held_out),
            "steady_runs": [run.name for run in ready.steady],
            "left_out": how.pool.failed,
            WRENCH_TYPES_KEY: list(how.settings.wrench_types),
            "torch": torch.__version__,
            "workers": workers,
            **asdict(config),
        },
        metrics=metrics,
    )
    return with_scales(artifact, made.kept, data.training.spaced(WINDOWS).windows.numpy())


def _calibrated(
    steady: Sequence[Run], labelled: bool, how: Reading, config: TrainingConfig
) -> Calibrated:
    """On the steady runs, before hours are spent; without any, all that is known without.

    Raises:
        CalibrationError: they do not serve; the text names the remedy.
    """
    router = uncalibrated(how.channels, how.rate_hz)
    if not steady:
        return Calibrated(router, Findings([], (), 0.0, 0.0, 0.0), [], (), [])
    rows = [np.asarray(run.values, np.float64) for run in steady]
    try:
        return calibrated_on(rows, router, how.channels, how.rate_hz, config.alarms_per_hour)
    except CalibrationError as error:
        remedy = "; or leave --steady out where only classes matter" * labelled
        others = f" and {len(steady) - 1} more" * (len(steady) > 1)
        raise CalibrationError(f"--steady {steady[0].name}{others}: {error}{remedy}") from None


def _fitted(
    data: TrainingData, floors: tuple[float, ...], config: FitConfig, folder: Path, shown: bool
) -> Mixer:
    losses = LossLog(folder / "losses.csv")
    with progress_bar("training", config.steps, shown) as bar:

        def show(step: int, loss: float) -> None:
            losses.add(step, loss)
            bar(step, loss)

        checkpoint = folder / "checkpoint.safetensors"
        return fit(
            data.training,
            data.sizes,
            data.channels,
            floors,
            config,
            show,
            checkpoint,
            held_out=data.held_out.spaced(LOSS_WINDOWS) if data.held_out else None,
            validated=_held_out_log(folder).add,
        )


def _held_out_log(folder: Path) -> LossLog:
    return LossLog(folder / "losses_held_out.csv", every=1)


def _with_names(artifact: Artifact, ready: _Prepared, how: Reading) -> Artifact:
    """With an event head where the bags are labelled; why there is none goes to provenance."""
    if not artifact.labels:
        return artifact
    trained = {number for number, _ in ready.kept.training}
    training, held_out = (
        [bag for number, bag in enumerate(ready.bags) if (number in trained) is known]
        for known in (True, False)
    )
    try:
        named = name_events(artifact, training, how)
    except EventNameError as error:
        return replace(artifact, provenance=artifact.provenance | {PROVENANCE_KEY: str(error)})
    if not held_out:
        return named
    scores = evaluate_events(named, held_out, how)
    return replace(named, metrics=named.metrics | {"events": scores})
