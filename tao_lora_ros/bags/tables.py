"""Tables with named columns, from CSV files or the arrays of an NPZ file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.opening import is_bag
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.text_files import csv_rows
from tao_lora_ros.messages.files import naming, open_regular, refusal
from tao_lora_ros.messages.texts import MOST_LINE, error_line, shown

Numbers = NDArray[np.longdouble]
LABELS = ".labels.csv"
DELIMITERS = "\t;|, "  # the first that is in a file's rows; a comma may be decimal before that
ABSENT = {"", "nan", "null", "none", "na", "n/a", "-"}
_MOST_BYTES = 8 << 30  # of one array, unpacked
_MOST_HEAD = 100  # rows before the first of numbers
_LOOK = 5  # rows by which a delimiter is known, of
_LOOK_BYTES = 1 << 16
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_CHUNK = 10_000  # rows held as texts


class Table(NamedTuple):
    """A table whose columns are read when they are asked for, in whatever process.

    Args:
        name: of the file without its suffix, or of the array.
        file: where it is.
        what: what to call it in an error.
        names: of its columns.
        numbers: columns at some places as numbers, [n, places], NaN where a cell is empty; of the
            widest float, since nanoseconds since 1970 take more digits than float64 has.
        texts: the column at a place as texts.
        clock: what the times in column `time` are, where the table itself knows: no other column
            is taken for times then, unless that is asked for. Empty: by the columns' names.
        counted: the columns that they are counted by, where it is by columns.
    """

    name: str
    file: Path
    what: str
    names: list[str]
    numbers: Callable[[Sequence[int]], Numbers]
    texts: Callable[[int], list[str]]
    clock: str = ""
    counted: tuple[str, ...] = ()


def table_files(source: Path) -> list[Path]:
    """The file or bag itself, or each CSV file of a folder, or of those in it, but labels.

    Raises:
        BagError: it is not there.
    """
    if not source.exists():
        raise BagError(f"{source}: No such file or directory")
    files = [source]
    if source.is_dir() and not is_bag(source):
        files = sorted(source.glob("*.csv")) or sorted(source.glob("*/*.csv"))
    return [file for file in files if not file.name.endswith(LABELS)]


def tables(file: Path, columns: Sequence[str]) -> list[Table]:
    """A CSV file, or each array of an NPZ file.

    Args:
        file: where it is.
        columns: names of the columns where the file has no header.

    Raises:
        BagError: the file cannot be read, or its columns have no names.
    """
    return list(_arrays(file, columns)) if file.suffix == ".npz" else [_csv(file, columns)]


def _arrays(source: Path, columns: Sequence[str]) -> Iterator[Table]:
    # zipfile, zlib and numpy report a damaged file by whatever their parsing stumbled on.
    try:
        with open_regular(source) as file, np.load(file, allow_pickle=False) as arrays:
            for member in arrays.zip.infolist():
                if member.file_size > _MOST_BYTES:
                    raise BagError(
                        f"{source}: {shown(member.filename)} takes {member.file_size} bytes"
                    )
            for name in sorted(arrays.files):
                yield _array(source, name, arrays[name], columns)
    except BagError:
        raise
    except OSError as error:
        raise BagError(f"{source}: {shown(refusal(error), MOST_LINE)}") from None
    except Exception as error:
        raise BagError(f"{source}: not a readable NPZ file: {error_line(error)}") from None


def _array(source: Path, name: str, array: NDArray[Any], columns: Sequence[str]) -> Table:
    what = f"{source}: {shown(name)}"
    names = list(array.dtype.names or columns)
    if not names:
        raise BagError(f"{what}: no column names; give them with --columns")
    if array.dtype.names:
        found = [array[field] for field in names]
    elif array.ndim != 2 or array.shape[1] != len(names):
        raise BagError(f"{what}: shape {array.shape}, expected [n, {len(names)}] for {names}")
    else:
        found = list(array.T)
    numbers = partial(_array_numbers, what, names, found)
    return Table(name, source, what, names, numbers, partial(_array_texts, found))


def _array_numbers(
    what: str, names: Sequence[str], found: Sequence[NDArray[Any]], places: Sequence[int]
) -> Numbers:
    for at in places:
        if found[at].ndim != 1 or found[at].dtype.kind not in "iuf":
            raise BagError(f"{what}: column {shown(repr(names[at]))} is no row of real numbers")
    return np.stack([found[at].astype(np.longdouble) for at in places], axis=1)


def _array_texts(found: Sequence[NDArray[Any]], at: int) -> list[str]:
    return [str(value) for value in found[at]]


def _csv(file: Path, columns: Sequence[str]) -> Table:
    delimiter = _delimiter(file)
    names, head = _header(file, delimiter, columns)
    numbers = partial(_csv_numbers, file, delimiter, head, names)
    texts = partial(_csv_texts, file, delimiter, head)
    return Table(file.stem, file, str(file), names, numbers, texts)


def _csv_numbers(
    file: Path, delimiter: str, head: int, names: Sequence[str], places: Sequence[int]
) -> Numbers:
    parts = [np.empty((0, len(places)), np.longdouble)]
    rows = islice(csv_rows(file, delimiter), head, None)
    while chunk := list(islice(rows, _CHUNK)):
        parts.append(_numbers(file, names, places, chunk, delimiter))
    return np.concatenate(parts)


def _csv_texts(file: Path, delimiter: str, head: int, at: int) -> list[str]:
    rows = islice(csv_rows(file, delimiter), head, None)
    return [row[at].strip() if at < len(row) else "" for _, row in rows]


def _delimiter(file: Path) -> str:
    """What parts the fields: what is in all of some rows behind those before the header."""
    with naming(BagError, file), open_regular(file) as content:
        data = content.read(_LOOK_BYTES)
    lines = [line.strip() for line in data.decode(errors="replace").splitlines()]
    rows = [line for line in lines[:-1] or lines if line][-_LOOK:]
    return next((d for d in DELIMITERS if rows and all(d in row for row in rows)), ",")


def _header(file: Path, delimiter: str, columns: Sequence[str]) -> tuple[list[str], int]:
    """Names of the columns, and how many rows come before the first of numbers.

    Of the rows before the numbers the names are in the first one that is as wide, since some
    programs write remarks before it; a row of units may come after it.
    """
    rows = [row for _, row in islice(csv_rows(file, delimiter), _MOST_HEAD)]
    first = next((i for i, row in enumerate(rows) if _is_data(row, delimiter)), min(1, len(rows)))
    if columns:
        return list(columns), first
    if not first:
        reason = "no column names; give them with --columns" if rows else "it is empty"
        raise BagError(f"{file}: {reason}")
    rows = [row[1:] if row[0].strip() in ("#", "%") else row for row in rows]
    width = len(rows[first]) if first < len(rows) else len(rows[0])
    at = next((i for i in range(first) if len(rows[i]) == width), first - 1)
    names = [name.strip(" #%") for name in rows[at]]
    if at + 2 == first and len(rows[at + 1]) == width:
        units = [f" ({unit.strip()})" if unit.strip() else "" for unit in rows[at + 1]]
        names = [name + unit for name, unit in zip(names, units, strict=True)]
    return names, first


def _is_data(row: list[str], delimiter: str) -> bool:
    """Whether most of a row's fields are numbers, or say that there is none."""
    filled = [_dotted(cell, delimiter) for cell in row if cell.strip()]
    return 2 * sum(map(_is_number, filled)) > len(filled)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip().lower() in ABSENT
    return True


