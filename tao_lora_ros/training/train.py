"""The whole way from bags to an artifact: read, fit, quantise, calibrate, evaluate, save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress, track

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import Run, read_run
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.model.artifact import Artifact, save_artifact
from tao_lora_ros.model.mixer import Mixer, MixerConfig
from tao_lora_ros.router.calibration import calibrated, uncalibrated
from tao_lora_ros.router.router import Path as Route
from tao_lora_ros.training.dataset import WindowSet, label_names
from tao_lora_ros.training.evaluate import evaluate
from tao_lora_ros.training.fit import fit
from tao_lora_ros.training.quantize import quantize

VALIDATION_SHARE = 0.2
CALIBRATION_WINDOWS = 512
VALIDATION_WINDOWS = 4000
ARTIFACT_VERSION = "1"


@dataclass(frozen=True)
class TrainingConfig:
    """What to train: name, grid rate, optimiser steps, seed, and the router's target."""

    model_id: str
    rate_hz: float = 500.0
    steps: int = 1500
    seed: int = 0
    alarms_per_hour: float = 1.0


def train(
    bags: list[Path],
    steady: list[Path],
    out: Path,
    settings: Settings,
    topics: Mapping[str, str],
    config: TrainingConfig,
) -> Artifact:
    """Train on bags and write the artifact folder `out`.

    The last fifth of the bags, whole runs, is held out for the metrics.

    Args:
        bags: recordings, labelled by `<bag>.labels.csv` where there is one.
        steady: recordings without a transient, for the router's thresholds.
        out: artifact folder.
        settings: names and lags of the sources.
        topics: bag topic by source name, where it is not obvious.
        config: what to train.

    Raises:
        BagError: a bag cannot be used, or all together are too short.
        CalibrationError: the steady recordings are too short.
    """
    read = partial(read_run, settings=settings, rate_hz=config.rate_hz, topics=topics)
    runs = [read(bag) for bag in track(bags, "reading")]
    quiet = [read(bag) for bag in track(steady, "reading steady")]
    held_out = round(len(runs) * VALIDATION_SHARE)
    training, validation = runs[: len(runs) - held_out], runs[len(runs) - held_out :]
    channels = tuple(name for source in source_configs(settings) for name in source.channels)
    labels = label_names(training)
    sizes = MixerConfig(channels=len(channels), classes=len(labels))
    data = _windows(training, labels, sizes)
    router = uncalibrated(channels, config.rate_hz)
    with Progress() as bar:
        task = bar.add_task("training", total=config.steps)
        teacher = fit(
            data,
            sizes,
            router.floors,
            config.steps,
            config.seed,
            lambda step, loss: bar.update(
                task, completed=step, description=f"training, loss {loss:.3f}"
            ),
        )
    steady_rows = [run.values for run in quiet]
    calibration, _ = calibrated(router, steady_rows, config.rate_hz, config.alarms_per_hour)
    rng = np.random.default_rng(config.seed)
    calm = _windows(quiet, labels, sizes).spaced(CALIBRATION_WINDOWS).windows
    student = quantize(teacher, calm, data.draw(CALIBRATION_WINDOWS, rng).windows)
    artifact = Artifact(
        model_id=config.model_id,
        version=ARTIFACT_VERSION,
        model=student,
        rate_hz=config.rate_hz,
        channels=channels,
        labels=labels,
        calibration=calibration,
        provenance={
            "training_runs": [run.name for run in training],
            "validation_runs": [run.name for run in validation],
            "steady_runs": [run.name for run in quiet],
            "torch": torch.__version__,
            **asdict(config),
        },
        metrics=_metrics(student, teacher, validation, labels),
    )
    save_artifact(artifact, out)
    return artifact


def _windows(runs: list[Run], labels: tuple[str, ...], sizes: MixerConfig) -> WindowSet:
    windows = WindowSet(runs, labels, sizes.window, sizes.horizon)
    if not len(windows):
        rows = max(len(run.values) for run in runs)
        raise BagError(
            f"the longest recording has {rows} rows; a window and its forecast take "
            f"{sizes.window + sizes.horizon}"
        )
    return windows


def _metrics(
    student: Mixer, teacher: Mixer, runs: list[Run], labels: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Scores on held-out runs, for FP32 and for both paths; nothing where no run is held out."""
    if not runs:
        return {}
    batch = _windows(runs, labels, student.config).spaced(VALIDATION_WINDOWS)
    return {
        "fp32": evaluate(teacher, teacher, batch, Route.TRANSIENT),
        "steady_path": evaluate(student, teacher, batch, Route.STEADY),
        "transient_path": evaluate(student, teacher, batch, Route.TRANSIENT),
    }
