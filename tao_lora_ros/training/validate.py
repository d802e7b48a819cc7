"""The scores of a training: of runs held out, in folds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tao_lora_ros.bags.rows import Run
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.report.score_tables import HELD_OUT
from tao_lora_ros.training.cross_validation import cross_validate, validation
from tao_lora_ros.training.dataset import windows_of
from tao_lora_ros.training.fit import fit
from tao_lora_ros.training.folds import Fold, Split, groups_of, long_enough, runs_in, split
from tao_lora_ros.training.held_out import RunOutputs
from tao_lora_ros.training.losses import LossLog
from tao_lora_ros.training.progress import progress_bar
from tao_lora_ros.training.steps import LOSS_WINDOWS, TrainingData
from tao_lora_ros.training.training_config import TrainingConfig


def parted_runs(
    bags: list[Path], runs: list[Run], sizes: MixerConfig, config: TrainingConfig
) -> Split:
    """The folds of a training's runs that are long enough, and what is to be said of them."""
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


def how_scored(runs: list[Run], parted: Split, config: TrainingConfig) -> str:
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


def cross_validated(
    parted: Split,
    data: TrainingData,
    floors: tuple[float, ...],
    config: TrainingConfig,
    folder: Path,
    shown: bool,
) -> list[list[RunOutputs]]:
    """What models that did not see them say of the runs, by fold.

    Args:
        parted: of `parted_runs`.
        data: the training's channels, labels and sizes.
        floors: resolution of each channel in SI units.
        config: what to train.
        folder: for the checkpoints.
        shown: whether there is a bar.
    """
    fit_config = replace(config.fit, steps=min(config.fold_steps, config.fit.steps))

    def fit_fold(number: int, fold: Fold) -> Mixer:
        windows, unseen = (
            windows_of(runs_in(parts), data.labels, data.sizes)
            for parts in (fold.training, fold.held_out)
        )
        with progress_bar(f"fold {number} of {len(parted.folds)}", fit_config.steps, shown) as bar:
            return fit(
                windows,
                data.sizes,
                data.channels,
                floors,
                fit_config,
                bar,
                folder / f"{_name(fold)}.safetensors",
                held_out=unseen.spaced(LOSS_WINDOWS),
                validated=_log(folder, fold).add,
            )

    return cross_validate(parted.folds, data.labels, fit_fold)


def fold_losses(folds: Sequence[Fold], folder: Path) -> list[dict[int, float]]:
    """The losses by step of what each fold did not see, as `cross_validated` noted them."""
    return [_log(folder, fold).read() for fold in folds]


def _log(folder: Path, fold: Fold) -> LossLog:
    return LossLog(folder / f"{_name(fold)}.csv", every=1)


def _name(fold: Fold) -> str:
    """By the runs, so that a fold is not gone on with on others, some of which are to be scored."""
    content = [(run.name, len(run.values)) for _, run in fold.training]
    return f"fold_{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]}"


def with_scores(
    artifact: Artifact, outputs: list[list[RunOutputs]], how: str, notes: list[str]
) -> Artifact:
    """With the scores of runs held out, and the filter of labels that is best for them."""
    window, rate_hz = artifact.window, artifact.rate_hz
    outputs = [fold for fold in outputs if fold]
    found = validation(outputs, artifact.labels, window, rate_hz, how, notes)
    metrics = artifact.metrics | {HELD_OUT: found.scores}
    return replace(artifact, metrics=metrics, label_filter=found.label_filter)
