"""Bags from what other tools wrote: CSV files, or the arrays of an NPZ file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.labels import labels_file
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.tables import Columns, tables
from tao_lora_ros.bags.writer import SourceRecording, write_bag
from tao_lora_ros.messages.files import refuse_existing
from tao_lora_ros.messages.texts import file_name, shown
from tao_lora_ros.signal.cdr import IMU, JOINT_STATE, WRENCH

START_NS = 1_000_000_000  # stamps begin above zero, which would read as "not set"
LONGEST_STEP_S = 1.0  # of rows; slower ones are never interpolated (`max_gap_s`)
LONGEST_S = 366 * 86_400.0  # of a recording
TIME = "time"
EFFORT = "effort_"
# sensor: topic, message type, frame, and the short and the long names of its columns
_SENSORS = (
    (
        "/imu",
        IMU,
        "imu_link",
        ("ax ay az wx wy wz", "accel_x accel_y accel_z gyro_x gyro_y gyro_z"),
    ),
    (
        "/wrench",
        WRENCH,
        "ft_sensor",
        ("fx fy fz tx ty tz", "force_x force_y force_z torque_x torque_y torque_z"),
    ),
)


def import_folder(source: Path, out: Path, columns: Sequence[str] | None = None) -> Iterator[Path]:
    """Write a bag for each CSV file of a folder, or for each array of an NPZ file.

    A file may have an accelerometer, a gyro, a force or a torque alone: the rest is not reported.
    Columns are `time` (s), `ax ay az` (m/s²), `wx wy wz` (rad/s), `fx fy fz` (N), `tx ty tz` (Nm),
    or the channels' long names such as `accel_x`, and `effort_JOINT` (Nm) of any joints; others are
    left out. A file of the name `NAME.labels.csv` goes along as the labels of `NAME`.

    All is read and checked before the first bag is written.

    Args:
        source: folder of CSV files, or an NPZ file.
        out: folder for the bags; a bag that exists is not overwritten.
        columns: names of the columns where the files have no header.

    Yields:
        The bags, one by one.

    Raises:
        BagError: nothing to import, a file is no table of numbers, a column is missing, times do
            not increase or are no seconds, or the bag exists; a bag is not left half written.
    """
    names: set[str] = set()
    for name, what, table, _ in tables(source, columns):
        _sources(what, table)
        if file_name(name) in names:
            raise BagError(f"{what}: another one of the name {file_name(name)}")
        names.add(file_name(name))
    if not names:
        raise BagError(f"{source}: no CSV file and no array in it")
    for name in sorted(names):
        refuse_existing(out / name, BagError)
    for name, what, table, labels in tables(source, columns):
        bag = out / file_name(name)
        _write(_sources(what, table), bag, labels)
        yield bag


def _write(sources: Sequence[SourceRecording], bag: Path, labels: Path | None) -> None:
    """Write a bag and its labels, or nothing."""
    try:
        bag.parent.mkdir(parents=True, exist_ok=True)
        write_bag(sources, bag)
        if labels is not None:
            labels_file(bag).write_bytes(labels.read_bytes())
    except BaseException as error:
        shutil.rmtree(bag, ignore_errors=True)
        if labels is not None:
            labels_file(bag).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise BagError(f"{error.filename or bag}: {error.strerror}") from None
        raise


def _stamps(what: str, times_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Stamps of a column of times, in nanoseconds from `START_NS`."""
    if not len(times_s) or not np.isfinite(times_s).all():
        raise BagError(f"{what}: column '{TIME}' has to hold seconds")
    steps_s = np.diff(times_s)
    if not (steps_s > 0).all():
        at = int(np.argmin(steps_s > 0)) + 1
        found = f"row {at + 1} is {times_s[at]:.9g} after {times_s[at - 1]:.9g}"
        raise BagError(f"{what}: column '{TIME}' has to increase, in seconds; {found}")
    usual_s = float(np.median(steps_s)) if len(steps_s) else 0.0
    if usual_s >= LONGEST_STEP_S or times_s[-1] - times_s[0] > LONGEST_S:
        raise BagError(
            f"{what}: column '{TIME}' has steps of {usual_s:.9g} and spans "
            f"{times_s[-1] - times_s[0]:.9g}, expected seconds; are they milli- or nanoseconds?"
        )
    stamps = START_NS + np.round((times_s - times_s[0]) * 1e9).astype(np.int64)
    if not (np.diff(stamps) > 0).all():
        raise BagError(f"{what}: column '{TIME}' has steps of less than a nanosecond")
    return stamps


def _sources(name: str, table: Columns) -> list[SourceRecording]:
    if TIME not in table:
        raise BagError(f"{name}: no column '{TIME}'; there are: {_names(table)}")
    stamps = _stamps(name, table[TIME])
    sources = []
    for topic, msgtype, frame, spellings in _SENSORS:
        for spelling in spellings:
            axes = spelling.split()
            present = [axis for axis in axes if axis in table]
            if not present:
                continue
            halves = (axes[:3], axes[3:])
            missing = [a for half in halves if {*half} & {*present} for a in half if a not in table]
            if missing:
                raise BagError(f"{name}: column '{min(missing)}' is missing beside {present}")
            absent = np.full(len(stamps), np.nan)  # an accelerometer alone, a force alone
            values = np.stack([table.get(axis, absent) for axis in axes], axis=1)
            sources.append(SourceRecording(topic, msgtype, frame, stamps, values))
    if efforts := [column for column in table if column.startswith(EFFORT)]:
        values = np.stack([table[column] for column in efforts], axis=1)
        joints = tuple(column.removeprefix(EFFORT) for column in efforts)
        sources.append(
            SourceRecording("/joint_states", JOINT_STATE, "base_link", stamps, values, joints)
        )
    if not sources:
        raise BagError(f"{name}: no column of a sensor; there are: {_names(table)}")
    return sources


def _names(table: Columns) -> str:
    return shown(", ".join(table))
