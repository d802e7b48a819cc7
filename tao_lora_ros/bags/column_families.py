"""What foreign columns hold by their names and those beside them: axes, joints, times in two."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tao_lora_ros.bags.column_names import (
    AXES,
    EFFORT,
    G_AXIS,
    LETTERS,
    TIME,
    UNIT,
    WANTED,
    WORDS,
    Column,
    axis_column,
    known,
    plain_name,
    quantity_of_file,
    split_unit,
)
from tao_lora_ros.bags.foreign_units import unit_named

# What stands behind a quantity's name, and says that it is measured; of a bias it does not.
_AS = r"(?:_(?:adc|smooth|raw|filt|filtered|lpf|cal|calibrated|ln|wr|est|meas|measured|rs_s))?"
_LOOSE = {
    quantity: re.compile(
        rf"(?:.*_)?(?:{words}|[{LETTERS[quantity][0]}](?=_rs_s)){_AS}_?(?P<axis>[xyz])(_axis)?"
        rf"(_{UNIT})?|(?:.*_)?(?P<first>[xyz])_?(axis_)?(?:{words}){_AS}(_{UNIT})?"
    )
    for quantity, words in WORDS.items()
}
_MOMENT = re.compile(rf"(?:.*_)?m_?(?P<axis>[xyz])(_{UNIT})?")
_NUMBERED = re.compile(r"(?P<before>[a-z_]*?)_?(?P<number>\d{1,2})(?:_(?P<after>[a-z_]+))?")
_LOAD = re.compile(rf"(?:.*_)?(?:ft|wrench|force_torque|f_ext(?:_hat)?(?:_[a-z])?|forces?){_AS}")
_OF_A_JOINT = {"effort", "efforts", "torque", "torques", "tau", "moment", "moments"}
_INSIDE = re.compile(rf"_{UNIT}(?=_|$)")
_OF_SENSOR = re.compile(r"(?P<name>.*?[A-Za-z])[_ ]?(?P<number>\d)\s*")
_RATE = re.compile(r"w_?[xyz]")
_SPECIFIC = re.compile(r"f_?(?P<axis>[xyz])")
_NANOSECONDS = re.compile(r"(?P<of>.*?)_?(?:nanosecs?|nsecs?|nanoseconds)")


def meanings(names: Sequence[str], stem: str) -> list[Column | None]:
    """What each column holds by its name and those beside it; None: nothing that is known.

    Args:
        names: of a table's columns.
        stem: name of its file, which tells what columns are that are called `x`, `y`, `z`.
    """
    found = _meanings(names, stem)
    if not any(_has(found, quantity) for quantity in (*AXES, "effort")):
        found = _meanings(_of_one_sensor(names), stem)
    return [column and column._replace(at=at, theirs=names[at]) for at, column in enumerate(found)]


def _meanings(names: Sequence[str], stem: str) -> list[Column | None]:
    found = [known(name, stem) for name in names]
    _put(found, dict(_families(names, found, stem)))
    for quantity, pattern in _LOOSE.items():
        if not _has(found, quantity):
            _put(found, dict(_by(pattern, quantity, names, found)))
    if _has(found, "force") and not _has(found, "torque"):
        _put(found, dict(_by(_MOMENT, "torque", names, found)))
    if _has(found, "accel") and not _has(found, "gyro"):
        three = dict(_by(G_AXIS, "gyro", names, found))
        _put(found, three if len(three) == 3 else {})
    if not (_has(found, "accel") or _has(found, "torque")):
        _put(found, dict(_specific_forces(names, found)))
    _put(found, dict(_split_times(names)))
    return found


def _of_one_sensor(names: Sequence[str]) -> list[str]:
    """Names without a number at their end, where it is one and the same: that of a sensor."""
    parts = [_OF_SENSOR.fullmatch(split_unit(name)[0]) for name in names]
    if len({part["number"] for part in parts if part}) != 1:
        return list(names)
    return [
        part["name"] + name[part.end() :] if part else name
        for part, name in zip(parts, names, strict=True)
    ]


def _specific_forces(
    names: Sequence[str], found: Sequence[Column | None]
) -> Iterator[tuple[int, Column]]:
    """Inertial navigation's `f` beside `w`: the force on a mass by the mass, an acceleration."""
    plain = [plain_name(split_unit(name)[0]) for name in names]
    if sum(bool(_RATE.fullmatch(name)) for name in plain) == 3:
        for at, name in enumerate(plain):
            column = found[at]
            unit = column.unit if column else ""
            if (axis := _SPECIFIC.fullmatch(name)) and (not unit or unit_named("accel", unit)):
                yield at, axis_column("accel", axis, names[at], unit)


