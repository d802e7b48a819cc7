"""Runs in this process, and what two over the same bags have to have alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet


class Here:
    """Workers that are this process."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work, self.items = work, []

    @classmethod
    def opened(cls, work: Callable[[Any], Any]) -> AbstractContextManager:
        """What `replay_all` wants."""
        return nullcontext(cls(work))

    @property
    def free(self) -> int:
        return 1 - self.busy

    @property
    def busy(self) -> int:
        return len(self.items)

    def give(self, item: Any) -> None:
        self.items.append(item)

    def take(self) -> list[tuple[Any, Any]]:
        return [(item, self.work(item)) for item in [self.items.pop()]]


def content(table: Path) -> bytes:
    """All rows of all tables of a folder, sorted, but for the time that they took."""
    lines = []
    for name in ("bags", "events", "windows"):
        if (table / name).exists():
            rows = parquet.read_table(table / name).drop_columns(["seconds"] * (name == "bags"))
            lines += [f"{name} {json.dumps(row, default=str)}\n" for row in rows.to_pylist()]
    return "".join(sorted(lines)).encode()
