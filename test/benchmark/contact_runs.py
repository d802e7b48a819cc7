"""Simulated recordings of the arm with a contact label on every row, kept in a cache."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmark.scenes import SCENE_S, aligned, cache_folder
from tao_lora_ros.bags.rows import Run, row_labels, spans_of
from tao_lora_ros.messages.label_span import LabelSpan


def contact_runs(seeds: Iterable[int], cache: Path) -> list[Run]:
    """One labelled run of a minute a seed.

    Raises:
        ImportError: MuJoCo is missing.
    """
    return [_run(seed, cache_folder(cache)) for seed in seeds]


def _run(seed: int, folder: Path) -> Run:
    file = folder / f"labelled-{seed}-{SCENE_S:g}s.npz"
    if not file.exists():
        values, labels = _simulate(seed)
        unfinished = file.with_suffix(".tmp.npz")
        np.savez_compressed(unfinished, values=values, labels=labels)
        unfinished.replace(file)
    with np.load(file) as parts:
        return Run(f"sim_{seed}", parts["values"], spans_of(parts["labels"]))


def _simulate(seed: int) -> tuple[np.ndarray, np.ndarray]:
    from tao_lora_ros.simulation.recording import SimulationConfig, simulate

    recording = simulate(SimulationConfig(duration_s=SCENE_S, seed=seed))
    times_s, rows, _ = aligned(recording)
    contacts = [LabelSpan(c.start_s, c.end_s, c.label, c.peak_sigma) for c in recording.contacts]
    return rows.astype(np.float32), row_labels(contacts, times_s)