def _put(found: list[Column | None], more: dict[int, Column]) -> None:
    for at, column in more.items():
        found[at] = column


def _has(found: Sequence[Column | None], quantity: str) -> bool:
    return any(column and column.quantity == quantity for column in found)


def _by(
    pattern: re.Pattern[str], quantity: str, names: Sequence[str], found: Sequence[Column | None]
) -> Iterator[tuple[int, Column]]:
    """Places and columns of names that nobody knows yet and a pattern does."""
    for at, theirs in enumerate(names):
        name, unit = split_unit(theirs)
        plain = plain_name(name)
        if found[at] is None and not WANTED.search(plain):
            axis = pattern.fullmatch(plain)
            if axis and (not unit or unit_named(quantity, unit)):
                yield at, axis_column(quantity, axis, theirs, unit)


def _families(
    names: Sequence[str], found: Sequence[Column | None], stem: str
) -> Iterator[tuple[int, Column]]:
    """Places and columns of those that are called alike but for a number: axes, or joints.

    Of several families of one meaning it is the one with the shortest name.
    """
    families: defaultdict[tuple[str, str, str], dict[int, int]] = defaultdict(dict)
    for at, theirs in enumerate(names):
        name, unit = split_unit(theirs)
        plain = plain_name(name)
        bare = _INSIDE.sub("", plain)
        numbered = _NUMBERED.fullmatch(bare)
        if found[at] is None and numbered and not WANTED.search(bare):
            inside = _INSIDE.search(plain)
            unit = unit or (inside[1].replace("_s", "/s") if inside else "")
            key = numbered["before"], numbered["after"] or "", unit
            families[key][int(numbered["number"])] = at
    taken: set[str] = set()
    for before, after, unit in sorted(families, key=lambda key: len(key[0]) + len(key[1])):
        members = families[before, after, unit]
        ours = _ours(before, after, sorted(members), stem)
        if not taken & {*ours}:
            taken |= {*ours}
            for number, name in zip(sorted(members), ours, strict=False):
                yield members[number], Column(name, -1, names[members[number]], unit)


def _ours(before: str, after: str, numbers: Sequence[int], stem: str) -> Sequence[str]:
    """Our names of a family's members, in order; none: it is not known."""
    count = len(numbers)
    in_a_row = numbers[0] in (0, 1) and numbers[-1] - numbers[0] == count - 1
    words = {*before.split("_"), *after.split("_")}
    if words & _OF_A_JOINT and (after or count > 3 or words & {"effort", "efforts"}):
        return [f"{EFFORT}joint_{number}" for number in numbers]
    if after or (not in_a_row and numbers[-1] > 2):
        return []
    if count == 6 and in_a_row and _LOAD.fullmatch(before):
        return [*AXES["force"], *AXES["torque"]]
    quantity = quantity_of_file(stem) if before == "xyz" else ""
    for one, words_of in WORDS.items():
        letter = LETTERS[one] if numbers[0] == 0 else ""
        if re.fullmatch(rf"(?:.*_)?(?:{letter}{words_of}){_AS}", before):
            quantity = one
    if not quantity or count > 3:
        return []
    return AXES[quantity] if count == 3 else [AXES[quantity][n] for n in numbers if n < 3]


def _split_times(names: Sequence[str]) -> Iterator[tuple[int, Column]]:
    """Place and column of whole seconds whose nanoseconds are another column's."""
    plain = [plain_name(name) for name in names]
    for at, name in enumerate(plain):
        if found := _NANOSECONDS.fullmatch(name):
            of = f"{found['of']}_" if found["of"] else ""
            whole = [f"{of}{word}" for word in ("sec", "secs", "seconds", "s")]
            for seconds in (plain.index(one) for one in whole if one in plain):
                yield seconds, Column(TIME, -1, names[seconds], "s", at)
                return
