"""What a bag holds by its own count, and did not give: readers pass over damage in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import yaml
from rosbags.highlevel import AnyReader

from tao_lora_ros.bags.opening import METADATA, data_files, mending
from tao_lora_ros.messages.texts import MOST_LINE, shown


@dataclass(frozen=True)
class Unread:
    """How many messages of a topic were read, and how many its bag holds."""

    topic: str
    read: int
    expected: int

    def __str__(self) -> str:
        return f"{shown(self.topic)}: {self.read} of {self.expected} messages read"


def counts_in(path: Path, reader: AnyReader) -> Counter[str]:
    """Messages by topic that an opened bag holds, by its index or its metadata.

    Where files that the metadata name are not there, the others were opened without them.
    """
    held = Counter({topic: info.msgcount for topic, info in reader.topics.items()})
    if list(reader.paths) != [path] and (path / METADATA).exists():
        counted: Counter[str] = Counter()
        for topic in _metadata(path)["topics_with_message_count"]:
            counted[topic["topic_metadata"]["name"]] += topic["message_count"]
        held |= counted
    return held


def unread_text(path: Path, unread: Sequence[Unread]) -> str:
    """What could not be read of a bag, and the remedy."""
    remedy = f"to mend it: {mending(path)}"
    if (path / METADATA).exists():
        names = [PurePath(name).name for name in _metadata(path)["relative_file_paths"]]
        missing = [name for name in names if not (path / name).exists()]
        if missing:
            remedy = f"its metadata name files that are not there: {', '.join(missing)}"
    return shown(f"{path}: damaged bag: {', '.join(map(str, unread))}; {remedy}", MOST_LINE)


def unwritten_text(path: Path) -> str:
    """That SQLite keeps the newest messages in a file beside the bag's; empty where it does not."""
    for file in data_files(path) or [path]:
        log = Path(f"{file}-wal")
        if log.exists() and log.stat().st_size:
            remedy = f"sqlite3 {file} 'PRAGMA wal_checkpoint(TRUNCATE)'"
            return (
                f"{path}: {log.name} holds newer messages that are not read; to add them: {remedy}"
            )
    return ""


def _metadata(path: Path) -> Any:
    """What a reader has understood before, but for the files that it names."""
    text = (path / METADATA).read_text()
    return yaml.load(text, Loader=yaml.CSafeLoader)["rosbag2_bagfile_information"]
