"""Bags from what other tools wrote: CSV files, or the arrays of an NPZ file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.writer import SourceRecording, write_bag
from tao_lora_ros.signal.cdr import IMU, JOINT_STATE, WRENCH

START_NS = 1_000_000_000  # stamps begin above zero, which would read as "not set"
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

    Args:
        source: folder of CSV files, or an NPZ file.
        out: folder for the bags; a bag that exists is not overwritten.
        columns: names of the columns where the files have no header.

    Yields:
        The bags, one by one.

    Raises:
        BagError: nothing to import, a column is missing or no number, times do not increase, or
            the bag exists.
    """
    found = False
    for name, table, labels in _tables(source, columns):
        found = True
        bag = out / name.replace("/", "_")
        if bag.exists():
            raise BagError(f"{bag}: exists already")
        out.mkdir(parents=True, exist_ok=True)
        write_bag(_sources(name, table), bag)
        if labels is not None:
            bag.with_name(f"{bag.name}.labels.csv").write_text(labels.read_text())
        yield bag
    if not found:
        raise BagError(f"{source}: no CSV file and no array in it")


Table = dict[str, NDArray[np.float64]]


def _tables(
    source: Path, columns: Sequence[str] | None
) -> Iterator[tuple[str, Table, Path | None]]:
    if source.suffix == ".npz":
        try:
            with np.load(source, allow_pickle=False) as arrays:
                for name in sorted(arrays.files):
                    yield name, _named(f"{source}: {name}", arrays[name], columns), None
        except (OSError, ValueError) as error:
            raise BagError(f"{source}: {error}") from None
        return
    for file in sorted(source.glob("*.csv")):
        if not file.name.endswith(".labels.csv"):
            labels = file.with_name(f"{file.stem}.labels.csv")
            yield file.stem, _read_csv(file, columns), labels if labels.exists() else None


def _named(what: str, array: NDArray, columns: Sequence[str] | None) -> Table:
    names = list(array.dtype.names or columns or ())
    if not names:
        raise BagError(f"{what}: no column names; give them with --columns")
    if array.dtype.names:
        return {name: array[name].astype(np.float64) for name in names}
    if array.ndim != 2 or array.shape[1] != len(names):
        raise BagError(f"{what}: shape {array.shape}, expected [n, {len(names)}] for {names}")
    return dict(zip(names, array.astype(np.float64).T, strict=True))


def _read_csv(file: Path, columns: Sequence[str] | None) -> Table:
    with file.open(newline="") as lines:
        rows = list(csv.reader(lines))
    names = list(columns) if columns else [name.strip() for name in rows.pop(0)] if rows else []
    try:
        array = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    except ValueError as error:
        raise BagError(f"{file}: {error}; expected {len(names)} numbers a line") from None
    return dict(zip(names, array.T, strict=True))


def _sources(name: str, table: Table) -> list[SourceRecording]:
    if TIME not in table:
        raise BagError(f"{name}: no column '{TIME}'; there are: {', '.join(table)}")
    times_s = table[TIME]
    if not len(times_s) or not (np.isfinite(times_s).all() and (np.diff(times_s) > 0).all()):
        raise BagError(f"{name}: column '{TIME}' has to increase, in seconds")
    stamps = START_NS + np.round((times_s - times_s[0]) * 1e9).astype(np.int64)
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
        raise BagError(f"{name}: no column of a sensor; there are: {', '.join(table)}")
    return sources
