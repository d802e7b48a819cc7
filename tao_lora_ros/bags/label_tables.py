"""Labels that lie in a table of their own beside those of a recording: begin, end, label."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tao_lora_ros.bags.column_names import LABELS, plain_name, split_unit
from tao_lora_ros.bags.foreign_units import FACTORS, unit_named
from tao_lora_ros.bags.import_layout import Layout
from tao_lora_ros.bags.measured import Measured, label_named
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.tables import Numbers, Table, tables
from tao_lora_ros.messages.label_span import LabelSpan

_UNIT = r"(?:_(?P<unit>s|sec|secs|seconds|ms|us|ns))?"
_TIME = r"(?:_?(?:time|timestamp|stamp|ts|t))?"
_BEGIN, _END = (
    re.compile(rf"(?:(?:(?:time|timestamp|t|ts)_?)?(?:{words}){_TIME}|t_?{number}){_UNIT}")
    for words, number in (("start|begin|began|onset|from", 0), ("end|stop|until|to|finish", 1))
)
_LABEL = re.compile(rf"{LABELS.pattern}|event(?:_name|_type)?|action|name|type|segment|phase")
# What the name of such a file says besides that of the recording.
_FILE = re.compile(
    r"[ _.-]*(?:labels?|annotations?|events?|segments?|markers?|ground_?truth|gt)[ _.-]*",
    re.IGNORECASE,
)


class LabelTable(NamedTuple):
    """A table of labelled stretches.

    Args:
        table: it.
        columns: places of begin, end and label.
        unit: of the times, as the names say it; empty: they do not.
    """

    table: Table
    columns: tuple[int, int, int]
    unit: str


def label_table(table: Table) -> LabelTable | None:
    """A table as one of labels; None where it is none by the names of its columns."""
    names = [split_unit(name) for name in table.names]
    plain = [plain_name(name) for name, _ in names]
    places = []
    for pattern in (_BEGIN, _END, _LABEL):
        at = next((i for i, name in enumerate(plain) if pattern.fullmatch(name)), None)
        if at is None:
            return None
        places.append(at)
    begin = _BEGIN.fullmatch(plain[places[0]])
    unit = names[places[0]][1] or (begin["unit"] if begin else "") or ""
    return LabelTable(table, (places[0], places[1], places[2]), unit)


def label_tables_beside(files: Sequence[Path]) -> Iterator[LabelTable]:
    """Those in the folders of some files, by their own names, that are not among these.

    What names no recording, such as `labels.csv`, may be of one that is not among the files.
    """
    for folder in dict.fromkeys(file.parent for file in files):
        tables_here = sorted(folder.glob("*.csv"))
        others = [f for f in tables_here if not (f in files or _FILE.search(f.stem))]
        for beside in tables_here:
            rest = _FILE.sub("", beside.stem, count=1)
            if beside in files or rest == beside.stem or (others and not rest):
                continue
            with suppress(BagError):  # nobody asked for it
                (table,) = tables(beside, ())
                if found := label_table(table):
                    yield found


def recording_of(labels: LabelTable, named: Sequence[tuple[Path, Sequence[str]]]) -> int | None:
    """Number of the recording that labels belong to; None: to none of them.

    Args:
        labels: the labels.
        named: folder of each recording, and what it is called.

    Raises:
        BagError: they may be of several.
    """
    file = labels.table.file
    here = [i for i, (folder, _) in enumerate(named) if folder == file.parent]
    rest = _FILE.sub("", labels.table.name, count=1)
    found = [i for i in here if rest in named[i][1]] if rest else here
    if len(found) > 1:
        raise BagError(
            f"{file}: labels of which recording of {len(found)}? Call it as the one, such as "
            f"{named[found[0]][1][0]}_labels.csv"
        )
    return found[0] if found else None


def spans_by(labels: LabelTable, found: Sequence[Measured], layout: Layout) -> list[LabelSpan]:
    """The stretches, in seconds from the recording's first message.

    Their times are those of the recording, else seconds from its beginning.

    Raises:
        BagError: they are neither, or no times at all.
    """
    what, (begin, end, name) = labels.table.what, labels.columns
    times = labels.table.numbers([begin, end])
    if not len(times):
        return []
    if not np.isfinite(times).all() or (times[:, 1] < times[:, 0]).any():
        at = int(np.argmax(~(times[:, 1] >= times[:, 0])))
        pair = f"{times[at, 0]:.12g} to {times[at, 1]:.12g}"
        raise BagError(
            f"{what}: label {at + 1} is from {pair}, expected two times, one after other"
        )
    series = [s for one in found for s in one.series.values()]
    first_s = min(s.times_s[0] for s in series)
    last_s = max(s.times_s[-1] for s in series)
    seconds = _from_start(labels, times, layout, first_s, last_s)
    if seconds is None:
        raise BagError(
            f"{what}: labels from {times.min():.12g} to {times.max():.12g} are not within "
            f"{found[0].what}, {first_s:.12g} to {last_s:.12g} s, nor within its "
            f"{last_s - first_s:.3g} s: expected its times, or seconds from its beginning"
        )
    texts = [label_named(text, layout) for text in labels.table.texts(name)]
    return sorted(
        (
            LabelSpan(max(0.0, float(a)), float(b), text)
            for (a, b), text in zip(seconds, texts, strict=True)
            if text
        ),
        key=lambda span: span.start_s,
    )


def _from_start(
    labels: LabelTable,
    times: Numbers,
    layout: Layout,
    first_s: np.longdouble,
    last_s: np.longdouble,
) -> Numbers | None:
    """Times as seconds from the recording's first; None where they fit in no way."""
    said = unit_named("time", labels.unit) if labels.unit else layout.units.get("time", "")
    units = [said] if labels.unit and said else [*dict.fromkeys((said or "s", *FACTORS["time"]))]
    for start_s in (first_s, np.longdouble(0)):
        for unit in units:
            seconds = times * FACTORS["time"][unit] - start_s
            if (seconds[:, 1] >= 0).all() and (seconds[:, 0] <= last_s - first_s).all():
                return seconds
        units = [said or "s"]  # small numbers are within any recording in some unit
    return None