def _dotted(cell: str, delimiter: str) -> str:
    return cell if delimiter == "," else cell.replace(",", ".")


def _numbers(
    file: Path,
    names: Sequence[str],
    places: Sequence[int],
    rows: Sequence[tuple[int, list[str]]],
    delimiter: str,
) -> Numbers:
    """Columns of some rows, [n, places]."""
    out = np.empty((len(rows), len(places)), np.longdouble)
    width = len(names)
    for line, row in rows:
        if len(row) != width and (len(row) < width or any(map(str.strip, row[width:]))):
            raise BagError(
                f"{file}: line {line}: {len(row)} fields, expected {width} numbers a line; "
                "is it cut off?"
            )
    for column, at in enumerate(places):
        cells = [_dotted(row[at], delimiter) for _, row in rows]
        try:
            out[:, column] = np.array(cells, dtype=np.longdouble)
        except ValueError:
            out[:, column] = [
                _number(file, line, names[at], cell, width)
                for (line, _), cell in zip(rows, cells, strict=True)
            ]
    return out


def _date_s(cell: str) -> np.longdouble:
    """Seconds since 1970 of a date and time by ISO 8601, UTC where it names no zone."""
    date = datetime.fromisoformat(cell.strip().replace("Z", "+00:00"))
    since = (date if date.tzinfo else date.replace(tzinfo=timezone.utc)) - _EPOCH
    return np.longdouble(since // timedelta(microseconds=1)) / 10**6


def _number(file: Path, line: int, name: str, cell: str, width: int) -> np.longdouble | float:
    if cell.strip().lower() in ABSENT:
        return np.nan
    try:
        return _date_s(cell) if ":" in cell else np.longdouble(cell)
    except ValueError:
        raise BagError(
            f"{file}: line {line}: column {shown(repr(name))} is {shown(repr(cell))}, "
            f"expected {width} numbers a line"
        ) from None
