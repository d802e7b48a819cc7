"""Bags as memory-mapped rows: aligned once, kept in a cache, never whole in memory."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.labels import labels_file, topic_labels
from tao_lora_ros.bags.reader import WHOLE, BagError, renamed
from tao_lora_ros.bags.rows import Run, Span, read_rows, row_labels, spans_in, spans_of
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.fleet.pool import Pool
from tao_lora_ros.messages.texts import shown
from tao_lora_ros.signal.code_digest import ROWS, digest
from tao_lora_ros.training.progress import tracked

_CHUNK = 100_000  # rows written at once


def default_cache() -> Path:
    """Folder in which aligned rows are kept between commands."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tao_lora" / "rows"


@dataclass(frozen=True)
class Reading:
    """How bags become runs.

    Args:
        settings: names and lags of the sources.
        rate_hz: of the grid.
        topics: bag topic by source name, where it is not obvious.
        name_label: regular expression whose first group, searched in a bag's name, is the label
            of all its rows; empty or not found: `label_topic` or the file beside it tells labels.
        label_topic: topic of strings, each the label from there on; empty: none.
        cache: folder for the aligned rows.
        part_s: from when to when of every bag, in seconds.
        pool: what reads many bags.
    """

    settings: Settings
    rate_hz: float
    topics: dict[str, str] = field(default_factory=dict)
    name_label: str = ""
    label_topic: str = ""
    cache: Path = field(default_factory=default_cache)
    part_s: tuple[float, float] = WHOLE
    pool: Pool = field(default_factory=Pool)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that the sources give."""
        return tuple(name for source in source_configs(self.settings) for name in source.channels)


def read_runs(bags: Iterable[Path], how: Reading) -> list[Run]:
    """The runs of `how.pool.good(bags)`, their rows memory-mapped float32 [n, C].

    Raises:
        BagError: no bag can be used, one is given twice, or no bag's name tells its label.
    """
    bags = list(bags)
    places: set[str] = set()
    for bag in bags:
        place = os.path.realpath(bag)  # `resolve` raises what no caller expects of a loop
        if place in places:
            raise BagError(f"{bag}: given twice; a run is either trained on or held out")
        places.add(place)
    tell_unnamed(bags, how)
    read = tracked(how.pool.map(partial(_spans, how=how), bags), "reading", len(bags))
    runs = [Run(bag.name, _rows(bag, how)[0], spans) for bag, spans in read]
    for line in renamed(how.pool.good(bags), source_configs(how.settings), how.topics):
        print(line, file=sys.stderr)
    return runs


def tell_unnamed(bags: Sequence[Path], how: Reading) -> None:
    """Say which bags' labels do not come from their names, where others' do.

    Raises:
        BagError: none's does.
    """
    unnamed = [bag for bag in bags if how.name_label and name_label_of(bag, how) is None]
    if unnamed and len(unnamed) == len(bags):
        raise BagError(f"{unnamed[0]}: its name has no group 1 of /{how.name_label}/")
    if unnamed:
        names = shown(", ".join(bag.name for bag in unnamed))
        print(f"labelled otherwise than by name, or not at all: {names}", file=sys.stderr)


def name_label_of(bag: Path, how: Reading) -> str | None:
    """The label that a bag's name tells; None where it tells none, or names do not count."""
    found = re.search(how.name_label, bag.name) if how.name_label else None
    return found[1] if found and found.groups() else None


def _spans(bag: Path, how: Reading) -> tuple[Span, ...]:
    """The labels of a bag's rows, which are in the cache from here on."""
    values, times_s = _rows(bag, how)
    if (label := name_label_of(bag, how)) is not None:
        return (Span(0, len(values), label),)
    if how.label_topic:
        return spans_of(row_labels(topic_labels(bag, how.label_topic), times_s))
    return spans_in(bag, times_s) if labels_file(bag).exists() else ()


def _rows(bag: Path, how: Reading) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Values [n, C] and times [n] of a bag, from the cache where it is there."""
    file = how.cache / f"{_key(bag, how)}.rows"
    width = 1 + len(how.channels)
    if not file.exists():
        how.cache.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        try:
            with unfinished.open("wb") as out:
                for chunk in _chunks(bag, how):
                    out.write(chunk.tobytes())
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    stored = np.memmap(file, np.float32, "r").reshape(-1, width)
    times_s = stored[0, 0] + np.arange(len(stored)) / how.rate_hz
    return stored[:, 1:], times_s


def _chunks(bag: Path, how: Reading) -> Iterable[NDArray[np.float32]]:
    """Rows of time and values, [up to `_CHUNK`, 1 + C]."""
    pending: list[NDArray[np.float64]] = []
    for time_s, values in read_rows(bag, how.settings, how.rate_hz, how.topics, how.part_s):
        pending.append(np.concatenate(([time_s], values)))
        if len(pending) == _CHUNK:
            yield np.array(pending, dtype=np.float32)
            pending.clear()
    if pending:
        yield np.array(pending, dtype=np.float32)


def _key(bag: Path, how: Reading) -> str:
    """Of the bag as it is now, of how it is read, and of the code that does it."""
    files = sorted(bag.rglob("*")) if bag.is_dir() else [bag]
    content = [
        os.path.realpath(bag),
        [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.exists()],
        asdict(how.settings),
        how.rate_hz,
        sorted(how.topics.items()),
        how.part_s,
        digest(ROWS),
    ]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:32]
