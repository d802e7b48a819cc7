"""Lines of CSV files that others wrote: what is no text is refused with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tao_lora_ros.bags.foreign_files import no_table
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.messages.files import naming, open_regular
from tao_lora_ros.messages.texts import shown

_MOST_LINE_BYTES = 1 << 20


def csv_rows(file: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Number of the line and fields of each row that is not blank.

    A byte order mark is passed over, and so are spaces behind a delimiter.

    Raises:
        BagError: the file cannot be read, is not UTF-8, or no CSV.
    """
    line = 1
    try:
        with naming(BagError, file), open_regular(file) as content:
            if other := no_table(file):
                raise BagError(f"{file}: {other}")
            rows = csv.reader(
                _lines(content), delimiter=delimiter, skipinitialspace=True, strict=True
            )
            for row in rows:
                if any(cell.strip() for cell in row):
                    yield line, row
                line = rows.line_num + 1
    except (_NoText, csv.Error) as error:
        where = error.line if isinstance(error, _NoText) else line
        raise BagError(f"{file}: line {where}: {shown(error)}, expected CSV in UTF-8") from None


class _NoText(ValueError):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def _lines(content: BinaryIO) -> Iterator[str]:
    number = 0
    while data := content.readline(_MOST_LINE_BYTES):
        number += 1
        try:
            text = data.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise _NoText(number, f"byte {data[error.start]:#x} is no text") from None
        if "\0" in text:
            raise _NoText(number, "a zero byte is no text")
        if len(data) == _MOST_LINE_BYTES:
            raise _NoText(number, f"{_MOST_LINE_BYTES} bytes and more")
        yield from io.StringIO(text, newline="")  # a carriage return alone ends a line too
