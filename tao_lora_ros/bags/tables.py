"""Tables of numbers with named columns, from CSV files or the arrays of an NPZ file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.labels import read_labels
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.text_files import csv_rows
from tao_lora_ros.messages.files import open_regular
from tao_lora_ros.messages.texts import MOST_LINE, shown

Columns = dict[str, NDArray[np.float64]]
_MOST_BYTES = 8 << 30  # of one array, unpacked


def tables(
    source: Path, columns: Sequence[str] | None
) -> Iterator[tuple[str, str, Columns, Path | None]]:
    """Each CSV file of a folder but labels, or each array of an NPZ file.

    Args:
        source: the folder or the NPZ file.
        columns: names of the columns where the files have no header.

    Yields:
        A name; what to call the table in an error; its columns; the file of its labels, checked.

    Raises:
        BagError: a file cannot be read, or is not made of numbers.
    """
    if source.suffix == ".npz":
        yield from _arrays(source, columns)
        return
    for file in sorted(source.glob("*.csv")):
        if file.name.endswith(".labels.csv"):
            continue
        labels = file.with_name(f"{file.stem}.labels.csv")
        if labelled := labels.exists():
            read_labels(labels)
        yield file.stem, str(file), _read_csv(file, columns), labels if labelled else None


def _arrays(
    source: Path, columns: Sequence[str] | None
) -> Iterator[tuple[str, str, Columns, None]]:
    # zipfile, zlib and numpy report a damaged file by whatever their parsing stumbled on.
    try:
        with open_regular(source) as file, np.load(file, allow_pickle=False) as arrays:
            for member in arrays.zip.infolist():
                if member.file_size > _MOST_BYTES:
                    raise BagError(
                        f"{source}: {shown(member.filename)} takes {member.file_size} bytes"
                    )
            for name in sorted(arrays.files):
                what = f"{source}: {shown(name)}"
                yield name, what, _named(what, arrays[name], columns), None
    except BagError:
        raise
    except OSError as error:
        raise BagError(f"{source}: {error.strerror or shown(error, MOST_LINE)}") from None
    except Exception as error:
        reason = shown(" ".join(str(error).split()) or type(error).__name__, MOST_LINE)
        raise BagError(f"{source}: not a readable NPZ file: {reason}") from None


def _named(what: str, array: NDArray, columns: Sequence[str] | None) -> Columns:
    names = list(array.dtype.names or columns or ())
    if not names:
        raise BagError(f"{what}: no column names; give them with --columns")
    if array.dtype.names:
        found = [array[name] for name in names]
    elif array.ndim != 2 or array.shape[1] != len(names):
        raise BagError(f"{what}: shape {array.shape}, expected [n, {len(names)}] for {names}")
    else:
        found = list(array.T)
    for name, column in zip(names, found, strict=True):
        if column.ndim != 1 or column.dtype.kind not in "iuf":
            raise BagError(f"{what}: column {shown(repr(name))} is no row of real numbers")
    return _unique(what, names, [column.astype(np.float64) for column in found])


def _read_csv(file: Path, columns: Sequence[str] | None) -> Columns:
    rows = list(csv_rows(file))
    names = list(columns) if columns else [name.strip() for name in rows.pop(0)[1]] if rows else []
    cells = [row for _, row in rows]
    try:
        array = np.array(cells, dtype=np.float64).reshape(len(rows), len(names))
    except ValueError:
        raise BagError(f"{file}: {_first_fault(rows, names)}") from None
    return _unique(str(file), names, list(array.T))


def _first_fault(rows: Sequence[tuple[int, list[str]]], names: Sequence[str]) -> str:
    """Which line and field of rows that are no table is the first to be wrong."""
    for line, row in rows:
        if len(row) != len(names):
            return f"line {line}: {len(row)} fields, expected {len(names)} numbers a line"
        for name, cell in zip(names, row, strict=True):
            try:
                np.array([cell], dtype=np.float64)
            except ValueError:
                found = f"column {shown(repr(name))} is {shown(repr(cell))}"
                return f"line {line}: {found}, expected {len(names)} numbers a line"
    return f"expected {len(names)} numbers a line"


def _unique(what: str, names: Sequence[str], found: Sequence[NDArray]) -> Columns:
    name, count = max(Counter(names).items(), key=lambda item: item[1], default=("", 0))
    if name and count > 1:
        raise BagError(f"{what}: column {shown(repr(name))} is there {count} times")
    return dict(zip(names, found, strict=True))
