"""What a foreign table holds of sensors, in seconds and SI units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.column_names import AXES, EFFORT, LABEL, LABELS, TIME, Column, plain_name
from tao_lora_ros.bags.columns import columns_of, listed, unit_of
from tao_lora_ros.bags.foreign_units import FACTORS, factor_of
from tao_lora_ros.bags.import_layout import Layout
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import spans_of
from tao_lora_ros.bags.tables import Table
from tao_lora_ros.messages.label_span import LabelSpan
from tao_lora_ros.messages.texts import shown

Numbers = NDArray[np.float64]
Times = NDArray[np.longdouble]

LONGEST_STEP_S = 1.0  # of rows; slower ones are never interpolated (`max_gap_s`)
LONGEST_S = 366 * 86_400.0  # of a recording
_ROUNDING = 0.02  # of a period: what float32 does to the times of some minutes
MOST_REPEATED = 0.1  # of the stamps; more are rounded too coarsely
BRIDGED = 1.5  # usual steps of a sensor, between which its values are interpolated
_FASTEST_HZ = 50_000.0
_EARLIEST_S, _LATEST_S = 7.0e8, 4.0e9  # since 1970, of recordings: 1992 to 2096


@dataclass(frozen=True)
class Series:
    """Samples of one quantity: times_s [n], increasing, and values [n, axes], SI units."""

    times_s: Times
    values: Numbers

    def at(self, times_s: Times) -> Numbers:
        """Values at other times, [m, axes]: interpolated, NaN where the samples are too far."""
        own = self.times_s
        bridged_s = BRIDGED * float(np.median(np.diff(own))) if len(own) > 1 else 0.0
        after = np.clip(np.searchsorted(own, times_s), 0, len(own) - 1)
        before = np.clip(after - (own[after] > times_s), 0, len(own) - 1)
        near = (own[before] <= times_s) & (times_s <= own[after])
        near &= own[after] - own[before] <= bridged_s
        since, known = (times_s - own[0]).astype(np.float64), (own - own[0]).astype(np.float64)
        found = np.stack([np.interp(since, known, axis) for axis in self.values.T], axis=1)
        found[~near] = np.nan
        return found


@dataclass(frozen=True)
class Measured:
    """A table's samples.

    Args:
        what: the table, in an error.
        series: by quantity of `AXES`, and `effort`.
        joints: of the efforts.
        times_s: of the rows, [n].
        labels: of the rows; empty where there is no such column.
        source: what was taken from where.
    """

    what: str
    series: dict[str, Series]
    joints: tuple[str, ...]
    times_s: Times
    labels: list[str]
    source: str

    def label_spans(self, start_s: np.longdouble) -> Iterator[LabelSpan]:
        """Stretches of rows of one label, from half a step before to half a step behind them."""
        if not self.labels:
            return
        half_s = float(np.median(np.diff(self.times_s))) / 2 if len(self.times_s) > 1 else 0.0
        for span in spans_of(self.labels):
            if span.label:
                begin_s, end_s = map(float, self.times_s[[span.first, span.end - 1]] - start_s)
                yield LabelSpan(max(0.0, begin_s - half_s), end_s + half_s, span.label)


def measured(table: Table, layout: Layout) -> Measured | None:
    """Read the sensors of a table; None where it has none.

    Raises:
        BagError: a column is missing or holds no numbers, or the times are none.
    """
    columns = columns_of(table.what, table.names, table.name, layout, bool(table.clock))
    wanted = _wanted(table, columns)
    if not wanted:
        return None
    names = [name for axes in wanted.values() for name in axes]
    if not layout.rate_hz:
        names = [TIME, *names]
        if TIME not in columns:
            raise BagError(
                f"{table.what}: no column '{TIME}'; name it with --columns {TIME}=NAME, or say "
                f"--rate-hz; there are: {listed(table.names)}"
            )
    units = {name: unit_of(table.what, columns[name], layout) for name in names}
    values = table.numbers([columns[name].at for name in names])
    if names[0] == TIME and not units[TIME]:
        units[TIME] = _since_1970(values[:, 0])
    values *= [_factor(columns[name], unit) for name, unit in units.items()]
    if names[0] == TIME and columns[TIME].nanoseconds >= 0:
        values[:, :1] += table.numbers([columns[TIME].nanoseconds]) / 10**9
    if layout.rate_hz:
        times_s, kept = (
            np.arange(len(values)) / np.longdouble(layout.rate_hz),
            np.ones(len(values), bool),
        )
    else:
        copied = np.concatenate(([False], (values[1:] == values[:-1]).all(axis=1)))
        times_s, kept = _seconds(table.what, columns[TIME], units[TIME], values[:, 0], copied)
    at = {name: i for i, name in enumerate(names)}
    absent = np.full((len(values), 1), np.nan)
    values = np.hstack((values, absent))[kept]
    series = {
        quantity: _series(
            times_s[kept], values[:, [at.get(axis, -1) for axis in AXES.get(quantity, axes)]]
        )
        for quantity, axes in wanted.items()
    }
    labels = _labels(table, columns[LABEL].at, layout) if LABEL in columns else []
    return Measured(
        table.what,
        {quantity: found for quantity, found in series.items() if len(found.times_s)},
        tuple(name.removeprefix(EFFORT) for name in wanted.get("effort", ())),
        times_s[kept],
        [label for label, keep in zip(labels, kept, strict=False) if keep],
        _told(table, columns, units, times_s, kept),
    )


def _wanted(table: Table, columns: dict[str, Column]) -> dict[str, list[str]]:
    """Our names of the columns of each quantity that is there."""
    found = {quantity: [a for a in axes if a in columns] for quantity, axes in AXES.items()}
    found["effort"] = [name for name in columns if name.startswith(EFFORT)]
    for quantity, axes in AXES.items():
        missing = [axis for axis in axes if axis not in found[quantity]]
        # a load cell may have an axis alone, an accelerometer or a gyro has three
        if missing and found[quantity] and quantity in ("accel", "gyro"):
            raise BagError(
                f"{table.what}: column '{missing[0]}' is missing beside {found[quantity]}; name "
                f"it with --columns {missing[0]}=NAME; there are: {listed(table.names)}"
            )
    return {quantity: names for quantity, names in found.items() if names}


def _factor(column: Column, unit: str) -> float:
    return factor_of(column.quantity, unit) if unit else 1.0


def _since_1970(times: Times) -> str:
    """The unit in which times are of these decades, and a sensor's; empty: none, or seconds."""
    first = times[0] if len(times) else np.nan
    step = float(np.median(np.diff(times))) if len(times) > 1 else np.nan
    fits = (
        unit
        for unit, factor in FACTORS["time"].items()
        if _EARLIEST_S < first * factor < _LATEST_S and step * factor < LONGEST_STEP_S
    )
    found = next(fits, "")
    return "" if found == "s" else found


