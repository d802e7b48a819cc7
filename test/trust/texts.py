"""The corpus of hostile files: each is refused in one line, or put right."""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from faults.test_hostile import CORPUS, KINDS
from trust.table import Row


def rows(folder: Path) -> Iterator[Row]:
    """A row a kind of file."""
    files: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(CORPUS.glob("*_*")):
        files[file.name.partition("_")[0]].append(file)
    for kind, named in files.items():
        row = Row(f"hostile files: {kind}", injected=len(named))
        what = "put right" if kind == "index" else "refused"
        row.refused = {what: 0}
        for file in named:
            place = folder / "texts" / file.name
            place.mkdir(parents=True)
            said = io.StringIO()
            try:
                with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                    KINDS[kind](file, place)
                row.refused[what] += 1
            except Exception as error:
                row.wrong.append(f"{file.name}: {type(error).__name__}: {error}")
            row.said = row.said or said.getvalue().strip()
        yield row
