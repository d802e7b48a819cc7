"""What a user says of foreign tables, where their headers do not; kept as a small YAML file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from tao_lora_ros.bags.foreign_units import FACTORS, factor_of
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.messages.files import naming, read_regular, replace_file
from tao_lora_ros.messages.texts import shown

FILE = "import.yaml"
UNUSED = "_"  # in the place of a column's name
_MOST_BYTES = 1 << 16
_HEAD = "# How `tao-lora import` read these tables. Others alike: tao-lora import ... --layout {}\n"


@dataclass(frozen=True)
class Layout:
    """How to read tables; what is empty their headers and names tell.

    Args:
        columns: names of the columns of files without a header, `UNUSED` where there is none.
        renames: their name of a column by ours.
        units: unit, or SI units a count, by quantity of `FACTORS`.
        rate_hz: of the rows, where there is no column of times; 0: there is one.
        merge: regular expression; files in whose names its first group is the same make one bag.
        labels: what a value in the column `label` is called.
        topics: of bags those that are read; none: all that hold a sensor.

    Raises:
        BagError: a value will not do.
    """

    columns: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    rate_hz: float = 0.0
    merge: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    topics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for quantity, unit in self.units.items():
            if quantity not in FACTORS:
                raise BagError(
                    f"unit of {shown(repr(quantity))}: expected one of {', '.join(FACTORS)}"
                )
            factor_of(quantity, unit)
        if not (isfinite(self.rate_hz) and self.rate_hz >= 0.0):
            raise BagError(f"rate_hz is {self.rate_hz:g}, expected rows a second")
        try:
            groups = re.compile(self.merge).groups
        except re.error as error:
            raise BagError(f"merge is {shown(repr(self.merge))}: {error}") from None
        if self.merge and not groups:
            raise BagError(f"merge is {shown(repr(self.merge))}, expected a group ( )")
        theirs = list(self.renames.values())
        if twice := [name for name in theirs if theirs.count(name) > 1]:
            raise BagError(f"column {shown(repr(twice[0]))} has two names, expected one")


def with_columns(layout: Layout, text: str) -> Layout:
    """A layout with the columns of a text.

    Args:
        layout: the rest.
        text: `time ax ay az` names columns by their place, `time=stamp ax=Acc X` by their names.
    """
    if "=" not in text:
        return _replaced(layout, columns=tuple(text.split()))
    pairs = (part.partition("=") for part in re.split(r"\s+(?=\w+=)", text.strip()))
    return _replaced(layout, renames={ours: theirs.strip() for ours, _, theirs in pairs})


def _replaced(layout: Layout, **fields: Any) -> Layout:
    return Layout(**{**asdict(layout), **fields})


def with_options(
    layout: Layout,
    columns: str | None,
    units: list[str],
    time_unit: str | None,
    rate_hz: float | None,
    merge: str | None,
    labels: list[str],
    topics: list[str],
) -> Layout:
    """A layout with what the options of the command say; pairs are `NAME=VALUE`.

    Raises:
        BagError: a value will not do.
    """
    if columns:
        layout = with_columns(layout, columns)
    times = {"time": time_unit} if time_unit else {}
    return _replaced(
        layout,
        units={**layout.units, **_pairs("--unit", units), **times},
        labels={**layout.labels, **_pairs("--label", labels)},
        rate_hz=layout.rate_hz if rate_hz is None else rate_hz,
        merge=layout.merge if merge is None else merge,
        topics=tuple(topics) or layout.topics,
    )


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise BagError(f"{option} {shown(text)}: expected NAME=VALUE")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def save_layout(layout: Layout, file: Path) -> None:
    """Write a layout, for `load_layout`; only what was said.

    Raises:
        OSError: it cannot be written.
    """
    said = {key: value for key, value in asdict(layout).items() if value}
    said = {key: list(value) if isinstance(value, tuple) else value for key, value in said.items()}
    text = yaml.safe_dump(said, sort_keys=False, allow_unicode=True) if said else ""
    replace_file(file, (_HEAD.format(file.name) + text).encode())


def load_layout(file: Path) -> Layout:
    """Read a layout.

    Raises:
        BagError: the file cannot be read, or a field will not do.
    """
    with naming(BagError, file):
        content = read_regular(file, _MOST_BYTES)
    try:
        # All scalars stay the texts that they are: `0`, `on` and `1e3` may be labels.
        found = yaml.load(content, Loader=yaml.BaseLoader) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BagError(f"{file}: not YAML: {shown(' '.join(str(error).split()))}") from None
    fields = asdict(Layout())
    if not isinstance(found, dict) or (unknown := [key for key in found if key not in fields]):
        what = f"'{shown(unknown[0])}' is unknown" if isinstance(found, dict) else "no mapping"
        raise BagError(f"{file}: {what}, expected {', '.join(fields)}")
    try:
        return Layout(**{key: _field(key, fields[key], value) for key, value in found.items()})
    except BagError as error:
        raise BagError(f"{file}: {error}") from None


def _field(key: str, like: Any, value: Any) -> Any:
    """A field of the file as the type that it has."""
    if isinstance(like, tuple) and isinstance(value, list) and _texts(value):
        return tuple(value)
    if isinstance(like, dict) and isinstance(value, dict) and _texts([*value, *value.values()]):
        return value
    if isinstance(like, str) and isinstance(value, str):
        return value
    if isinstance(like, float) and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    kind = {tuple: "names", dict: "names with values", str: "a text", float: "a number"}[type(like)]
    raise BagError(f"{key} is {shown(repr(value))}, expected {kind}")


def _texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
