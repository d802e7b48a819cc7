"""Hammer taps on a KUKA flange: as recorded, and planted small into the undisturbed recording.

The recordings (A. Skrede, Zenodo 11096791, CC BY 4.0) are no part of the package.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.scenes import RATE_HZ, Scene, align
from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.signal.source import Source

Array = NDArray[np.float64]

LAG_S = 0.008416  # of the accelerometer, stated by the recordings' author
_FOLDER = "kuka_ft_imu"
# Of a tap that is cut out, from its onset; the trend is that of as long on either side.
_BEFORE, _AFTER, _TREND = (round(seconds * RATE_HZ) for seconds in (0.012, 0.088, 0.04))
_FADE = 4  # rows
_APART_S = (0.6, 1.0)


def data_folder() -> Path:
    """Where the recordings lie: $TAO_LORA_DATA, else beside the checkout."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return Path(os.environ.get("TAO_LORA_DATA", beside)) / _FOLDER


def baseline(folder: Path) -> Scene:
    """The motion without taps."""
    return _read(folder, "1-baseline", np.empty(0))


def taps(folder: Path) -> Scene:
    """The same motion with four taps, their onsets known to about 15 ms."""
    with (folder / "2-vibrations_reference_taps.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["sensor"] == "wrench"]
    return _read(folder, "2-vibrations", np.array([float(row["start_s"]) for row in rows]))


def _read(folder: Path, name: str, impacts_s: Array) -> Scene:
    settings = Settings(imu_lags_s=(LAG_S,))
    sources = [Source(config, settings.clock_jump_s) for config in source_configs(settings)]
    with BagReader(folder / f"ros2bag_{name}", [source.config for source in sources]) as reader:
        messages = [
            (index, sample.stamp_ns, sample.values)
            for index, _, data in reader.messages()
            for _, sample in sources[index].accept(data)
            if sample is not None
        ]
    times_s, rows, fresh = align(messages, settings)
    silent = np.isnan(rows)
    start = (silent & ~silent.all(axis=0)).any(axis=1).argmin()  # until then a source is not there
    return _scene(name, times_s[start:], rows[start:], fresh[start:], impacts_s)


def planted(calm: Scene, struck: Scene, scale: float, copies: int) -> Iterator[Scene]:
    """The calm recording, `copies` times, with the struck one's taps at random times, scaled."""
    snippets = [_cut_out(struck, onset_s) for onset_s in struck.impacts_s]
    for copy in range(copies):
        rng = np.random.default_rng(copy)
        onsets = list(_onsets(calm.times_s[-1], rng))
        yield plant(calm, [(at, snippets[rng.integers(len(snippets))]) for at in onsets], scale)


def plant(calm: Scene, snippets: Iterable[tuple[float, Array]], scale: float) -> Scene:
    """Add snippets [k, C], times `scale`, to a scene so that their onsets come at those times.

    All of the sum is fresh in every row: of what was cut out on a grid nobody knows the samples.
    """
    rows, impacts_s = calm.rows.copy(), []
    for onset_s, snippet in snippets:
        onset = int(np.searchsorted(calm.times_s, onset_s))
        rows[onset - _BEFORE : onset - _BEFORE + len(snippet)] += scale * snippet
        impacts_s.append(calm.times_s[onset])
    return _scene(f"{calm.name} x {scale:g}", calm.times_s, rows, rows, np.array(impacts_s))


def _onsets(end_s: float, rng: np.random.Generator) -> Iterator[float]:
    time_s = rng.uniform(*_APART_S)
    while time_s < end_s - 0.2:
        yield time_s
        time_s += rng.uniform(*_APART_S)


def _cut_out(struck: Scene, onset_s: float) -> Array:
    """A tap without the motion that it came upon: its rows less their trend, faded at both ends."""
    onset = int(np.searchsorted(struck.times_s, onset_s))
    start, end = onset - _BEFORE, onset + _AFTER
    before = struck.rows[start - _TREND : start].mean(axis=0)
    after = struck.rows[end : end + _TREND].mean(axis=0)
    way = np.linspace(0.0, 1.0, end - start)[:, None]
    fade = np.minimum(1.0, np.arange(1, end - start + 1) / _FADE)
    fade = np.minimum(fade, fade[::-1])
    return (struck.rows[start:end] - before - way * (after - before)) * fade[:, None]


def _scene(name: str, times_s: Array, rows: Array, fresh: Array, impacts_s: Array) -> Scene:
    unknown = np.full(len(impacts_s), np.nan)
    return Scene(name, times_s, rows, fresh, impacts_s, unknown, np.empty((0, 2)))
