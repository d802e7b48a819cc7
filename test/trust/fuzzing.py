"""Every reader fuzzed for a while, guided by coverage: see `fuzz.run`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fuzz.harness import ENTRIES
from fuzz.run import fuzz
from trust.table import Row


def rows(folder: Path, seconds: float) -> Iterator[Row]:
    """A third of the seconds each."""
    for entry in ENTRIES:
        found = fuzz(entry, seconds / 3.0, folder / "fuzz")
        row = Row(f"fuzzed: {entry}", injected=found.executions, used=found.executions)
        row.said = f"{found.branches} branches reached, {len(found.findings)} findings"
        row.wrong += found.findings
        row.check(found.executions > 100, "it did not run")
        yield row
