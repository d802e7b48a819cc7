"""Recordings of a Husky A200 on five terrains (BorealTC, arXiv 2403.16877), split by whole runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tao_lora_ros.bags.import_layout import Layout
from tao_lora_ros.bags.importing import import_tables
from tao_lora_ros.bags.rows import Run, Span
from tao_lora_ros.engine.settings import read_settings
from tao_lora_ros.training import recordings
from tao_lora_ros.training.recordings import Reading

RATE_HZ = 100.0
CHANNELS = tuple(f"imu.{quantity}_{axis}" for quantity in ("accel", "gyro") for axis in "xyz")
_COLUMNS = [4, 5, 6, 1, 2, 3]  # of `time wx wy wz ax ay az`
_TEST, _VALIDATION = 0.25, 0.2  # shares of each terrain's runs


@dataclass(frozen=True)
class Split:
    """Whole runs for training, for choosing, and for the score."""

    training: list[Run]
    validation: list[Run]
    test: list[Run]


def data_file() -> Path:
    """The recordings, in `$TAO_LORA_DATA` or beside the project."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return Path(os.environ.get("TAO_LORA_DATA", beside)) / "borealtc" / "imu_runs.npz"


def read_runs(file: Path) -> list[Run]:
    """All runs, labelled by their terrain, by name."""
    with np.load(file) as content:
        return [_run(name, content[name][:, _COLUMNS]) for name in sorted(content.files)]


def imported_runs(folder: Path) -> list[Run]:
    """The same as bags: imported and read as the commands of docs/training.md do it."""
    layout = Layout(columns=("time", "wx", "wy", "wz", "ax", "ay", "az"))
    bags = [made.bag for made in import_tables([data_file()], folder / "bags", layout, force=True)]
    settings = read_settings(Path(__file__).parents[2] / "config" / "mobile_base.yaml")
    how = Reading(settings, RATE_HZ, name_label="([A-Z_]+)_", cache=folder / "rows")
    return recordings.read_runs(sorted(bags), how)


def _run(name: str, values: np.ndarray) -> Run:
    return Run(name, values, (Span(0, len(values), name.partition("/")[0]),))


def split(runs: list[Run], seed: int) -> Split:
    """A random split of every terrain's runs; no run is in two parts."""
    rng = np.random.default_rng(1000 + seed)
    parts: tuple[list[Run], list[Run], list[Run]] = ([], [], [])
    for terrain in sorted({run.spans[0].label for run in runs}):
        of_terrain = [run for run in runs if run.spans[0].label == terrain]
        order = rng.permutation(len(of_terrain))
        tests = max(1, round(_TEST * len(order)))
        choices = max(1, round(_VALIDATION * len(order)))
        for rank, number in enumerate(order):
            part = 2 if rank < tests else 1 if rank < tests + choices else 0
            parts[part].append(of_terrain[number])
    return Split(*parts)
