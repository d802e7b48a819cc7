"""The index of an event store: read, put right, read again."""

from __future__ import annotations

import json

from event_records import event
from fuzz.harness import as_file, folder, in_corpus

from tao_lora_ros.preservation.event_index import Index
from tao_lora_ros.preservation.event_store import EventStore

PARTS = (
    *(f"tao_lora_ros.preservation.{name}" for name in ("event_index", "event_entry")),
    "json.decoder",
    "json.scanner",
)


def seeds() -> list[bytes]:
    """An index as the store writes it, and hostile ones."""
    with EventStore(folder() / "store", 2**30, 0) as store:
        for sequence in range(2):
            store.append(event(sequence))
    hostile = [json.loads(text)[0] for text in in_corpus("index")]
    written = (folder() / "store" / "index.jsonl").read_bytes()
    return [written, *(text.encode("utf-8", "surrogatepass") for text in hostile)]


def one(data: bytes) -> None:
    """What is read is written and read again as the same."""
    index = Index(as_file(data))
    numbers, following = set(index.entries), index.next
    lines = [entry.to_json() for entry in index.entries.values()]
    as_file("".join(f"{line}\n" for line in lines).encode())
    again = Index(index.file)
    assert not again.damaged
    assert set(again.entries) == numbers
    assert again.next <= following
