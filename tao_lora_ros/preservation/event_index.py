"""The store's index: one JSON line an event, appended and never changed in place.

Lines are an entry, `{"removed": NUMBER}`, or `{"next": NUMBER}` (the first line: numbers are not
used twice, though all events may be gone). A torn or unreadable line is left out; the events'
folders hold the same entries, so the store can put it back.
"""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from typing import Any

from tao_lora_ros.messages.files import read_regular
from tao_lora_ros.messages.texts import shown
from tao_lora_ros.preservation.durable import append_durably, sync, write_durably
from tao_lora_ros.preservation.event_entry import MOST_NUMBER, Entry, parsed, whole

_SPARE_LINES = 1000  # dead lines kept before the file is written anew
_MOST_BYTES = 1 << 30
# What is no file of ours, a link, a FIFO or a folder, counts as a damaged index: it is not read.
_FOREIGN = (errno.EINVAL, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EFBIG)
_is_number = whole(1, MOST_NUMBER // 10)  # a forged line leaves room for more events than will come


class Index:
    """The entries of an index file, by number.

    Args:
        file: the index file; it need not exist.

    Raises:
        OSError: the file is there and cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.entries: dict[int, Entry] = {}
        self.next = 1
        self.damaged = 0
        self._lines = 0
        self._load()

    def _load(self) -> None:
        try:
            content = read_regular(self.file, _MOST_BYTES, links=False)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in _FOREIGN:
                raise
            self.damaged = 1
            return
        for line in io.BytesIO(content):
            self._lines += 1
            try:
                if not line.endswith(b"\n"):  # a line is whole only with its newline
                    raise ValueError("torn")
                self._take(parsed(line))
            except ValueError:
                self.damaged += 1

    def _take(self, row: Any) -> None:
        if isinstance(row, dict) and len(row) == 1:
            kind, number = next(iter(row.items()))
            if kind not in ("next", "removed") or not _is_number(number):
                raise ValueError(f"not a line of an index: {shown(row)}")
            self.next = max(self.next, number)
            if kind == "removed":
                self.entries.pop(number, None)
        else:
            entry = Entry.from_row(row)
            if not _is_number(entry.number):
                raise ValueError(f"'number' is {entry.number}")
            self._keep(entry)

    def _keep(self, entry: Entry) -> None:
        self.entries[entry.number] = entry
        self.next = max(self.next, entry.number + 1)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        try:
            return self.file.lstat().st_size
        except OSError:
            return 0

    def add(self, entry: Entry) -> None:
        """Append an entry and wait until it is on the disk.

        Raises:
            OSError: the disk does not take it; the entry is kept here, the next write repeats it.
        """
        self._keep(entry)
        self._append(entry.to_json())

    def remove(self, number: int) -> None:
        """Append that an event is gone.

        Raises:
            OSError: as for `add`.
        """
        del self.entries[number]
        self._append(json.dumps({"removed": number}))

    def _append(self, line: str) -> None:
        if self.damaged or self._lines > 2 * len(self.entries) + _SPARE_LINES:
            self.rewrite()
            return
        self.damaged = 1  # until the line is whole
        append_durably(self.file, line + "\n")
        self.damaged = 0
        self._lines += 1

    def rewrite(self) -> None:
        """Write the whole file anew, in one step.

        Raises:
            OSError: the disk does not take it; the old file stays.
        """
        lines = [json.dumps({"next": self.next})]
        lines += [entry.to_json() for _, entry in sorted(self.entries.items())]
        new = self.file.with_suffix(".new")
        write_durably(new, "\n".join(lines) + "\n")
        new.replace(self.file)
        sync(self.file.parent)
        self.damaged, self._lines = 0, len(lines)