def _series(times_s: Times, values: Times) -> Series:
    """The rows in which anything is there."""
    there = ~np.isnan(values).all(axis=1)
    return Series(times_s[there], values[there].astype(np.float64))


def _seconds(
    what: str, column: Column, unit: str, times_s: Times, copied: NDArray[np.bool_]
) -> tuple[Times, NDArray[np.bool_]]:
    """Times, checked, and which rows do not repeat the one before, as all do that are `copied`."""
    name = column.theirs
    called = f"{what}: column '{TIME}'" + (f" ({name!r})" if name != TIME else "")
    if not len(times_s) or not np.isfinite(times_s).all():
        raise BagError(f"{called} has to hold seconds in every row")
    steps_s = np.diff(times_s)
    if (steps_s < 0).any():
        at = int(np.argmax(steps_s < 0)) + 1
        found = f"row {at + 1} is {times_s[at]:.9g} after {times_s[at - 1]:.9g}"
        raise BagError(f"{called} has to increase, in seconds; {found}")
    kept = np.concatenate(([True], steps_s > 0))
    if np.count_nonzero(~kept & ~copied) > MOST_REPEATED * len(kept):
        raise BagError(
            f"{called}: {np.count_nonzero(~kept)} of {len(kept)} rows have the time of the row "
            "before: rounded too coarsely? Say --rate-hz instead"
        )
    usual_s = float(np.median(steps_s[kept[1:]])) if kept[1:].any() else 0.0
    if usual_s >= LONGEST_STEP_S and unit:
        raise BagError(f"{called}: rows come every {usual_s:.3g} s, too seldom to find anything in")
    if usual_s >= LONGEST_STEP_S or times_s[-1] - times_s[0] > LONGEST_S:
        raise BagError(
            f"{called} has steps of {usual_s:.9g} and spans {times_s[-1] - times_s[0]:.9g}, "
            f"expected seconds{_likely(usual_s)}"
        )
    if usual_s and 1 / usual_s > 1e9:
        raise BagError(f"{called} has steps of less than a nanosecond")
    return _regular(times_s, kept), kept


