"""What the name of a foreign column means by itself."""

from __future__ import annotations

import re
from typing import NamedTuple

from tao_lora_ros.bags.foreign_units import unit_named

TIME = "time"
LABEL = "label"
# May be labels, which is asked; numbers that are called so are often something else.
LABELS = re.compile(
    r"labels?(_name)?|class(_name|_label)?|(target|activity|terrain|gesture|motion|state)(_name"
    r"|_label|_id)?|ground_truth|annotation"
)
EFFORT = "effort_"
AXES = {
    "accel": ("ax", "ay", "az"),
    "gyro": ("wx", "wy", "wz"),
    "force": ("fx", "fy", "fz"),
    "torque": ("tx", "ty", "tz"),
}
QUANTITY_OF = {axis: quantity for quantity, axes in AXES.items() for axis in axes}
LETTERS = {"accel": "a|", "gyro": "w|", "force": "f|", "torque": "t|"}
WORDS = {
    "accel": "(lin_?|linear_?)?(acc|accel|accels|acceleration|accelerometer)|accel_linear",
    "gyro": "gyr|gyro|gyros|gyroscope|gyro_rotation|rotation_rate|ang_?vel|omega"
    "|angular_(vel|velocity|rate)",
    "force": "force|forces",
    "torque": "torque|torques|moment|moments|tau",
}
UNIT = r"(m_s2|ms2|mps2|mss|m?g|rad(_?s)?|deg(_?s)?|m?dps|k?n|n?m?nm)"
_NAMES = {
    quantity: re.compile(
        rf"(?:.*_)?(?:{LETTERS[quantity]}{words})(_{UNIT})??_?"
        rf"(?P<axis>[xyz])(_{UNIT})?"
    )
    for quantity, words in WORDS.items()
}
_BARE = re.compile(rf"(?P<axis>[xyz])(_{UNIT})?")
G_AXIS = re.compile(r"g_?(?P<axis>[xyz])")
_G_FORCE = re.compile(r"(?:.*_)?g_?f(?:orce)?_?(?P<axis>[xyz])")
_FILES = {
    "accel": re.compile(r"(^|_)(acc|accel|total_acceleration|acceleration|accelerometer)(_|$)"),
    "gyro": re.compile(r"(^|_)(gyr|gyro|gyroscope|angular_velocity)(_|$)"),
    "force": re.compile(r"(^|_)forces?(_|$)"),
    "torque": re.compile(r"(^|_)torques?(_|$)"),
}
# What was wanted was not measured.
WANTED = re.compile(
    r"(^|_)(cmd|command|commanded|d|des|desired|goal|ref|reference|set|setpoint"
    r"|target)(_|$)"
)
# Of several columns of times the first is taken: a sensor's own stamp, before that of a log.
TIMES = (
    *("header_stamp", "time", "timestamp", "stamp", "t", "time_stamp", "unix_time", "ts"),
    *("datetime", "unix_timestamp", "epoch", "epoc", "seconds_elapsed", "elapsed", "time_elapsed"),
)
_TIME_UNIT = r"(s|sec|seconds|ms|msec|millis|us|usec|micros|ns|nsec|nanos)"
TIME_NAME = re.compile(rf"(?:field_)?(?P<name>{'|'.join(TIMES)})(?:_(?P<unit>{_TIME_UNIT}))?")
_COUNTERS = ("millis", "micros")  # Arduino's clocks, whose names are their units
_IN_BRACKETS = re.compile(r"\s*[(\[]\s*([^()\[\]]*?)\s*[)\]]\s*$")


class Column(NamedTuple):
    """A column that is used.

    Args:
        ours: `time`, `label`, an axis of `AXES`, or `effort_JOINT`.
        at: its place in the table.
        theirs: its name there.
        unit: what its name says, as it says it; empty: nothing.
        nanoseconds: place of the column that a time of whole seconds goes on in; -1: it is whole.
    """

    ours: str
    at: int
    theirs: str
    unit: str = ""
    nanoseconds: int = -1

    @property
    def quantity(self) -> str:
        """Of `foreign_units.FACTORS`."""
        return QUANTITY_OF.get(self.ours, "effort" if self.ours.startswith(EFFORT) else self.ours)


def known(theirs: str, stem: str) -> Column | None:
    """What a name means by itself, its place to be filled in."""
    name, unit = split_unit(theirs)
    if name == LABEL:
        return Column(LABEL, -1, theirs)
    if theirs.startswith(EFFORT):
        return Column(theirs, -1, theirs)
    plain = plain_name(name)
    if time := TIME_NAME.fullmatch(plain):
        return Column(TIME, -1, theirs, unit or time["unit"] or "")
    if plain in _COUNTERS:
        return Column(TIME, -1, theirs, unit or plain)
    if WANTED.search(plain):
        return None
    if axis := _G_FORCE.fullmatch(plain):  # the force on a mass over its weight
        return axis_column("accel", axis, theirs, unit or "g")
    for quantity, pattern in _NAMES.items():
        if axis := pattern.fullmatch(plain):
            return axis_column(quantity, axis, theirs, unit)
    # g may be the gyro or gravity; a unit tells
    if (axis := G_AXIS.fullmatch(plain)) and unit and unit_named("gyro", unit):
        return axis_column("gyro", axis, theirs, unit)
    if (axis := _BARE.fullmatch(plain)) and (quantity := quantity_of_file(stem)):
        return axis_column(quantity, axis, theirs, unit)
    return None


def quantity_of_file(stem: str) -> str:
    """What a file holds by its name; empty: it does not say."""
    plain = plain_name(stem)
    return next((quantity for quantity, file in _FILES.items() if file.search(plain)), "")


def axis_column(quantity: str, found: re.Match[str], theirs: str, unit: str) -> Column:
    """The column of an axis, by groups `axis` or `first` of a match, and the unit it has."""
    groups = found.groupdict()
    number = "xyz".index(groups["axis"] or groups["first"])
    suffix = next((text for text in found.groups() if text and re.fullmatch(f"_{UNIT}", text)), "")
    return Column(AXES[quantity][number], -1, theirs, unit or suffix.strip("_").replace("_s", "/s"))


def split_unit(theirs: str) -> tuple[str, str]:
    """A name, and the unit in brackets behind it; a digit there is an index."""
    found = _IN_BRACKETS.search(theirs)
    if not found or found[1].isdigit():
        return theirs, ""
    return theirs[: found.start()], found[1]


def plain_name(name: str) -> str:
    """Lower case, words apart by `_`: `linearAcceleration.x` is `linear_acceleration_x`."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")
