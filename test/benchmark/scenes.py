"""Recordings with known impacts, aligned as the pipeline does it: simulated, kept in a cache."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import aligner_for, source_configs
from tao_lora_ros.signal.align import Row
from tao_lora_ros.signal.code_digest import PACKAGE

if TYPE_CHECKING:
    from tao_lora_ros.simulation.recording import Recording

RATE_HZ = 500.0
SCENE_S = 60.0
# A detection within this of contact that is no impact is neither right nor wrong.
BEFORE_CONTACT_S, AFTER_CONTACT_S = 0.05, 0.25


@dataclass(frozen=True)
class Scene:
    """One recording on the grid; all times in seconds on its own clock.

    Args:
        name: what it is called.
        times_s: time of each row, [n].
        rows: all channels, float64 [n, C], NaN where a channel has no value.
        fresh: what of them comes from samples that no row before held (see `Row`), [n, C].
        impacts_s: when each impact begins, [m], ascending.
        sigmas: peak contact force of each impact over the recording's force noise, [m]; NaN where
            nobody knows.
        ignored_s: spans in which a detection that meets no impact does not count, [k, 2].
    """

    name: str
    times_s: NDArray[np.float64]
    rows: NDArray[np.float64]
    fresh: NDArray[np.float64]
    impacts_s: NDArray[np.float64]
    sigmas: NDArray[np.float64]
    ignored_s: NDArray[np.float64]

    @property
    def hours(self) -> float:
        """Length of the recording in hours."""
        return len(self.rows) / RATE_HZ / 3600.0


def simulated(seeds: Iterable[int], contacts: bool, cache: Path) -> Iterator[Scene]:
    """Simulated recordings of `SCENE_S` seconds, one a seed; steady motion without `contacts`.

    What was simulated before by the same code is taken from the cache.

    Raises:
        ImportError: MuJoCo is missing.
    """
    folder = cache_folder(cache)
    kind = "contacts" if contacts else "steady"
    for seed in seeds:
        file = folder / f"{kind}-{seed}-{SCENE_S:g}s.npz"
        if not file.exists():
            _save(_simulate(seed, contacts), file)
        with np.load(file) as parts:
            yield Scene(file.stem, *(parts[name] for name in _PARTS))


def cache_folder(cache: Path) -> Path:
    """Where recordings that today's code has simulated are kept; made where it is missing."""
    folder = cache / f"simulation-{_fingerprint()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


_PARTS = ("times_s", "rows", "fresh", "impacts_s", "sigmas", "ignored_s")


def _save(scene: Scene, file: Path) -> None:
    unfinished = file.with_suffix(".tmp.npz")
    np.savez_compressed(unfinished, **{name: getattr(scene, name) for name in _PARTS})
    unfinished.replace(file)


def _simulate(seed: int, contacts: bool) -> Scene:
    from tao_lora_ros.simulation.recording import SimulationConfig, simulate

    recording = simulate(SimulationConfig(duration_s=SCENE_S, seed=seed, contacts=contacts))
    times_s, rows, fresh = aligned(recording)
    impacts = [contact for contact in recording.contacts if contact.label == "impact"]
    others = [contact for contact in recording.contacts if contact.label != "impact"]
    return Scene(
        name=f"{seed}",
        times_s=times_s,
        rows=rows,
        fresh=fresh,
        impacts_s=np.array([impact.start_s for impact in impacts]),
        sigmas=np.array([impact.peak_sigma for impact in impacts]),
        ignored_s=np.array(
            [(c.start_s - BEFORE_CONTACT_S, c.end_s + AFTER_CONTACT_S) for c in others]
        ).reshape(-1, 2),
    )


def aligned(recording: Recording) -> tuple[NDArray[np.float64], ...]:
    """Times, rows and fresh samples of a simulation, as those of `align`."""
    sources = (recording.imu, recording.wrench)
    stamps = np.concatenate([source.stamps_ns for source in sources])
    which = np.repeat([0, 1], [len(source.stamps_ns) for source in sources])
    index = np.concatenate([np.arange(len(source.stamps_ns)) for source in sources])
    order = np.argsort(stamps, kind="stable")
    messages = ((int(which[i]), int(stamps[i]), sources[which[i]].values[index[i]]) for i in order)
    return align(messages, Settings())


def align(
    messages: Iterable[tuple[int, int, NDArray[np.float64]]], settings: Settings
) -> tuple[NDArray[np.float64], ...]:
    """Bring samples (source, stamp_ns, values) onto the grid, as the pipeline does.

    Returns:
        Times in seconds from the first stamp, [n]; rows, and what of them is fresh, float64 [n, C].
    """
    aligner = aligner_for(source_configs(settings), settings, RATE_HZ)
    rows: list[Row] = []
    first_ns = None
    for source, stamp_ns, values in messages:
        first_ns = stamp_ns if first_ns is None else min(first_ns, stamp_ns)
        rows.extend(aligner.push(source, stamp_ns, values))
    times_s = np.array([row.time_ns - (first_ns or 0) for row in rows]) * 1e-9
    return times_s, np.array([row.values for row in rows]), np.array([row.fresh for row in rows])


def _fingerprint() -> str:
    """Of the code that makes a cached recording, its layout and comments apart."""
    files = (file for name in ("simulation", "signal") for file in (PACKAGE / name).glob("*.py"))
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(ast.dump(ast.parse(file.read_text())).encode())
    return digest.hexdigest()[:8]
