"""Events out of the store: into one bag, or one CSV file a source."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from tao_lora_ros.messages.files import naming, refuse_existing
from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.texts import file_name
from tao_lora_ros.preservation.event_bag import write_bag
from tao_lora_ros.preservation.event_record import EventRecord, StoreError
from tao_lora_ros.signal.source import unit_of


def export_bag(records: Sequence[EventRecord], out: Path) -> int:
    """Write events and the messages around them as one ROS 2 bag, a shared message once.

    Returns:
        The number of messages.

    Raises:
        StoreError: `out` exists or cannot be written.
    """
    refuse_existing(out, StoreError)
    with naming(StoreError, out):
        return write_bag(records, out)


def export_csv(records: Sequence[EventRecord], folder: Path) -> list[Path]:
    """Write `<source>.csv` for every source: `stamp_ns`, then each channel with its unit.

    Values are written so that they read back exactly; a part not reported is empty.

    Returns:
        The files written.

    Raises:
        StoreError: a file cannot be written.
    """
    files: list[Path] = []
    with naming(StoreError, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for raw in merged([raw for record in records for raw in record.event.raw]):
            name = f"{file_name(raw.source.strip('/'))}.csv"
            files.append(_free_name(folder / name, files))
            _write(raw, files[-1])
    return files


def merged(raws: Sequence[RawSamples]) -> list[RawSamples]:
    """One entry a source and frame, by stamp; a sample equal in stamp and values is kept once."""

    def key(raw: RawSamples) -> tuple[str, str, tuple[str, ...]]:
        return raw.source, raw.frame_id, raw.channels

    order = list(dict.fromkeys(map(key, raws)))
    groups = groupby(sorted(raws, key=lambda raw: order.index(key(raw))), key)
    return [_union(list(group)) for _, group in groups]


def _union(raws: list[RawSamples]) -> RawSamples:
    first = raws[0]
    if len(raws) == 1:
        return first
    stamps = np.concatenate([raw.stamps_ns for raw in raws])
    values = np.ascontiguousarray(np.concatenate([raw.values for raw in raws]))
    bits = np.column_stack((stamps, values.view(np.int64)))  # a NaN equals itself so
    _, kept = np.unique(bits, axis=0, return_index=True)
    kept = kept[np.argsort(stamps[kept], kind="stable")]
    return replace(first, stamps_ns=stamps[kept], values=values[kept])


def _free_name(file: Path, taken: list[Path]) -> Path:
    """A source whose frame changed gives several files."""
    names = [file, *(file.with_stem(f"{file.stem}_{n}") for n in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def _write(raw: RawSamples, file: Path) -> None:
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["stamp_ns", *(f"{name} [{unit_of(name)}]" for name in raw.channels)])
        for stamp, values in zip(raw.stamps_ns.tolist(), raw.values.tolist(), strict=True):
            rows.writerow([stamp, *("" if value != value else repr(value) for value in values)])
