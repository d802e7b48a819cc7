"""Scores of a model as tables: on the terminal, and as a page of HTML."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tao_lora_ros.messages.texts import MOST_LINE, shown

HELD_OUT = "held_out"  # key of metrics: scores of runs that were not trained on
_TABLES = {"by_window": "by window", "over_time": "over time"}
_WIDTH = 120  # columns, where the output is no terminal
_FEW = 5  # runs of a label, below which hardly anything is known

Scores = Mapping[str, Any]


def score_text(metrics: Scores) -> str:
    """The scores of an artifact, or of an evaluation, for the terminal."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    with console.capture() as captured:
        for part in score_parts(metrics):
            console.print(part)
    return captured.get().rstrip("\n")


def score_lines(metrics: Scores) -> list[str]:
    """The scores in short, a line each."""
    lines: list[str] = []
    if found := metrics.get(HELD_OUT):
        of = found[next(key for key in _TABLES if key in found)]["of_runs"]["count"]
        right = ", ".join(
            f"{_plus_minus(found[key]['accuracy'])} {name}"
            for key, name in _TABLES.items()
            if key in found
        )
        lines.append(
            f"share of windows called right, of {of} runs that it was not fitted on: {right}"
        )
    if events := metrics.get("events"):
        shares = ", ".join(
            f"{_number(events[name])} {name}"
            for name in ("right", "wrong", "unknown")
            if name in events
        )
        lines.append(f"names of {events['events']} events: {shares}".rstrip(": "))
    return lines


def write_scores(metrics: Scores, title: str, file: Path) -> None:
    """The same as a page of HTML.

    Raises:
        OSError: the file cannot be written.
    """
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), highlight=False)
    for part in (Text(shown(title), style="bold"), *score_parts(metrics)):
        console.print(part)
    file.write_text(console.export_html(), encoding="utf-8")


def score_parts(metrics: Scores) -> Iterator[Table | Text]:
    """Tables and sentences, in the order in which they are read."""
    paths = {name: values for name, values in metrics.items() if name.endswith(("32", "_path"))}
    if paths:
        names = list(dict.fromkeys(name for values in paths.values() for name in values))
        rows = (
            [path, *(_number(of.get(name), ".3g") for name in names)] for path, of in paths.items()
        )
        yield _table("by precision", ["", *names], rows)
    if HELD_OUT in metrics:
        yield from _held_out(metrics[HELD_OUT])
    if "events" in metrics:
        yield from _events(metrics["events"])


def _held_out(found: Scores) -> Iterator[Table | Text]:
    yield Text(shown(found["how"], MOST_LINE))
    tables = {name: found[key] for key, name in _TABLES.items() if key in found}
    known = found.get("trained_on", 0)
    trained_on = f"runs, {known} of them named as runs trained on"
    yield _overview(tables, trained_on if known else "runs held out")
    if not known:
        yield from (_surely(name, table["of_runs"]) for name, table in tables.items())
    if other := found.get("other_order"):
        accuracy, macro_f1 = (_plus_minus(other[key]) for key in ("accuracy", "macro_f1"))
        yield Text(f"over time, stretches in random order: {accuracy}, macro-F1 {macro_f1}")
    for name, table in tables.items():
        yield _classes(name, table)
        yield _confusion(name, table)
    yield _runs(tables)
    for note in found["notes"]:
        yield Text(shown(note, MOST_LINE))


def _events(scores: Scores) -> Iterator[Table | Text]:
    """Shares, and a table of what was said by what it was."""
    numbers = {name: value for name, value in scores.items() if name != "confusion"}
    yield Text("events: " + "  ".join(f"{name} {_number(v, '.4g')}" for name, v in numbers.items()))
    if confusion := scores.get("confusion"):
        said = sorted({name for row in confusion.values() for name in row})
        rows = ([was, *(str(row.get(name, 0)) for name in said)] for was, row in confusion.items())
        yield _table("events by what they were (rows) and were called", ["", *said], rows)


def _overview(tables: Mapping[str, Scores], runs: str) -> Table:
    scores = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
    head = ["", *scores.values(), *(f"{name}, one run a label" for name in scores.values())]
    rows = (
        [
            name,
            *(
                _plus_minus(of[score])
                for of in (table, table["one_run_a_label"])
                for score in scores
            ),
        ]
        for name, table in tables.items()
    )
    return _table(f"{runs}: mean and standard deviation", head, rows)


def _surely(name: str, of: Scores) -> Text:
    """How sure it is what another run will give."""
    return Text(
        f"a run never seen: {_plus_minus(of)} of its windows are right {name}; of {_range(of)}, "
        f"one in ten below {_number(of['tenth'])}"
    )


def _classes(name: str, table: Scores) -> Table:
    head = ["", "recall", "precision", "F1", "windows", "runs", "recall run by run"]
    rows = (
        [
            row["label"],
            *(_number(row[key]) for key in ("recall", "precision", "f1")),
            str(row["windows"]),
            str(row["of_runs"]["count"]),
            _range(row["of_runs"]) + " (few runs)" * (row["of_runs"]["count"] < _FEW),
        ]
        for row in table["classes"]
    )
    return _table(f"{name}, by label", head, rows)


def _confusion(name: str, table: Scores) -> Table:
    labels = [row["label"] for row in table["classes"]]
    counts = zip(labels, table["confusion"], strict=True)
    rows = ([label, *map(str, row)] for label, row in counts)
    return _table(f"{name}, windows by what they are (rows) and were called", ["", *labels], rows)


def _runs(tables: Mapping[str, Scores]) -> Table:
    head = ["", "label", "windows", *(f"right {name}" for name in tables), "mistaken for"]
    together = zip(*(table["runs"] for table in tables.values()), strict=True)
    rows = (
        [
            first["run"],
            ", ".join(first["labels"]),
            str(first["windows"]),
            *(_number(one["accuracy"]) for one in (first, *others)),
            first["mistaken_for"],
        ]
        for first, *others in sorted(together, key=lambda of: (of[0]["labels"], of[0]["run"]))
    )
    return _table("by run", head, rows)


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for number, name in enumerate(head):
        table.add_column(Text(shown(name)), justify="right" if number else "left")
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))
    return table


def _number(value: float | None, how: str = ".3f") -> str:
    return "-" if value is None or isnan(value) else format(value, how)


def _plus_minus(of: Scores) -> str:
    return f"{_number(of['mean'])} ± {_number(of['spread'])}"


def _range(of: Scores) -> str:
    return f"{of['count']} runs: {_number(of['least'])} to {_number(of['most'])}"
