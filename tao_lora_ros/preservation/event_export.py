"""Events out of the store: into one bag, or one CSV file a source."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from tao_lora_ros.preservation.event_bag import merged, write_bag
from tao_lora_ros.preservation.event_record import EventRecord, StoreError
from tao_lora_ros.preservation.outlier_buffer import RawSamples
from tao_lora_ros.signal.source import unit_of


def export_bag(records: Sequence[EventRecord], out: Path) -> int:
    """Write events and their samples as one ROS 2 bag, a shared sample once.

    Returns:
        The number of messages.

    Raises:
        StoreError: `out` exists or cannot be written.
    """
    if out.exists():
        raise StoreError(f"{out}: exists already")
    try:
        return write_bag(records, out)
    except OSError as error:
        raise StoreError(f"{error.filename or out}: {error.strerror}") from error


def export_csv(records: Sequence[EventRecord], folder: Path) -> list[Path]:
    """Write `<source>.csv` for every source: `stamp_ns`, then each channel with its unit.

    Values are written so that they read back exactly; a part not reported is empty.

    Returns:
        The files written.

    Raises:
        StoreError: a file cannot be written.
    """
    files: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for raw in merged([raw for record in records for raw in record.raw]):
            files.append(
                _free_name(folder / f"{raw.source.strip('/').replace('/', '_')}.csv", files)
            )
            _write(raw, files[-1])
    except OSError as error:
        raise StoreError(f"{error.filename or folder}: {error.strerror}") from error
    return files


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