def _regular(times_s: Times, kept: NDArray[np.bool_]) -> Times:
    """Times at a whole rate, without the rounding of their own where they have no more than that.

    Rounded times jitter about a grid of their rate, which then has two samples in one row and none
    in the next: both take off high frequencies.
    """
    steps = np.arange(len(times_s))
    seconds = float(times_s[-1] - times_s[0])
    rate_hz = round(steps[-1] / seconds) if seconds and kept.all() else 0
    if not rate_hz:
        return times_s
    regular = times_s[0] + steps / np.longdouble(rate_hz)
    return regular if np.abs(times_s - regular).max() * rate_hz < _ROUNDING else times_s


def _likely(step: float) -> str:
    """The time units in which such a step is one of a sensor."""
    rates = {unit: 1 / (step * factor) for unit, factor in FACTORS["time"].items()}
    fits = [unit for unit, hz in rates.items() if 1 / LONGEST_STEP_S < hz <= _FASTEST_HZ]
    named = [f"--time-unit {unit} ({rates[unit]:.3g} Hz)" for unit in fits]
    return f"; say {' or '.join(named)}?" if named else ""


def _labels(table: Table, at: int, layout: Layout) -> list[str]:
    """Of each row; a number that is whole is called so, `1.0` as `1`."""
    return [label_named(text, layout) for text in table.texts(at)]


def label_named(text: str, layout: Layout) -> str:
    """What a label is called, by a text in a table; empty: there is none."""
    try:
        name = f"{float(text):g}"
    except ValueError:
        name = text
    return "" if name == "nan" else layout.labels.get(name, name)


def _told(
    table: Table,
    columns: dict[str, Column],
    units: dict[str, str],
    times_s: Times,
    kept: NDArray[np.bool_],
) -> str:
    steps_s = np.diff(times_s[kept])
    rate = f", {1 / np.median(steps_s):.4g} Hz" if len(steps_s) else ""
    parts = [
        name
        + (f"={columns[name].theirs}" if columns[name].theirs != name else "")
        + (f" in {unit}" if unit and not columns[name].unit else "")
        for name, unit in units.items()
    ]
    if LABEL in columns:
        parts.append(LABEL)
    used = {columns[name].at for name in [*units, *({LABEL} & columns.keys())]}
    own_times = TIME in units and columns[TIME].theirs == TIME
    counted = table.counted if own_times else ()
    unused = [
        name
        for at, name in enumerate(table.names)
        if name and at not in used and name not in counted
    ]
    labels = [n for n in unused if LABELS.fullmatch(plain_name(n)) and LABEL not in columns]
    repeated = np.count_nonzero(~kept)
    return (
        f"{table.what}: {len(times_s)} rows{rate}: {', '.join(parts)}"
        + (f"; {table.clock}" if table.clock and own_times else "")
        + (f"; {repeated} rows with the time of the row before left out" if repeated else "")
        + (f"; not used: {listed(unused)}" if unused else "")
        + (f"; labels? --columns {LABEL}={shown(labels[-1])} takes them" if labels else "")
    )


def joined(halves: Sequence[Series | None]) -> Series:
    """A sensor's two quantities as one series, NaN where one is absent.

    They are taken at the times of the one with more samples; the other is interpolated.
    """
    base = max((half for half in halves if half), key=lambda half: len(half.times_s))
    absent = np.full((len(base.times_s), 3), np.nan)
    parts = [
        absent if half is None else half.values if half is base else half.at(base.times_s)
        for half in halves
    ]
    return Series(base.times_s, np.concatenate(parts, axis=1))
