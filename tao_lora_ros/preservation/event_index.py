"""The store's index: one JSON line an event, appended and never changed in place.

Lines are an entry, `{"removed": NUMBER}`, or `{"next": NUMBER}` (the first line: numbers are not
used twice, though all events may be gone). A torn or unreadable line is left out; the events'
folders hold the same entries, so the store can put it back.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

_SPARE_LINES = 1000  # dead lines kept before the file is written anew


@dataclass(frozen=True)
class Entry:
    """What the index knows of an event.

    `number` counts the events of this store, over restarts; `sequence` is the node's own. Times
    are ns; `channels` holds (name, share). `messages`, `size` (bytes) and `sha256` are those of the
    mcap file in `folder` (relative to the store's `events/`).
    """

    number: int
    folder: str
    sequence: int
    onset_ns: int
    peak_ns: int
    end_ns: int
    peak_score: float
    kind: int
    regime_change: bool
    label: str
    probability: float
    channels: tuple[tuple[str, float], ...]
    messages: int
    size: int
    sha256: str

    @property
    def mcap(self) -> str:
        """Path of the mcap file relative to `events/`."""
        return f"{self.folder}/{self.folder}.mcap"

    def to_json(self) -> str:
        """One line of JSON, without its newline."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Entry:
        """Undo `to_json`.

        Raises:
            ValueError: the text is not such an entry.
        """
        return cls._from(json.loads(text))

    @classmethod
    def _from(cls, row: Any) -> Entry:
        """Fields that a later version may have added are passed over."""
        try:
            known = {field.name: row[field.name] for field in fields(cls)}
            known["channels"] = tuple((str(name), float(share)) for name, share in row["channels"])
            return cls(**known)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not an entry: {error}") from None


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
            content = self.file.read_bytes()
        except FileNotFoundError:
            return
        *lines, tail = content.split(b"\n")
        self.damaged = int(bool(tail))  # a line is whole only with its newline
        self._lines = len(lines)
        for line in lines:
            try:
                self._take(json.loads(line))
            except ValueError:
                self.damaged += 1

    def _take(self, row: Any) -> None:
        if isinstance(row, dict) and len(row) == 1:
            kind, number = next(iter(row.items()))
            if kind not in ("next", "removed") or not isinstance(number, int):
                raise ValueError(f"not a line of an index: {row}")
            self.next = max(self.next, number)
            if kind == "removed":
                self.entries.pop(number, None)
        else:
            self._keep(Entry._from(row))

    def _keep(self, entry: Entry) -> None:
        self.entries[entry.number] = entry
        self.next = max(self.next, entry.number + 1)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.file.stat().st_size if self.file.exists() else 0

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
        with self.file.open("a") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
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


def write_durably(file: Path, text: str) -> None:
    """Write a text file and wait until it is on the disk."""
    file.write_text(text, "utf-8")
    sync(file)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
