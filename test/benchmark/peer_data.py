"""What else ours and its peers are held against each other on: other robots, sensors and labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmark import borealtc, robots
from benchmark.contact_runs import contact_runs
from benchmark.scenes import RATE_HZ
from benchmark.series_peers import FOLDS, Task
from benchmark.trials import Say
from tao_lora_ros.bags.rows import Run, Span, spans_of
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.training.dataset import label_names
from tao_lora_ros.training.folds import Fold, Part, groups_of, split
from tao_lora_ros.training.training_config import SIZES
from tao_lora_ros.training.window_sizes import with_window

About = tuple[int, int, int]  # seed, steps of the fits, and of tuning
_ARM_RUNS, _ARM_SEED = 10, 34_000  # no other command simulates with these
_TENTH = 10  # of RaiSim's rows at 1 kHz


def other_tasks(about: About, cache: Path, say: Say) -> Iterator[tuple[str, list[Task]]]:
    """By data set its tasks.

    Raises:
        ImportError: MuJoCo is missing.
        OSError: a recording is.
    """
    for name, fold in _walks():
        kind = robots.LABELS, *about, robots.CHANNELS, robots.RATE_HZ
        yield name, [Task(fold, *kind, _sizes(robots.CHANNELS, robots.LABELS, 16))]
    yield "RaiSim ATLAS", _folds([_raisim()], robots.CHANNELS, robots.RATE_HZ, 16, about)
    if find_spec("aeon"):
        yield "BasicMotions", _folds(_basic_motions(), borealtc.CHANNELS, 10.0, 44, about)
    else:
        say("BasicMotions: left out, aeon is not installed")
    channels = tuple(name for s in source_configs(Settings()) for name in s.channels)
    runs = contact_runs(range(_ARM_SEED, _ARM_SEED + _ARM_RUNS), cache)
    yield "simulated arms", _folds(runs, channels, RATE_HZ, 128, about)


def _folds(
    runs: Sequence[Run],
    channels: tuple[str, ...],
    rate_hz: float,
    window: int,
    about: About,
) -> list[Task]:
    """Whole runs, neighbours together; one run alone by time, with a gap of a window."""
    labels = label_names(runs)
    sizes = _sizes(channels, labels, window)
    folds = split(runs, groups_of([], runs, "", FOLDS), FOLDS, gap=window).folds
    return [Task(fold, labels, *about, channels, rate_hz, sizes) for fold in folds]


def _sizes(channels: Sequence[str], labels: Sequence[str], window: int) -> MixerConfig:
    """Of `base`, as `train --window` makes it."""
    base = replace(SIZES["base"], channels=len(channels), classes=len(labels))
    return with_window(base, window, base.horizon)


def _walks() -> Iterator[tuple[str, Fold]]:
    """LCD's feet, each robot's quantities in units of its own motion."""
    own: dict[str, Run] = {}
    for name in (name for names in robots.ROBOTS.values() for name in names):
        run = robots.read_run(name)
        scales = robots.scales([run.values])
        own[name] = replace(run, values=(run.values / scales).astype(np.float32))
    parts = {name: (number, run) for number, (name, run) in enumerate(own.items())}
    first, second = (parts[name] for name in robots.ROBOTS["ATLAS"])
    (nao,) = (parts[name] for name in robots.ROBOTS["NAO"])
    ways: dict[str, tuple[list[Part], list[Part]]] = {
        "LCD, ATLAS to ATLAS": ([first], [second]),
        "LCD, ATLAS to NAO": ([first, second], [nao]),
        "LCD, NAO to ATLAS": ([nao], [first, second]),
    }
    for name, (training, held_out) in ways.items():
        yield name, Fold(training, held_out)


def _raisim() -> Run:
    """A foot of ATLAS on slippery ground, every tenth row; its authors' contact label."""
    file = borealtc.data_file().parents[1] / "contact_raisim_go1" / "ATLAS_01ground.csv"
    table = np.loadtxt(file, delimiter=",")[::_TENTH]
    values = table[:, robots.COLUMNS].astype(np.float32)
    return Run("ATLAS_01ground", values, spans_of([f"{label:g}" for label in table[:, 12]]))


def _basic_motions() -> list[Run]:
    """A watch's accelerometer and gyro at 10 Hz, 80 series of 100 rows (UEA archive, in aeon)."""
    from aeon.datasets import load_basic_motions

    series, labels = load_basic_motions()
    return [
        Run(f"{label}_{i}", rows.T.astype(np.float32), (Span(0, rows.shape[1], str(label)),))
        for i, (rows, label) in enumerate(zip(series, labels, strict=True))
    ]
