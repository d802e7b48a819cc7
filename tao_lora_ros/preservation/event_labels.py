"""What people call the events of a store: `labels.jsonl` in an event's folder, only appended to.

A line is `{"label": NAME, "who": NAME, "time_ns": TIME}`, NAME empty where a label was taken away,
or has `"undo": true` instead of `"label"`: it takes the last step back that is not yet taken back.
So the file is the history too, and goes with its event. A torn line is left out.
"""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_lora_ros.messages.files import naming, read_regular
from tao_lora_ros.messages.texts import encodable, shown
from tao_lora_ros.preservation.durable import append_durably, sync
from tao_lora_ros.preservation.event_catalogue import EVENTS
from tao_lora_ros.preservation.event_entry import Entry, parsed, whole
from tao_lora_ros.preservation.event_record import StoreError

LABELS_FILE = "labels.jsonl"
MOST_CHARACTERS = 64
_MOST_BYTES = 1 << 20
_is_time = whole(0, 2**63 - 1)


@dataclass(frozen=True)
class Label:
    """What somebody called an event; `name` is empty where a label was taken away."""

    name: str
    who: str
    time_ns: int


@dataclass(frozen=True)
class History:
    """The steps of an event's labels that hold, oldest first, and how many lines are unreadable."""

    steps: tuple[Label, ...] = ()
    damaged: int = 0

    @property
    def label(self) -> Label | None:
        """What the event is called; None where nobody said, or the label was taken away."""
        return self.steps[-1] if self.steps and self.steps[-1].name else None


def read_history(store: Path, entry: Entry) -> History:
    """The history of an event's labels; what is no file of ours counts as damaged."""
    try:
        content = read_regular(_file(store, entry), _MOST_BYTES, links=False)
    except FileNotFoundError:
        return History()
    except OSError:
        return History(damaged=1)
    steps: list[Label] = []
    damaged = 0
    for line in content.split(b"\n")[:-1]:
        try:
            _take(steps, parsed(line))
        except ValueError:
            damaged += bool(line)
    torn = not content.endswith(b"\n") and bool(content)
    return History(tuple(steps), damaged + torn)


def read_labels(store: Path, entries: Iterable[Entry]) -> dict[int, Label]:
    """What people call events, by number; those without a label are left out."""
    found = ((entry.number, read_history(store, entry).label) for entry in entries)
    return {number: label for number, label in found if label}


def label_event(store: Path, entry: Entry, name: str, who: str = "") -> None:
    """Call an event so, or with an empty name nothing; when this returns it is on the disk.

    Args:
        store: the store; a node may be writing to it.
        entry: the event.
        name: one line of 64 characters at most.
        who: says so; else the user of this process.

    Raises:
        StoreError: the name will not do, the event is gone, or the disk does not take it.
    """
    name = name.strip()
    if len(name) > MOST_CHARACTERS or not (name.isprintable() and encodable(name)):
        raise StoreError(
            f"label {shown(repr(name))}, expected at most {MOST_CHARACTERS} printable characters"
        )
    _append(store, entry, {"label": name}, who)


def undo_label(store: Path, entry: Entry) -> None:
    """Take back the last step of an event's labels; the history keeps both.

    Raises:
        StoreError: there is nothing to take back, the event is gone, or the disk refuses.
    """
    if not read_history(store, entry).steps:
        raise StoreError(f"{store}: event {entry.number} has no label to take back")
    _append(store, entry, {"undo": True})


def _append(store: Path, entry: Entry, said: dict[str, Any], who: str = "") -> None:
    row = said | {"who": who or _user(), "time_ns": time.time_ns()}
    file = _file(store, entry)
    with naming(StoreError, file):
        content = read_regular(file, _MOST_BYTES, links=False) if os.path.lexists(file) else b""
        # What a crash left unfinished stays a line of its own.
        begin = "\n" if content and not content.endswith(b"\n") else ""
        line = f"{begin}{json.dumps(row)}\n"
        if len(content) + len(line) > _MOST_BYTES:  # nobody could read the others any more
            raise StoreError(f"{file}: full, it has {_MOST_BYTES} bytes at most")
        append_durably(file, line)
        sync(file.parent)  # the first line makes the file


def _take(steps: list[Label], row: Any) -> None:
    """Raises ValueError where a row is none of ours."""
    if not isinstance(row, dict) or not isinstance(row.get("who"), str):
        raise ValueError(f"not a label: {shown(row)}")
    if not _is_time(row.get("time_ns")):
        raise ValueError(f"'time_ns' is {shown(row.get('time_ns'))}, expected nanoseconds")
    name = row.get("label")
    if row.get("undo") is True and steps:
        steps.pop()
    elif isinstance(name, str) and encodable(name + row["who"]):
        steps.append(Label(name, row["who"], row["time_ns"]))
    else:
        raise ValueError(f"'label' is {shown(name)}, expected a name")


def _file(store: Path, entry: Entry) -> Path:
    return store / EVENTS / entry.folder / LABELS_FILE


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may know no name
        return f"uid {os.getuid()}"
