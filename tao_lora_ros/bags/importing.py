"""Bags from what others wrote: CSV files, arrays of NPZ files, topics of foreign types."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.columns import listed, renamed_column
from tao_lora_ros.bags.import_layout import Layout
from tao_lora_ros.bags.label_tables import (
    LabelTable,
    label_table,
    label_tables_beside,
    recording_of,
    spans_by,
)
from tao_lora_ros.bags.labels import labels_file, read_labels, write_labels
from tao_lora_ros.bags.measured import Measured, Series, joined, measured
from tao_lora_ros.bags.opening import is_bag
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.tables import LABELS, Table, table_files, tables
from tao_lora_ros.bags.topic_tables import topic_tables
from tao_lora_ros.bags.writer import SourceRecording, write_bag
from tao_lora_ros.messages.files import refusal, refuse_existing
from tao_lora_ros.messages.label_span import LabelSpan
from tao_lora_ros.messages.texts import file_name, shown
from tao_lora_ros.signal.cdr import IMU, JOINT_STATE, WRENCH
from tao_lora_ros.signal.channels import SourceConfig
from tao_lora_ros.signal.repeats import RepeatCheck
from tao_lora_ros.signal.units import SAMPLES, UnitCheck

START_NS = 1_000_000_000  # stamps begin above zero, which would read as "not set"
# What a sensor's file is called beside those of other sensors of the same recording.
_SENSOR = re.compile(
    r"(?:^|[ _.-]+)(?:total|linear|raw|log)?[ _.-]?(?:accelerometer|acceleration|accel|acc"
    r"|gyroscope|gyro|gyr|angular_?velocity|imu|wrench|fts?|forces?|torques?|joint_?states?"
    r"|efforts?)(?:uncalibrated)?(?=$|[ _.-])",
    re.IGNORECASE,
)
# topic, message type, frame, and what is in a message
_SENSORS = (
    ("/imu", IMU, "imu_link", ("accel", "gyro")),
    ("/wrench", WRENCH, "ft_sensor", ("force", "torque")),
)


class Imported(NamedTuple):
    """A bag that was written, and what there is to say of it."""

    bag: Path
    notes: list[str]


class _Group(NamedTuple):
    """Tables of one recording, and the bag that they make."""

    name: str
    tables: list[Table]
    bag: Path
    labels: LabelTable | None = None

    def __str__(self) -> str:
        return self.tables[0].what


class _Checked(NamedTuple):
    """Whether a group has a sensor and labels of rows, and the renamed columns that are there."""

    has_sensor: bool
    has_labels: bool
    used: set[str]


def one_by_one(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Items, each with what a function gives for it; what it raises ends it."""
    return ((item, work(item)) for item in items)


def import_tables(
    sources: Sequence[Path],
    out: Path,
    layout: Layout,
    force: bool = False,
    each: Callable[..., Iterator[tuple[Any, Any]]] = one_by_one,
) -> Iterator[Imported]:
    """Write a bag for each CSV file, each array of an NPZ file, or each bag of foreign types.

    What a column holds its name tells (`columns.columns_of`), and its unit, if it is none of SI;
    else the layout does. A file may have an accelerometer, a gyro, a force or a torque alone: the
    rest is not reported. Files that are called the same but for a sensor's name make one bag. A
    file `NAME.labels.csv` goes along as the labels of `NAME`, and so does a column `label`.

    All is read and checked before the first bag is written.

    Args:
        sources: CSV files, folders of them, NPZ files, bags.
        out: folder for the bags.
        layout: how to read them.
        force: write over bags that exist.
        each: as `one_by_one`; may leave out items that fail, which are picklable.

    Yields:
        The bags, one by one.

    Raises:
        BagError: nothing to import, a file is no table of numbers, a column is missing, times do
            not increase or are no seconds, or the bag exists; a bag is not left half written.
    """
    files = [file for source in sources for file in table_files(source)]
    found = [
        table for _, several in each(partial(_tables, layout=layout), files) for table in several
    ]
    labels = [one for table in found if (one := label_table(table))]
    of_labels = {one.table.what for one in labels}
    groups = _groups([table for table in found if table.what not in of_labels], out, layout)
    if not groups:
        raise BagError(f"{sources[0]}: no CSV file and no array in it")
    groups, left_out = _with_labels(groups, labels)
    groups, _ = _with_labels(groups, [*label_tables_beside([table.file for table in found])])
    checked: list[tuple[_Group, _Checked]] = list(each(partial(_check, layout=layout), groups))
    empty = [group for group, found in checked if not found.has_sensor]
    used = {name for _, found in checked for name in found.used}
    if unknown := set(layout.renames.values()) - used:
        there = {name for group in groups for table in group.tables for name in table.names}
        raise BagError(
            f"--columns: no file has a column {shown(repr(min(unknown)))}; there are: "
            f"{listed(sorted(there))}"
        )
    if layout.labels and not any(found.has_labels for _, found in checked):
        raise BagError("--label: no file has a column of labels; name it: --columns label=NAME")
    if len(empty) == len(checked):
        table = empty[0].tables[0]
        raise BagError(
            f"{table.what}: no column of a sensor; name them with --columns, such as ax=NAME; "
            f"there are: {listed(table.names)}"
        )
    good = [group for group, found in checked if found.has_sensor]
    for group in good if not force else ():
        refuse_existing(group.bag, BagError)
    left_out += [
        f"left out: {table.what}: no column of a sensor; there are: {listed(table.names)}"
        for group in empty
        for table in group.tables
    ]
    for group, notes in each(partial(_write, layout=layout), good):
        yield Imported(group.bag, [*notes, *left_out])
        left_out = []


