"""What a store holds, for writers and readers: its index, put right by the folders there are."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from tao_lora_ros.messages.files import naming, open_regular, read_regular, refusal
from tao_lora_ros.preservation.event_bag import read_bag
from tao_lora_ros.preservation.event_entry import Entry, number_in
from tao_lora_ros.preservation.event_index import Index
from tao_lora_ros.preservation.event_record import EventRecord, StoreError

EVENTS = "events"
INDEX_FILE = "index.jsonl"
ENTRY_FILE = "event.json"
RECEIPTS = "receipts"  # in a fleet's tables, which are no store
_MOST_ENTRY_BYTES = 1 << 20
_BLOCK_BYTES = 1024 * 1024


def default_store(namespace: str = "") -> Path:
    """`tao_lora/NAMESPACE/events` in the folder where ROS keeps its state ($ROS_HOME, else ~/.ros).

    A node's namespace keeps robots apart that share a machine: a store has one writer.
    """
    home = os.environ.get("ROS_HOME")
    return (
        (Path(home) if home else Path.home() / ".ros")
        / "tao_lora"
        / namespace.strip("/")
        / "events"
    )


def refuse_table(folder: Path) -> None:
    """Refuse a fleet's tables for a store: their events are rows, in a folder of the same name.

    Raises:
        StoreError: these are tables.
    """
    if (folder / RECEIPTS).is_dir() or next((folder / EVENTS).glob("robot=*/day=*"), None):
        remedy = f"tao-lora fleet {folder} shows them"
        raise StoreError(f"{folder}: tables of many bags, expected an event store; {remedy}")


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
    """Names of the event folders by number; whatever else lies there, links too, is passed over."""
    with os.scandir(store / EVENTS) as found:
        names = [item.name for item in found if item.is_dir(follow_symlinks=False)]
    return {number: name for name in names if (number := number_in(name)) is not None}


def read_entry(folder: Path) -> Entry:
    """The entry that lies in an event's folder.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is no entry.
    """
    return Entry.from_json(read_regular(folder / ENTRY_FILE, _MOST_ENTRY_BYTES, links=False))


def _adopt(store: Path, folder: str) -> Entry | None:
    """The entry that lies in a folder; None where the folder is not whole."""
    try:
        entry = read_entry(store / EVENTS / folder)
        mcap = (store / EVENTS / entry.mcap).lstat()
    except (OSError, ValueError):
        return None
    whole = stat.S_ISREG(mcap.st_mode) and mcap.st_size == entry.size
    return entry if whole and entry.folder == folder else None


def read_entries(store: Path) -> list[Entry]:
    """The events of a store, oldest first; a node may be writing to it.

    Raises:
        StoreError: there is no store, or it cannot be read.
    """
    try:
        refuse_table(store)
        index, _ = catalogue(store)
    except FileNotFoundError:
        remedy = f"tao-lora replay BAG --store {store} makes one"
        raise StoreError(f"{store}: no event store here; {remedy}") from None
    except OSError as error:
        raise StoreError(f"{error.filename or store}: {refusal(error)}") from error
    return [entry for _, entry in sorted(index.entries.items())]


def find_entry(store: Path, number: int) -> Entry:
    """The entry of an event.

    Raises:
        StoreError: there is no such event, or no store.
    """
    entries = read_entries(store)
    for entry in entries:
        if entry.number == number:
            return entry
    held = f"{entries[0].number} to {entries[-1].number}" if entries else "none"
    raise StoreError(f"{store}: no event {number}; it holds {held}")


def read_event(store: Path, number: int) -> tuple[Entry, EventRecord]:
    """One event with its samples.

    Raises:
        StoreError: there is no such event, or its bag cannot be read.
    """
    entry = find_entry(store, number)
    return entry, read_record(store, entry)


def read_record(store: Path, entry: Entry) -> EventRecord:
    """The event of an entry, with its samples.

    Raises:
        StoreError: its bag cannot be read.
    """
    folder = store / EVENTS / entry.folder
    check_regular(folder)
    return read_bag(folder)


def check_regular(folder: Path) -> None:
    """Refuse an event with links or FIFOs in it, which a bag's reader would follow or wait for.

    Raises:
        StoreError: it holds such a thing, or cannot be read.
    """
    with naming(StoreError, folder):
        odd = [path for path in folder.iterdir() if not stat.S_ISREG(path.lstat().st_mode)]
    if odd:
        raise StoreError(f"{odd[0]}: not a regular file")


def sha256_of(file: Path) -> str:
    """SHA-256 of a regular file that is no link, in hexadecimal.

    Raises:
        OSError: it is something else, or cannot be read.
    """
    digest = hashlib.sha256()
    with open_regular(file, links=False) as content:
        while block := content.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
