"""All events of a store as one table: what the index knows of them, and what people call them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from math import isfinite
from pathlib import Path
from typing import Any

from tao_lora_ros.messages.files import refuse_existing
from tao_lora_ros.messages.results import Kind
from tao_lora_ros.preservation.event_entry import Entry
from tao_lora_ros.preservation.event_labels import Label, read_labels
from tao_lora_ros.preservation.event_record import StoreError

Row = dict[str, Any]
NEEDS_PYARROW = "this needs pyarrow: pip install tao_lora_ros[export]"


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
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise StoreError(f"{file}: {error}; {NEEDS_PYARROW}") from None
    table = pa.Table.from_pylist(rows, schema=arrow_schema(pa))
    try:
        parquet.write_table(table, file)
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror or error}") from None


def arrow_schema(pa: Any) -> Any:
    """The types of the columns of `event_rows`; `pa` is pyarrow, which need not be there."""
    plain = {"int": pa.int64(), "str": pa.string(), "bool": pa.bool_()}
    types = {field.name: plain.get(str(field.type), pa.float64()) for field in fields(Entry)}
    types |= dict.fromkeys(("kind", "label", "labelled_by", "model_label"), pa.string())
    types |= {"channels": pa.list_(pa.string()), "shares": pa.list_(pa.float64())}
    types |= {"duration": pa.float64(), "labelled_ns": pa.int64()}
    return pa.schema(types.items())