def _tables(file: Path, layout: Layout) -> list[Table]:
    if not is_bag(file):
        return tables(file, layout.columns)
    if layout.columns:
        raise BagError(f"{file}: fields of a bag have names: --columns OURS=NAME renames them")
    return topic_tables(file, layout.topics)


def _groups(found: Sequence[Table], out: Path, layout: Layout) -> list[_Group]:
    """Tables by recording; those of one table have its own name.

    Raises:
        BagError: two bags would have one name, or no file the name that is to be merged by.
    """
    names = [table.name for table in found]
    if layout.merge and names and not any(re.search(layout.merge, name) for name in names):
        what = f"--merge {shown(layout.merge)}: in no file's name"
        raise BagError(f"{what}; there are: {listed(sorted(names))}")
    together: dict[tuple[str, Path], list[Table]] = {}
    for table in found:
        folder = Path() if layout.merge else table.file.parent
        together.setdefault((_name(table, layout), folder), []).append(table)
    named = Counter(name for name, _ in together)
    groups: dict[Path, _Group] = {}
    for (shared, folder), several in together.items():
        alone = len(several) == 1 and not (layout.merge or is_bag(several[0].file))
        name = several[0].name if alone else shared
        if named[shared] > 1:  # such as a folder of each label, with 1.csv in all of them
            name = f"{folder.resolve().name}_{name}"
        bag = out / file_name(name)
        if bag in groups:
            raise BagError(f"{several[0].what}: another one of the name {bag.name}")
        groups[bag] = _Group(name, several, bag)
    return list(groups.values())


def _with_labels(
    groups: Sequence[_Group], labels: Sequence[LabelTable]
) -> tuple[list[_Group], list[str]]:
    """Recordings with their labels, and what there is to say of labels of none.

    Raises:
        BagError: labels may be of several recordings, or a recording has several.
    """
    named = [(g.tables[0].file.parent, [g.name, *(t.name for t in g.tables)]) for g in groups]
    found, left_out = list(groups), []
    for one in labels:
        at = recording_of(one, named)
        if at is None:
            left_out.append(f"left out: {one.table.what}: labels, and no recording of its name")
        elif other := found[at].labels:
            raise BagError(f"{one.table.what}: labels of {found[at]}, as {other.table.what}")
        else:
            found[at] = found[at]._replace(labels=one)
    return found, left_out


def _name(table: Table, layout: Layout) -> str:
    """Of the bag that a table goes into."""
    if table.file.suffix == ".npz":
        return table.name
    if layout.merge:
        found = re.search(layout.merge, table.name)
        return (found[1] if found else "") or table.name
    if is_bag(table.file):
        return table.file.stem
    shared = _SENSOR.sub("", table.name, count=1).strip(" _.-")
    return shared or file_name(table.file.parent.resolve().name)


def _check(group: _Group, layout: Layout) -> _Checked:
    used = {
        theirs
        for table in group.tables
        for theirs in layout.renames.values()
        if renamed_column(theirs, table.names, table.name)
    }
    found = _read(group.tables, layout)
    has_labels = any(one.labels for one in found)
    beside = _labels_beside(group)
    if beside:
        read_labels(beside)
    if group.labels and _sources(found):
        spans_by(group.labels, found, layout)
        beside = beside or group.labels.table.file
    if beside and has_labels:
        raise BagError(f"{beside}: the table has a column 'label' too; keep one of both")
    return _Checked(bool(_sources(found)), has_labels or bool(group.labels), used)


def _read(group: Sequence[Table], layout: Layout) -> list[Measured]:
    return [found for table in group if (found := measured(table, layout))]


