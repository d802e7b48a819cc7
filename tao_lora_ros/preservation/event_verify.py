"""Whether a store is whole: every file as it was written, every bag readable, the index right."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tao_lora_ros.preservation.event_bag import count_and_read
from tao_lora_ros.preservation.event_catalogue import (
    ENTRY_FILE,
    EVENTS,
    INDEX_FILE,
    check_regular,
    event_folders,
    read_entries,
    read_entry,
    sha256_of,
)
from tao_lora_ros.preservation.event_entry import Entry
from tao_lora_ros.preservation.event_index import Index
from tao_lora_ros.preservation.event_labels import LABELS_FILE, read_history
from tao_lora_ros.preservation.event_record import StoreError

_SETTLE_S = 0.3


@dataclass(frozen=True)
class Damage:
    """What is wrong with a file or folder; its path is relative to the store."""

    path: str
    reason: str


def verify(store: Path) -> tuple[int, list[Damage]]:
    """Check everything; nothing is changed.

    Returns:
        How many events were checked, and the damage found.

    Raises:
        StoreError: there is no store, or it cannot be read.
    """
    entries = read_entries(store)
    found = [damage for entry in entries if (damage := _event_damage(store, entry))]
    # A node that writes or deletes an event meanwhile does no damage: what is gone is not damaged,
    # and what its index lacks for an instant is in it soon.
    found = [damage for damage in found if (store / damage.path).exists()]
    if passing := _index_damage(store):
        time.sleep(_SETTLE_S)
        found += [damage for damage in _index_damage(store) if damage in passing]
    return len(entries), found


def _event_damage(store: Path, entry: Entry) -> Damage | None:
    folder = store / EVENTS / entry.folder
    path = f"{EVENTS}/{entry.folder}"
    try:
        if sha256_of(store / EVENTS / entry.mcap) != entry.sha256:
            return Damage(path, "the mcap file is not what was written (SHA-256 differs)")
        if read_entry(folder) != entry:
            return Damage(path, f"{ENTRY_FILE} and the index differ")
        check_regular(folder)
        count, _ = count_and_read(folder)
    except OSError as error:
        return Damage(path, f"{Path(error.filename or folder).name}: {error.strerror}")
    except (StoreError, ValueError) as error:
        return Damage(path, str(error))
    if count != entry.messages:
        return Damage(path, f"{count} messages, {entry.messages} were written")
    if damaged := read_history(store, entry).damaged:
        return Damage(f"{path}/{LABELS_FILE}", f"{damaged} unreadable lines")
    return None


def _index_damage(store: Path) -> list[Damage]:
    index = Index(store / INDEX_FILE)
    whole = {entry.number for entry in read_entries(store)}
    damage = []
    if index.damaged:
        damage.append(Damage(INDEX_FILE, f"{index.damaged} unreadable lines"))
    for number in sorted(whole - index.entries.keys()):
        damage.append(Damage(INDEX_FILE, f"event {number} is missing in it"))
    for number, entry in index.entries.items():
        if not (store / EVENTS / entry.folder).exists():
            damage.append(Damage(INDEX_FILE, f"event {number} is in it, but not in {EVENTS}/"))
    for number, name in event_folders(store).items():
        if number not in whole:
            damage.append(Damage(f"{EVENTS}/{name}", "not a whole event"))
    return damage
