"""Which columns of a foreign table are which channels, by their names."""

from __future__ import annotations

from collections.abc import Sequence

from tao_lora_ros.bags.column_families import meanings
from tao_lora_ros.bags.column_names import (
    AXES,
    EFFORT,
    LABEL,
    QUANTITY_OF,
    TIME,
    TIME_NAME,
    TIMES,
    Column,
    known,
    plain_name,
    split_unit,
)
from tao_lora_ros.bags.foreign_units import unit_named
from tao_lora_ros.bags.import_layout import UNUSED, Layout
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.messages.texts import MOST_LINE, shown


def columns_of(
    what: str, names: Sequence[str], stem: str, layout: Layout, own_times: bool = False
) -> dict[str, Column]:
    """The columns that are used, by our names for them.

    Args:
        what: the table, in an error.
        names: of its columns.
        stem: name of its file, which tells what columns are that are called `x`, `y`, `z`.
        layout: what the user says of them.
        own_times: the column `time` is that of the times, whatever others there are.

    Raises:
        BagError: a name is unknown, or several columns are one channel.
    """
    found: dict[str, Column] = {}
    for ours, theirs in layout.renames.items():
        if not (ours in (TIME, LABEL) or ours in QUANTITY_OF or ours.startswith(EFFORT)):
            there = ", ".join(axis for axes in AXES.values() for axis in axes)
            raise BagError(
                f"no column is called {shown(repr(ours))}; expected {TIME}, {LABEL}, {there}, "
                f"{EFFORT}JOINT"
            )
        if column := renamed_column(theirs, names, stem):
            found[ours] = column._replace(ours=ours)
    renamed = set(layout.renames)
    taken = {column.at for column in found.values()}
    open_names = [UNUSED if at in taken else name for at, name in enumerate(names)]
    for column in meanings(open_names, stem):
        if column is None or column.ours in renamed:
            continue
        if own_times and column.ours == TIME and column.theirs != TIME:
            continue
        other = found.get(column.ours)
        found[column.ours] = column if other is None else _better(what, other, column)
    return found


def renamed_column(theirs: str, names: Sequence[str], stem: str) -> Column | None:
    """The column of a name, with or without the unit behind it; None where there is none."""
    at = next((i for i, n in enumerate(names) if theirs in (n, split_unit(n)[0])), None)
    if at is None:
        return None
    alone = known(names[at], stem)
    unit = alone.unit if alone else split_unit(names[at])[1]
    return Column("", at, names[at], unit)


def unit_of(what: str, column: Column, layout: Layout) -> str:
    """Unit of a column: what the user says, else its own name, else SI's, which is empty.

    Raises:
        BagError: the name says one that is unknown.
    """
    quantity = column.quantity
    if quantity in layout.units:
        return layout.units[quantity]
    unit = unit_named(quantity, column.unit) if column.unit else ""
    if unit is None:
        option = "--time-unit UNIT" if quantity == TIME else f"--unit {quantity}=UNIT"
        raise BagError(
            f"{what}: column {shown(repr(column.theirs))}: unknown unit; give it with {option}"
        )
    return unit


def _better(what: str, one: Column, other: Column) -> Column:
    """Of two columns of one meaning the one whose name is the plainer."""
    if one.theirs == other.theirs:
        raise BagError(f"{what}: column {shown(repr(one.theirs))} is there 2 times")
    if one.ours == TIME:
        return min(one, other, key=_rank)
    exact = [c for c in (one, other) if c.theirs == c.ours]
    if len(exact) == 1:
        return exact[0]
    names = " and ".join(shown(repr(c.theirs)) for c in (one, other))
    raise BagError(
        f"{what}: columns {names} may both be '{one.ours}': choose with --columns {one.ours}=NAME"
    )


def _rank(column: Column) -> int:
    found = TIME_NAME.fullmatch(plain_name(split_unit(column.theirs)[0]))
    return TIMES.index(found["name"]) if found else 0


def listed(names: Sequence[str]) -> str:
    """Names of columns, for an error."""
    return shown(", ".join(names), MOST_LINE // 2)
