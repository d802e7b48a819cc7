"""Labels of a bag: in the file beside it, or published on a topic while it was recorded."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from math import isfinite, nan
from pathlib import Path
from typing import Any

from tao_lora_ros.bags.opening import BagError, damage, open_bag
from tao_lora_ros.bags.text_files import csv_rows
from tao_lora_ros.bags.unread import Unread, counts_in, unread_text
from tao_lora_ros.messages.label_span import LabelSpan
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.preservation.parquet import Row

STRING = "std_msgs/msg/String"
_COLUMNS = ("start_s", "end_s", "label")


def topic_labels(bag: Path, topic: str) -> list[LabelSpan]:
    """Stretches labelled by the strings of a topic: each holds until the next one.

    Times are those of the recording, in seconds from the bag's first message.

    Raises:
        BagError: the bag cannot be read, or has no such topic of strings.
    """
    reader: Any  # messages are of types made at run time
    with closing(open_bag(bag)) as reader:
        chosen = [c for c in reader.connections if (c.topic, c.msgtype) == (topic, STRING)]
        if not chosen:
            there = ", ".join(sorted(f"{c.topic} ({c.msgtype})" for c in reader.connections))
            there = shown(there, MOST_LINE)
            raise BagError(f"{bag}: no topic {topic} of type {STRING}; there are: {there}")
        try:
            said = [
                ((log_ns - reader.start_time) * 1e-9, reader.deserialize(raw, STRING).data)
                for _, log_ns, raw in reader.messages(connections=chosen)
            ]
            held = counts_in(bag, reader)[topic]
        except Exception as error:  # rosbags reports damage by whatever its parsing stumbled on
            raise BagError(damage(bag, "damaged bag", error)) from error
        end_s = reader.duration * 1e-9
    if len(said) < held:  # a label would hold for longer than it does
        raise BagError(unread_text(bag, [Unread(topic, len(said), held)]))
    stretches = pairwise([*said, (end_s, "")])
    return [LabelSpan(start, end, label) for (start, label), (end, _) in stretches if label]


def labels_file(bag: Path) -> Path:
    """Where the labels of a bag lie: beside it."""
    return bag.with_name(f"{bag.name}.labels.csv")


def read_contacts(bag: Path) -> list[LabelSpan]:
    """The truth in `<bag>.labels.csv` beside a bag, by start; none where there is no such file.

    Raises:
        BagError: as for `read_labels`.
    """
    file = labels_file(bag)
    return read_labels(file) if file.exists() else []


def write_events(file: Path, rows: Sequence[Row], start_ns: int) -> int:
    """Write events as the labels of a bag, as `read_labels` reads them.

    Columns are `start_s`, `end_s`, `label`, `kind`, and `by`: who calls it so, empty where it is
    the model. Events that are called nothing are left out.

    Args:
        file: `labels_file` of the bag.
        rows: of `event_rows`.
        start_ns: the first stamp in the bag.

    Returns:
        How many events are in it.

    Raises:
        OSError: the disk does not take it.
    """
    named = [row for row in rows if row["label"]]
    with file.open("w", newline="", encoding="utf-8") as out:
        lines = csv.writer(out)
        lines.writerow([*_COLUMNS, "kind", "by"])
        for row in sorted(named, key=lambda row: row["onset_ns"]):
            times = ((row[name] - start_ns) * 1e-9 for name in ("onset_ns", "end_ns"))
            by = row["labelled_by"] or ""
            lines.writerow([*(f"{t:.9f}" for t in times), row["label"], row["kind"], by])
    return len(named)


def write_labels(file: Path, spans: Sequence[LabelSpan]) -> None:
    """Write labelled stretches as `read_labels` reads them.

    Raises:
        OSError: the disk does not take it.
    """
    with file.open("w", newline="", encoding="utf-8") as out:
        lines = csv.writer(out)
        lines.writerow(_COLUMNS)
        lines.writerows((f"{s.start_s:.9f}", f"{s.end_s:.9f}", s.label) for s in spans)


def read_labels(file: Path) -> list[LabelSpan]:
    """Labelled stretches of a CSV file with `start_s`, `end_s`, `label`, and perhaps `peak_sigma`.

    Raises:
        BagError: a column is missing, a value of it is none, or a stretch ends before it starts;
            the text names file, line and column.
    """
    rows = csv_rows(file)
    line, head = next(rows, (1, list(_COLUMNS)))
    columns = [name.strip() for name in head]
    if missing := [name for name in _COLUMNS if name not in columns]:
        there = ", ".join(map(shown, columns))
        raise BagError(f"{file}: line {line}: no column '{missing[0]}'; there are: {there}")
    spans = []
    for line, row in rows:
        try:
            spans.append(_span(dict(zip(columns, row, strict=False))))
        except ValueError as error:
            raise BagError(f"{file}: line {line}: {error}") from None
    return sorted(spans, key=lambda span: span.start_s)


def _span(row: dict[str, str]) -> LabelSpan:
    start_s, end_s = _seconds(row, "start_s"), _seconds(row, "end_s")
    if end_s < start_s:
        raise ValueError(f"column 'end_s' is {end_s:g}, expected 'start_s' {start_s:g} or later")
    if not (label := row.get("label", "").strip()):
        raise ValueError("column 'label' is empty, expected a name")
    sigma = row.get("peak_sigma", "").strip()
    try:
        return LabelSpan(start_s, end_s, label, float(sigma or "nan"))
    except ValueError:
        raise ValueError(
            f"column 'peak_sigma' is {shown(repr(sigma))}, expected a number"
        ) from None


def _seconds(row: dict[str, str], name: str) -> float:
    text = row.get(name, "")
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not isfinite(value):
        raise ValueError(f"column '{name}' is {shown(repr(text))}, expected seconds")
    return value
