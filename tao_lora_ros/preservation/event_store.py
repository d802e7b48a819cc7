"""The on-disk store of events: each one a ROS 2 bag of its own, and an index of them all.

    STORE/                                    for its owner alone, where we make it
    STORE/lock                                held by the one process that writes
    STORE/index.jsonl                         one line an event
    STORE/writing/                            what is not finished; emptied at the next start
    STORE/events/000123_20250102T030405Z/     000123_….mcap, metadata.yaml, event.json

An event is written in `writing/`, brought to the disk, renamed into `events/`, then indexed. So at
any instant a folder in `events/` is whole, and whoever dies loses at most what it was writing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any

from tao_lora_ros.messages.files import naming, regular_descriptor
from tao_lora_ros.messages.results import Event
from tao_lora_ros.messages.stamps import moment_of
from tao_lora_ros.preservation.durable import discard, own_folder, sync, write_durably
from tao_lora_ros.preservation.event_bag import largest_size, write_bag
from tao_lora_ros.preservation.event_catalogue import (
    ENTRY_FILE,
    EVENTS,
    catalogue,
    refuse_table,
    sha256_of,
)
from tao_lora_ros.preservation.event_entry import Entry
from tao_lora_ros.preservation.event_record import EventRecord, StoreError

MEBIBYTE = 1024 * 1024
_LOCK = "lock"


class EventStore:
    """Appends events; one process at a time.

    The oldest events make room for a new one, just before it is written, by the most that it can
    take. An event that would not fit even then is refused and nothing is deleted for it.

    Args:
        folder: the store; made where it is missing, repaired where it was left unfinished.
        max_bytes: most that events and index take on the disk, also while one is written.
        min_free_bytes: least that stays free on the file system.

    Raises:
        StoreError: the folder cannot be made, read or written, another process writes to it, or it
            holds a fleet's tables.
    """

    def __init__(
        self, folder: Path, max_bytes: int = 1024 * MEBIBYTE, min_free_bytes: int = 512 * MEBIBYTE
    ) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.min_free_bytes = min_free_bytes
        self._events = folder / EVENTS
        self._writing = folder / "writing"
        with naming(StoreError, folder):
            refuse_table(folder)
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700, parents=True)
            own_folder(self._events)
            self._lock = self._take_lock()
            try:
                self._repair()
            except OSError:
                self.close()
                raise

    @property
    def entries(self) -> list[Entry]:
        """The events, oldest first."""
        return [entry for _, entry in sorted(self._index.entries.items())]

    @property
    def bytes_used(self) -> int:
        """Bytes that events and index take on the disk."""
        return sum(self._sizes.values()) + self._index.size

    @property
    def gone(self) -> bool:
        """Whether the store was deleted, or another put in its place, since it was opened."""
        try:
            here = (self.folder / _LOCK).lstat()
            self._events.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # a disk that fails is not a store that is gone
            return False
        return not os.path.samestat(here, os.fstat(self._lock.fileno()))

    def append(self, record: EventRecord) -> Entry:
        """Keep an event; when this returns it is on the disk.

        Raises:
            StoreError: it was refused for its size or the space left, the disk failed, or the store
                is `gone`. The events before it are as they were, save the oldest if they had to
                make room.
        """
        if self.gone:
            raise StoreError(f"{self.folder}: deleted or replaced while in use")
        try:
            with naming(StoreError, self.folder):
                discard(self._writing)
                own_folder(self._writing)
                self._make_room(largest_size(record), record)
                return self._write(record)
        finally:
            with suppress(OSError):
                discard(self._writing)

    def holds(self, record: EventRecord) -> bool:
        """Whether the newest entry is this event's: whoever handed it over need not know."""
        if not self._index.entries:
            return False
        newest = self._index.entries[max(self._index.entries)]
        return asdict(newest) | _said_of(record.event) == asdict(newest)

    def close(self) -> None:
        """Let another process write."""
        self._lock.close()

    def __enter__(self) -> EventStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_lock(self) -> IO[str]:
        flags = os.O_WRONLY | os.O_CREAT
        lock = os.fdopen(regular_descriptor(self.folder / _LOCK, flags, links=False), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise StoreError(f"{self.folder}: another process writes to this store") from None
        except OSError:
            lock.close()
            raise
        return lock

    def _repair(self) -> None:
        """Bring index and folders together after whatever happened to the last writer."""
        discard(self._writing)
        for folder in (self.folder.parent, self.folder):
            sync(folder)
        self._index, agreed = catalogue(self.folder)
        if not agreed:
            self._index.rewrite()
        self._sizes = {
            number: disk_use(self._events / entry.folder)
            for number, entry in self._index.entries.items()
        }

    def _make_room(self, need: int, record: EventRecord) -> None:
        """Delete the oldest events until `need` bytes more keep both bounds."""
        disk = os.statvfs(self.folder)
        free = disk.f_bavail * disk.f_frsize
        surplus = max(
            self.bytes_used + need - self.max_bytes,
            self.min_free_bytes + need - free,
        )
        if surplus > sum(self._sizes.values()):
            raise StoreError(
                f"{self.folder}: event {record.event.sequence} refused: "
                f"it takes up to {need} bytes; "
                f"{self.max_bytes} are allowed, {free} are free, {self.min_free_bytes} stay free"
            )
        while surplus > 0:
            surplus -= self._remove_oldest()

    def _remove_oldest(self) -> int:
        """Delete an event, out of sight first; returns the bytes given back."""
        number = min(self._index.entries)
        entry = self._index.entries[number]
        gone = self._writing / entry.folder
        with suppress(FileNotFoundError):  # somebody deleted it by hand
            (self._events / entry.folder).rename(gone)
        self._index.remove(number)
        shutil.rmtree(gone, ignore_errors=True)
        return self._sizes.pop(number)

    def _write(self, record: EventRecord) -> Entry:
        number, event = self._index.next, record.event
        name = f"{number:06d}_{moment_of(event.onset_ns):%Y%m%dT%H%M%SZ}"
        folder = self._writing / name
        messages = write_bag([record], folder)
        mcap = folder / f"{name}.mcap"
        entry = Entry(
            number=number,
            folder=name,
            messages=messages,
            size=mcap.stat().st_size,
            sha256=sha256_of(mcap),
            **_said_of(event),
        )
        write_durably(folder / ENTRY_FILE, entry.to_json() + "\n")
        for path in (mcap, folder / "metadata.yaml", folder):
            sync(path)
        folder.rename(self._events / name)
        sync(self._events)
        self._sizes[number] = disk_use(self._events / name)
        self._index.add(entry)
        return entry


def _said_of(event: Event) -> dict[str, Any]:
    """What an entry repeats of its event."""
    own = {"number", "folder", "messages", "size", "sha256"}
    said = vars(event) | event.size.row() | {"kind": int(event.kind)}
    return {row.name: said[row.name] for row in fields(Entry) if row.name not in own}


def disk_use(folder: Path) -> int:
    """Bytes that a folder and its files take on the disk, in whole blocks where it says so."""
    stats = [path.lstat() for path in (folder, *folder.iterdir())]
    return sum(max(stat.st_size, stat.st_blocks * 512) for stat in stats)
