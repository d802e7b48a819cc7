"""All events of a store as one table: what the index knows of them, and what people call them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from math import isfinite
from pathlib import Path

from tao_lora_ros.messages.files import refuse_existing
from tao_lora_ros.messages.results import Kind
from tao_lora_ros.preservation.event_entry import Entry
from tao_lora_ros.preservation.event_labels import Label, read_labels
from tao_lora_ros.preservation.event_record import StoreError
from tao_lora_ros.preservation.parquet import EVENT_COLUMNS, Row, arrow_table, write_parquet

COLUMNS = {
    **{"number": "int64", "folder": "string"},
    **EVENT_COLUMNS,
    **{"labelled_by": "string", "labelled_ns": "int64", "model_label": "string"},
    **{"messages": "int64", "size": "int64", "sha256": "string"},
}


def event_rows(store: Path, entries: Iterable[Entry]) -> list[Row]:
    """A row an event: all fields of its entry, and its label.

    `label` is what the event is called: by a person (`labelled_by`, `labelled_ns`), else by the
    model (`labelled_by` is None). `model_label` and `probability` are the model's own. What is not
    measured, not finite or not said is None.
    """
    entries = list(entries)
    labels = read_labels(store, entries)
    return [_row(entry, labels.get(entry.number)) for entry in entries]


def _row(entry: Entry, label: Label | None) -> Row:
    row = {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in asdict(entry).items()
    }
    return row | {
        "kind": Kind(entry.kind).text,
        "duration": (entry.end_ns - entry.onset_ns) * 1e-9,
        "label": label.name if label else entry.label or None,
        "labelled_by": label.who if label else None,
        "labelled_ns": label.time_ns if label else None,
        "model_label": entry.label or None,
        "channels": [name for name, _ in entry.channels],
        "shares": [share for _, share in entry.channels],
    }


def export_parquet(rows: list[Row], file: Path) -> None:
    """Write rows of `event_rows` as a Parquet file.

    Raises:
        StoreError: `file` exists or cannot be written, or pyarrow is missing.
    """
    refuse_existing(file, StoreError)
    write_parquet(arrow_table(rows, COLUMNS), file)
