"""The review page: a store's events in a browser, where people say what they were."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tao_lora_ros.preservation.event_catalogue import find_entry, read_entries, read_record
from tao_lora_ros.preservation.event_labels import label_event, undo_label
from tao_lora_ros.preservation.event_record import EventRecord, StoreError
from tao_lora_ros.preservation.event_table import event_rows
from tao_lora_ros.report.loopback import LoopbackServer, as_json
from tao_lora_ros.report.page import asset, page
from tao_lora_ros.report.review_data import details, listed, picture


class ReviewServer(LoopbackServer):
    """Serves the events of a store.

    Args:
        store: the store; a node may be writing to it.
        port: 0 takes a free one.

    Raises:
        StoreError: there is no store.
        OSError: the port is taken.
    """

    def __init__(self, store: Path, port: int = 0) -> None:
        read_entries(store)
        super().__init__(_page, self._routed, port)
        self.store = store
        self.record = lru_cache(maxsize=2)(self._record)

    def _record(self, number: int) -> EventRecord:
        return read_record(self.store, find_entry(self.store, number))

    def _routed(self, method: str, path: str, asked: Any) -> tuple[str, bytes]:
        """Media type and body of what was asked for."""
        url = urlsplit(path)
        parts = url.path.strip("/").split("/")
        if parts == ["events"] and method == "GET":
            return as_json(self._list())
        if len(parts) < 2 or parts[0] != "events" or not parts[1].isdecimal():
            raise StoreError("no such thing here")
        number = int(parts[1])
        if method == "POST" and len(parts) == 2:
            return as_json(self._label(number, asked))
        if len(parts) == 2:
            return as_json(details(self.record(number)))
        query = parse_qs(url.query)
        topic, count = query.get("topic", [""])[0], query.get("n", [""])[0]
        if parts[2:] != ["picture"] or not count.isdecimal():
            raise StoreError("no such thing here")
        return picture(self.record(number), topic, int(count))

    def _list(self) -> dict[str, Any]:
        rows = [listed(row) for row in event_rows(self.store, read_entries(self.store))]
        names = {row[name] for row in rows for name in ("label", "model_label")} - {None}
        return {"store": str(self.store), "events": rows, "names": sorted(names)}

    def _label(self, number: int, asked: Any) -> dict[str, Any]:
        """Do as asked; returns the event's new row."""
        entry = find_entry(self.store, number)
        if asked == {"undo": True}:
            undo_label(self.store, entry)
        elif isinstance(asked, dict) and isinstance(asked.get("label"), str):
            label_event(self.store, entry, asked["label"])
        else:
            raise StoreError('expected {"label": NAME} or {"undo": true}')
        (row,) = event_rows(self.store, [entry])
        return listed(row)


def _page(nonce: str) -> str:
    scripts = ["loopback.js", "review.js"]
    return page("Review of events", asset("review.html"), {}, scripts, ["review.css"], nonce)
