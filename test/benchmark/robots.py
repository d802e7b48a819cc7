"""From one robot to another of the kind: a model, its scales by the other's own motion, and peers.

LCD's feet of ATLAS and NAO, read in place. Trained on one robot, scored on the other; the other's
first `OWN_S` seconds, without their labels, set the scales, and the rest is scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark import borealtc, forest
from tao_lora_ros.bags.rows import Run, spans_of
from tao_lora_ros.benchmarks.results import OURS
from tao_lora_ros.detection.glitch_filter import resolutions
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.model.robot_scale import scales_of
from tao_lora_ros.signal.channels import quantities
from tao_lora_ros.training.dataset import WindowSet
from tao_lora_ros.training.evaluate import classification, outputs
from tao_lora_ros.training.fit import fit
from tao_lora_ros.training.fit_config import FitConfig

RATE_HZ, OWN_S = 100.0, 30.0
CHANNELS = tuple(
    f"{sensor}_{axis}"
    for sensor in ("imu.accel", "imu.gyro", "wrench.force", "wrench.torque")
    for axis in "xyz"
)
LABELS = ("stable", "none", "slip")
ROBOTS = {"ATLAS": ("ATLAS_10k_05ground", "ATLAS_7k_04ground"), "NAO": ("NAO_05ground",)}
SIZES = MixerConfig(len(CHANNELS), len(LABELS), window=16, width=64, blocks=2)
_STEP = 5  # rows between windows
_OWN = round(RATE_HZ * OWN_S)
COLUMNS = [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]

Rows = NDArray[np.floating]
Score = tuple[str, str, str, float]  # subject, case, metric, value


def folder() -> Path:
    """Where LCD's recordings are."""
    return borealtc.data_file().parents[1] / "lcd"


def measure(seed: int, steps: int) -> Iterator[Score]:
    """Scores of every subject, from each robot to the other."""
    runs = {robot: [read_run(name) for name in names] for robot, names in ROBOTS.items()}
    for here, there in (("ATLAS", "NAO"), ("NAO", "ATLAS")):
        for subject, said in _subjects(runs[here], runs[there], seed, steps):
            actual = np.concatenate([_windows([run])[1] for run in runs[there]])
            for metric, value in classification(said, actual).items():
                yield subject, f"{here} to {there}", metric, value


def _subjects(
    training: list[Run], scored: list[Run], seed: int, steps: int
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    windows = WindowSet(training, LABELS, SIZES.window, SIZES.horizon)
    floors = resolutions(CHANNELS)
    model = fit(windows, SIZES, CHANNELS, floors, FitConfig(steps=steps, seed=seed))
    known = scales([run.values for run in training])
    yield f"{OURS}, as trained", np.concatenate([_said(model, run) for run in scored])
    fitted = [_fitted(model, scales([run.values[:_OWN]]) / known) for run in scored]
    yield OURS, np.concatenate([_said(m, r) for m, r in zip(fitted, scored, strict=True)])
    for name, scale in _FORESTS.items():
        x, y = _windows(training, scale, own=0)
        parts = [_windows([run], scale)[0] for run in scored]
        yield name, _forest(x, y, seed, np.concatenate(parts))


def _forest(
    training: NDArray[np.float32], labels: NDArray[np.int64], seed: int, test: NDArray[np.float32]
) -> NDArray[np.int64]:
    """By the forest's features, and where the window and its newest row lie."""
    from sklearn.ensemble import RandomForestClassifier

    def features(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.hstack((forest.features(windows), windows.mean(axis=1), windows[:, -1]))

    grown = RandomForestClassifier(
        200, min_samples_leaf=3, class_weight="balanced_subsample", random_state=seed
    )
    return np.asarray(grown.fit(features(training), labels).predict(features(test)))


def read_run(name: str) -> Run:
    """A walk of `ROBOTS`, labelled row by row."""
    table = np.loadtxt(folder() / f"{name}.csv", delimiter=",")
    labels = [LABELS[int(label)] for label in table[:, 12]]
    return Run(name, table[:, COLUMNS].astype(np.float32), spans_of(labels))


def scales(recordings: list[Rows]) -> Rows:
    """A scale a channel, its quantity's, [C]."""
    found = scales_of(recordings, CHANNELS)
    return np.repeat([found[quantity] for quantity in quantities(CHANNELS)], 3)


def _ninety_fifth(recordings: list[Rows]) -> Rows:
    return np.quantile(np.abs(np.concatenate(recordings)), 0.95, axis=0)


_FORESTS: dict[str, Callable[[list[Rows]], Rows]] = {
    "random-forest": lambda recordings: np.ones(len(CHANNELS)),
    "random-forest, own 95th percentiles": _ninety_fifth,
    "random-forest, own scales": scales,
}


def _fitted(model: Mixer, ratios: Rows) -> Mixer:
    other = Mixer(model.config)
    other.load_state_dict(model.state_dict())
    for units in (other.level_mean, other.level_std, other.spread):
        units *= torch.from_numpy(ratios).float()
    return other.eval()


def _windows(
    runs: list[Run], scale: Callable[[list[Rows]], Rows] | None = None, own: int = _OWN
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Windows [n, T, C], divided by the scale of each run's own motion, and labels; all runs'."""
    found = []
    for run in runs:
        rows = WindowSet([run], LABELS, SIZES.window, SIZES.horizon)
        batch = rows.take(np.arange(own, len(rows), _STEP))
        by = scale([run.values[: own or None]]) if scale else 1.0
        found.append(((batch.windows.numpy() / by).astype(np.float32), batch.labels.numpy()))
    return np.concatenate([x for x, _ in found]), np.concatenate([y for _, y in found])


def _said(model: Mixer, run: Run) -> NDArray[np.int64]:
    logits = outputs(model, torch.from_numpy(_windows([run])[0]), Route.TRANSIENT).logits
    assert logits is not None, "there are labels"
    return logits.argmax(dim=1).numpy()
