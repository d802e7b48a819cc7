"""A row a fault: what was done, what became of it, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HEAD = (
    "| fault | injected | used | refused by kind | lost | said | recovered in |",
    "|---|---|---|---|---|---|---|",
)
_MOST_SAID = 90


@dataclass
class Row:
    """What became of one fault.

    Args:
        fault: its name.
        injected: messages, files, kills or requests.
        used: messages that went into rows; of other things those that were taken.
        refused: by kind; what was good and never used is among them, by its reason.
        lost: what nobody knows of. Above 0 is a failure where it is not said.
        said: the line, in diagnostics or log, that tells of it.
        recovered_s: from the end of the fault to the next result; None where nothing had to.
        wrong: what should not be so.
    """

    fault: str
    injected: int = 0
    used: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    said: str = ""
    recovered_s: float | None = None
    wrong: list[str] = field(default_factory=list)

    def check(self, good: object, otherwise: str) -> None:
        """Note what is wrong unless this is so."""
        if not good:
            self.wrong.append(otherwise)

    def __str__(self) -> str:
        refused = ", ".join(f"{kind} {n}" for kind, n in sorted(self.refused.items())) or "-"
        said = " ".join(self.said.split()).replace("|", "/").replace(f"{Path.cwd()}/", "")
        said = said if len(said) <= _MOST_SAID else f"{said[:_MOST_SAID]}..."
        recovered = "-" if self.recovered_s is None else f"{self.recovered_s:.2f} s"
        cells = self.fault, self.injected, self.used, refused, self.lost, said or "-", recovered
        return f"| {' | '.join(map(str, cells))} |"


def show(rows: Iterable[Row]) -> int:
    """Print rows as they come, and what is wrong after each; how many are wrong."""
    failures = 0
    for row in rows:
        print(row, flush=True)
        for reason in row.wrong:
            print(f"    WRONG: {row.fault}: {reason}", flush=True)
        failures += bool(row.wrong)
    return failures
