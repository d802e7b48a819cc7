"""Rows as Parquet, by one list of columns; pyarrow need not be there until it is used."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tao_lora_ros.messages.files import naming, replace_file
from tao_lora_ros.preservation.event_record import StoreError

NEEDS_PYARROW = "this needs pyarrow: pip install pyarrow"
SCHEMA_VERSION = 1  # rises where a column changes its meaning or goes
Row = dict[str, Any]
_COMPRESSION = "zstd"
_GROUP = 10_000  # rows written at once

# What an event is, wherever it was found: type by column. Times are ns, sizes as in `Size`.
EVENT_COLUMNS = {
    **{"sequence": "int64", "onset_ns": "int64", "peak_ns": "int64", "end_ns": "int64"},
    **{"duration": "double", "peak_score": "double", "kind": "string", "regime_change": "bool"},
    **{"label": "string", "probability": "double"},
    **{"channels": "list string", "shares": "list double"},
    **{"peak_force": "double", "impulse": "double", "peak_torque": "double"},
    **{"acceleration_change": "double", "mean_load": "double", "reason": "string"},
}


def arrow() -> Any:
    """The module pyarrow, with its `parquet`.

    Raises:
        StoreError: it is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise StoreError(f"{error}; {NEEDS_PYARROW}") from None
    return pa


def arrow_table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> Any:
    """A pyarrow table of rows; a column that a row lacks is null there.

    Args:
        rows: values by column.
        columns: type by column: pyarrow's name of it, "list" and one, or "counts" by name.
    """
    pa = arrow()

    def type_of(text: str) -> Any:
        if text == "counts":
            return pa.map_(pa.string(), pa.int64())
        kind, _, of = text.partition(" ")
        return pa.list_(type_of(of)) if kind == "list" else pa.type_for_alias(text)

    fields = [(name, type_of(text)) for name, text in columns.items()]
    schema = pa.schema(fields, {"tao_lora_schema": str(SCHEMA_VERSION)})
    return pa.Table.from_pylist(list(rows), schema=schema)


class ParquetRows:
    """Rows that become a Parquet file while they come: in memory they are compressed.

    Args:
        columns: as of `arrow_table`.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns = columns
        self._rows: list[Mapping[str, Any]] = []
        self._out = io.BytesIO()
        schema = arrow_table([], columns).schema
        self._writer = arrow().parquet.ParquetWriter(self._out, schema, compression=_COMPRESSION)

    def take(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        self._rows.append(row)
        if len(self._rows) == _GROUP:
            self._write()

    def _write(self) -> None:
        self._writer.write_table(arrow_table(self._rows, self._columns))
        self._rows.clear()

    def finish(self) -> bytes:
        """The file's content; nothing can be added any more."""
        if self._rows:
            self._write()
        self._writer.close()
        return self._out.getvalue()


def write_parquet(table: Any, file: Path) -> None:
    """Write a pyarrow table in one step: whoever reads finds the old file or the new.

    Raises:
        StoreError: the file cannot be written.
    """
    out = io.BytesIO()
    arrow().parquet.write_table(table, out, compression=_COMPRESSION)
    with naming(StoreError, file):
        replace_file(file, out.getvalue())
