"""Which columns of a foreign table are which channels, by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tao_lora_ros.bags.foreign_units import unit_named
from tao_lora_ros.bags.import_layout import UNUSED, Layout
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.messages.texts import MOST_LINE, shown

TIME = "time"
LABEL = "label"
EFFORT = "effort_"
AXES = {
    "accel": ("ax", "ay", "az"),
    "gyro": ("wx", "wy", "wz"),
    "force": ("fx", "fy", "fz"),
    "torque": ("tx", "ty", "tz"),
}
QUANTITY_OF = {axis: quantity for quantity, axes in AXES.items() for axis in axes}
_WORDS = {
    "accel": "a|acc|accel|accels|acceleration|accelerometer",
    "gyro": "w|gyr|gyro|gyros|gyroscope|gyro_rotation|rotation_rate|angular_(velocity|rate)|omega",
    "force": "f|force|forces",
    "torque": "t|torque|torques|moment|tau",
}
_UNIT = r"(m_s2|ms2|mps2|mss|m?g|rad(_?s)?|deg(_?s)?|m?dps|k?n|n?m?nm)"
_NAMES = {
    quantity: re.compile(rf"(?:.*_)?(?:{words})(_{_UNIT})??_?(?P<axis>[xyz012])(_{_UNIT})?")
    for quantity, words in _WORDS.items()
}
_BARE = re.compile(rf"(?P<axis>[xyz])(_{_UNIT})?")
_G = re.compile(r"g_?(?P<axis>[xyz])")
_FILES = {
    "accel": re.compile(r"(^|_)(acc|accel|total_acceleration|acceleration|accelerometer)(_|$)"),
    "gyro": re.compile(r"(^|_)(gyr|gyro|gyroscope|angular_velocity)(_|$)"),
    "force": re.compile(r"(^|_)forces?(_|$)"),
    "torque": re.compile(r"(^|_)torques?(_|$)"),
}
# Of several columns of times the first is taken: a sensor's own stamp, before that of a log.
_TIMES = (
    *("header_stamp", "time", "timestamp", "stamp", "t", "time_stamp", "unix_time"),
    *("datetime", "unix_timestamp", "epoch", "epoc", "seconds_elapsed", "elapsed", "time_elapsed"),
)
_TIME_UNIT = r"(s|sec|seconds|ms|msec|millis|us|usec|micros|ns|nsec|nanos)"
_TIME_NAME = re.compile(rf"(?:field_)?(?P<name>{'|'.join(_TIMES)})(?:_(?P<unit>{_TIME_UNIT}))?")
_IN_BRACKETS = re.compile(r"\s*[(\[]\s*([^()\[\]]*?)\s*[)\]]\s*$")


class Column(NamedTuple):
    """A column that is used.

    Args:
        ours: `time`, `label`, an axis of `AXES`, or `effort_JOINT`.
        at: its place in the table.
        theirs: its name there.
        unit: what its name says, as it says it; empty: nothing.
    """

    ours: str
    at: int
    theirs: str
    unit: str = ""

    @property
    def quantity(self) -> str:
        """Of `foreign_units.FACTORS`."""
        return QUANTITY_OF.get(self.ours, "effort" if self.ours.startswith(EFFORT) else self.ours)


def columns_of(what: str, names: Sequence[str], stem: str, layout: Layout) -> dict[str, Column]:
    """The columns that are used, by our names for them.

    Args:
        what: the table, in an error.
        names: of its columns.
        stem: name of its file, which tells what columns are that are called `x`, `y`, `z`.
        layout: what the user says of them.

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
    for at, theirs in enumerate(names):
        column = None if at in taken or theirs == UNUSED else _known(theirs, stem)
        if column is None or column.ours in renamed:
            continue
        column = column._replace(at=at)
        other = found.get(column.ours)
        found[column.ours] = column if other is None else _better(what, other, column)
    return found


def renamed_column(theirs: str, names: Sequence[str], stem: str) -> Column | None:
    """The column of a name, with or without the unit behind it; None where there is none."""
    at = next((i for i, n in enumerate(names) if theirs in (n, _split_unit(n)[0])), None)
    if at is None:
        return None
    known = _known(names[at], stem)
    unit = known.unit if known else _split_unit(names[at])[1]
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


def _known(theirs: str, stem: str) -> Column | None:
    """What a name means, its place to be filled in."""
    name, unit = _split_unit(theirs)
    if name == LABEL:
        return Column(LABEL, -1, theirs)
    if theirs.startswith(EFFORT):
        return Column(theirs, -1, theirs)
    plain = _plain(name)
    if time := _TIME_NAME.fullmatch(plain):
        return Column(TIME, -1, theirs, unit or time["unit"] or "")
    for quantity, pattern in _NAMES.items():
        if axis := pattern.fullmatch(plain):
            return _axis(quantity, axis, theirs, unit)
    # g may be the gyro or gravity; a unit tells
    if (axis := _G.fullmatch(plain)) and unit and unit_named("gyro", unit):
        return _axis("gyro", axis, theirs, unit)
    if axis := _BARE.fullmatch(plain):
        for quantity, pattern in _FILES.items():
            if pattern.search(_plain(stem)):
                return _axis(quantity, axis, theirs, unit)
    return None


def _axis(quantity: str, found: re.Match[str], theirs: str, unit: str) -> Column:
    number = "xyz012".index(found["axis"]) % 3
    suffix = next((text for text in found.groups() if text and text.startswith("_")), "")
    return Column(AXES[quantity][number], -1, theirs, unit or suffix.strip("_").replace("_s", "/s"))


def _split_unit(theirs: str) -> tuple[str, str]:
    """A name, and the unit in brackets behind it; a digit there is an index."""
    found = _IN_BRACKETS.search(theirs)
    if not found or found[1].isdigit():
        return theirs, ""
    return theirs[: found.start()], found[1]


def _plain(name: str) -> str:
    """Lower case, words apart by `_`: `linearAcceleration.x` is `linear_acceleration_x`."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")


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
    found = _TIME_NAME.fullmatch(_plain(_split_unit(column.theirs)[0]))
    return _TIMES.index(found["name"]) if found else 0


def listed(names: Sequence[str]) -> str:
    """Names of columns, for an error."""
    return shown(", ".join(names), MOST_LINE // 2)
