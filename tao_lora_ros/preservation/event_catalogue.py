"""What a store holds, for writers and readers: its index, put right by the folders there are."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from tao_lora_ros.preservation.event_bag import read_bag
from tao_lora_ros.preservation.event_index import Entry, Index
from tao_lora_ros.preservation.event_record import EventRecord, StoreError

EVENTS = "events"
INDEX_FILE = "index.jsonl"
ENTRY_FILE = "event.json"
_NAME = re.compile(r"(\d{6,})_\w+")
_BLOCK_BYTES = 1024 * 1024


def default_store() -> Path:
    """`tao_lora/events` in the folder where ROS keeps its state ($ROS_HOME, else ~/.ros)."""
    home = os.environ.get("ROS_HOME")
    return (Path(home) if home else Path.home() / ".ros") / "tao_lora" / "events"


def catalogue(store: Path) -> tuple[Index, bool]:
    """The index as it should be, and whether the file already says so; nothing is written.

    An entry without its folder is left out. A folder without an entry is taken in if it is whole.
    A folder that is not stays where it is and its number stays used.

    Raises:
        OSError: the store cannot be read.
    """
    index = Index(store / INDEX_FILE)
    folders = event_folders(store)
    lost = [n for n, entry in index.entries.items() if folders.get(n) != entry.folder]
    for number in lost:
        del index.entries[number]
    unknown = folders.keys() - index.entries.keys()
    found = [entry for number in unknown if (entry := _adopt(store, folders[number]))]
    index.entries |= {entry.number: entry for entry in found}
    index.next = max([index.next, *(number + 1 for number in folders)])
    return index, not (lost or found or index.damaged)


def event_folders(store: Path) -> dict[int, str]:
    """Names of the event folders by number; whatever else lies there is passed over."""
    names = [path.name for path in (store / EVENTS).iterdir()]
    return {int(match[1]): match[0] for match in map(_NAME.fullmatch, names) if match}


def _adopt(store: Path, folder: str) -> Entry | None:
    """The entry that lies in a folder; None where the folder is not whole."""
    try:
        entry = Entry.from_json((store / EVENTS / folder / ENTRY_FILE).read_bytes())
        whole = (store / EVENTS / entry.mcap).stat().st_size == entry.size
    except (OSError, ValueError):
        return None
    return entry if whole and entry.folder == folder else None


def read_entries(store: Path) -> list[Entry]:
    """The events of a store, oldest first; a node may be writing to it.

    Raises:
        StoreError: there is no store, or it cannot be read.
    """
    try:
        index, _ = catalogue(store)
    except FileNotFoundError:
        raise StoreError(f"{store}: no event store here") from None
    except OSError as error:
        raise StoreError(f"{error.filename or store}: {error.strerror}") from error
    return [entry for _, entry in sorted(index.entries.items())]


def read_event(store: Path, number: int) -> tuple[Entry, EventRecord]:
    """One event with its samples.

    Raises:
        StoreError: there is no such event, or its bag cannot be read.
    """
    entries = read_entries(store)
    for entry in entries:
        if entry.number == number:
            return entry, read_bag(store / EVENTS / entry.folder)
    held = f"{entries[0].number} to {entries[-1].number}" if entries else "none"
    raise StoreError(f"{store}: no event {number}; it holds {held}")


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