def _labels_beside(group: _Group) -> Path | None:
    """A file of labels of a bag, or of one of its tables."""
    found = [
        group.tables[0].file.with_name(f"{file_name(one)}{LABELS}")
        for one in (group.name, *(table.name for table in group.tables))
    ]
    return next((file for file in found if file.exists()), None)


def _write(group: _Group, layout: Layout) -> list[str]:
    """Write a bag and its labels, or nothing; returns what there is to say."""
    found, bag = _read(group.tables, layout), group.bag
    sources = _sources(found)
    beside, spans = _labels_beside(group), _label_spans(found)
    said = [*(one.source for one in found)]
    if group.labels and not beside:
        spans = spans_by(group.labels, found, layout)
        said.append(f"{group.labels.table.what}: {len(spans)} labels")
    shutil.rmtree(bag, ignore_errors=True)
    try:
        bag.parent.mkdir(parents=True, exist_ok=True)
        write_bag(sources, bag)
        if beside:
            labels_file(bag).write_bytes(beside.read_bytes())
        elif spans:
            write_labels(labels_file(bag), spans)
    except BaseException as error:
        shutil.rmtree(bag, ignore_errors=True)
        labels_file(bag).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise BagError(f"{error.filename or bag}: {refusal(error)}") from None
        raise
    return [*said, *_unused(group, found), *_doubts(sources)]


def _unused(group: _Group, found: Sequence[Measured]) -> list[str]:
    """Tables that gave nothing to a bag."""
    used = {one.what for one in found}
    return [f"not used, no sensor in it: {t.what}" for t in group.tables if t.what not in used]


def _label_spans(found: Sequence[Measured]) -> list[LabelSpan]:
    start_s = _start_s(found)
    return [span for one in found for span in one.label_spans(start_s)]


def _start_s(found: Sequence[Measured]) -> np.longdouble:
    """The time of a bag's first message."""
    return min(s.times_s[0] for one in found for s in one.series.values())


def _sources(found: Sequence[Measured]) -> list[SourceRecording]:
    """The messages of tables of one recording; none where no table has a sample.

    Raises:
        BagError: two tables have the same quantity, or they were not recorded together.
    """
    found = [one for one in found if one.series]
    if not found:
        return []
    by_quantity: dict[str, Measured] = {}
    for one in found:
        for quantity in one.series:
            if quantity in by_quantity:
                raise BagError(
                    f"{one.what}: {quantity} is in {by_quantity[quantity].what} too; leave one "
                    "out (of a bag with --topic), or say with --merge which files belong together"
                )
            by_quantity[quantity] = one
    _check_overlap(found)
    start_s = _start_s(found)
    series = {quantity: one.series[quantity] for quantity, one in by_quantity.items()}
    sources = [
        SourceRecording(topic, msgtype, frame, _stamps(both, start_s), both.values)
        for topic, msgtype, frame, halves in _SENSORS
        if {*halves} & {*series}
        for both in [joined([series.get(half) for half in halves])]
    ]
    if efforts := series.get("effort"):
        joints, stamps = by_quantity["effort"].joints, _stamps(efforts, start_s)
        sources.append(
            SourceRecording(
                "/joint_states", JOINT_STATE, "base_link", stamps, efforts.values, joints
            )
        )
    return sources


def _check_overlap(found: Sequence[Measured]) -> None:
    """Tables of one recording share some time."""
    for one in found[1:]:
        first, last = found[0].times_s[[0, -1]], one.times_s[[0, -1]]
        if first[0] > last[1] or last[0] > first[1]:
            raise BagError(
                f"{one.what}: {last[0]:.9g} to {last[1]:.9g} s, but {found[0].what} is of "
                f"{first[0]:.9g} to {first[1]:.9g} s: not one clock, or not one recording; say "
                "with --merge which files belong together"
            )


def _stamps(series: Series, start_s: np.longdouble) -> NDArray[np.int64]:
    return START_NS + np.round((series.times_s - start_s) * 1e9).astype(np.int64)


def _doubts(sources: Sequence[SourceRecording]) -> list[str]:
    """What samples say of their sensor, looked at now and then as a node does."""
    found: dict[str, None] = {}
    for source in sources:
        if source.msgtype in (IMU, WRENCH) and len(source.values) >= SAMPLES:
            config = SourceConfig(source.topic.strip("/"), source.msgtype)
            checks = UnitCheck(config), RepeatCheck(config)
            period_s = float(np.median(np.diff(source.stamps_ns))) * 1e-9
            for at in range(0, len(source.values) - SAMPLES + 1, 4 * SAMPLES):
                for check in checks:
                    for doubt in check.look(source.values[at : at + SAMPLES], period_s):
                        found[f"{source.topic}: {doubt}"] = None
    return list(found)
