"""What changed between two tables of the same bags: events gained, lost and changed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Literal, NamedTuple

from tao_lora_ros.bags.paired_events import paired_events
from tao_lora_ros.fleet.table import read_rows
from tao_lora_ros.preservation.parquet import Row

NEAR_NS = 50_000_000  # onsets of one event, as reports hold them against the truth
_RELATIVE = 0.01  # of a size: less is no change
_SIZES = ("peak_force", "impulse", "peak_torque", "acceleration_change", "mean_load")
_SAID = ("kind", "label", "duration", *_SIZES)

What = Literal["gained", "lost", "changed"]


class Difference(NamedTuple):
    """An event that is in one table alone, or differs: in which columns."""

    what: What
    bag: Row
    old: Row | None
    new: Row | None
    columns: tuple[str, ...] = ()

    @property
    def row(self) -> Row:
        """As JSON: columns that differ have both values."""
        event = self.new or self.old or {}
        both = {c: [(self.old or {}).get(c), (self.new or {}).get(c)] for c in self.columns}
        shown = {c: event[c] for c in ("onset_ns", *_SAID)}
        return (
            {"what": self.what, "robot": self.bag["robot"], "bag": self.bag["bag"]} | shown | both
        )


@dataclass(frozen=True)
class Comparison:
    """Two tables side by side.

    Args:
        bags: in both, and replayed in both.
        same: events that are.
        differences: in the order of bags and onsets.
        copies: bags whose content another one of their table has, which are not looked at.
        failing: bags that were replayed in one of both alone; of the other, with its error.
        only_old: bags whose content is in the old table alone.
        only_new: and in the new one.
    """

    bags: int
    same: int
    copies: int
    differences: list[Difference]
    failing: list[Row]
    only_old: list[str]
    only_new: list[str]

    def count(self, what: What) -> int:
        """How many differences are of a kind."""
        return sum(difference.what == what for difference in self.differences)


def compare(old: Path, new: Path) -> Comparison:
    """Hold two tables against each other; bags are the same by their content, wherever they lay.

    Raises:
        FleetError: one of them is no table, or of another version of the schema.
    """
    rows = [[row for row in read_rows(t, "bags") if row["bag_sha256"]] for t in (old, new)]
    before, after = map(_by_content, rows)
    pairs = {content: (row, after[content]) for content, row in before.items() if content in after}
    good = {c: pair for c, pair in pairs.items() if not (pair[0]["error"] or pair[1]["error"])}
    was, now = _events(old, before), _events(new, after)
    found, same = [], 0
    for content, (_, bag) in good.items():
        for first, second in paired_events(was[content], now[content], "onset_ns", NEAR_NS):
            difference = _difference(bag, first, second)
            same += difference is None
            found += [difference] if difference else []
    return Comparison(
        bags=len(good),
        same=same,
        copies=sum(map(len, rows)) - len(before) - len(after),
        differences=found,
        failing=[row for pair in pairs.values() for row in _failing(*pair)],
        only_old=[row["bag"] for content, row in before.items() if content not in after],
        only_new=[row["bag"] for content, row in after.items() if content not in before],
    )


def _failing(old: Row, new: Row) -> list[Row]:
    """Which of both failed, where the other did not."""
    failed = [row for row in (old, new) if row["error"]]
    return failed if len(failed) == 1 else []


def _by_content(bags: list[Row]) -> dict[str, Row]:
    """The first bag of each content."""
    return {row["bag_sha256"]: row for row in sorted(bags, key=itemgetter("bag"), reverse=True)}


def _events(table: Path, bags: dict[str, Row]) -> defaultdict[str, list[Row]]:
    """The events of each content, in order of their onsets."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted(read_rows(table, "events"), key=lambda row: row["onset_ns"]):
        if bags[row["bag_sha256"]]["bag"] == row["bag"]:
            found[row["bag_sha256"]].append(row)
    return found


def _difference(bag: Row, old: Row | None, new: Row | None) -> Difference | None:
    if old is None or new is None:
        return Difference("lost" if new is None else "gained", bag, old, new)
    columns = tuple(name for name in _SAID if _differ(old[name], new[name]))
    return Difference("changed", bag, old, new, columns) if columns else None


def _differ(old: object, new: object) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return abs(new - old) > _RELATIVE * max(abs(old), abs(new))
    return old != new
