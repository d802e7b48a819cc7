"""What the store knows of an event without opening its bag, and its line of JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from sys import intern
from typing import Any

from tao_lora_ros.messages.results import Kind, Size
from tao_lora_ros.messages.texts import encodable, shown

MOST_NUMBER = 10**15  # of events and messages; more than any disk takes
_FOLDER = re.compile(r"(\d{6,16})_\w+", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_INT64 = 2**63


def number_in(folder: str) -> int | None:
    """The number that the name of an event's folder begins with; None where it is no such name."""
    match = _FOLDER.fullmatch(folder)
    return int(match[1]) if match and 0 < int(match[1]) <= MOST_NUMBER else None


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index knows of an event.

    `number` counts the events of this store, over restarts; `sequence` is the node's own. Times
    are ns; `channels` holds (name, share); `messages`, `size` (bytes) and `sha256` are those of
    the mcap file in `folder` (relative to the store's `events/`). What `Size` has, None where not
    measured, stands last.
    """

    number: int
    folder: str
    sequence: int
    onset_ns: int
    peak_ns: int
    end_ns: int
    peak_score: float
    kind: int
    regime_change: bool
    label: str
    probability: float
    channels: tuple[tuple[str, float], ...]
    messages: int
    size: int
    sha256: str
    peak_force: float | None = None
    impulse: float | None = None
    peak_torque: float | None = None
    acceleration_change: float | None = None
    mean_load: float | None = None
    reason: str = ""

    @property
    def measured(self) -> Size:
        """How hard the event was, as far as is known here."""
        return Size.of_row(asdict(self) | {"duration": (self.end_ns - self.onset_ns) * 1e-9})

    @property
    def mcap(self) -> str:
        """Path of the mcap file relative to `events/`."""
        return f"{self.folder}/{self.folder}.mcap"

    def to_json(self) -> str:
        """One line of JSON, without its newline."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Entry:
        """Undo `to_json`.

        Raises:
            ValueError: the text is not such an entry; a field of it is named.
        """
        return cls.from_row(parsed(text))

    @classmethod
    def from_row(cls, row: Any) -> Entry:
        """The entry of parsed JSON; fields that a later version may have added are passed over.

        Raises:
            ValueError: a field is missing, of the wrong type or out of range.
        """
        if not isinstance(row, dict):
            raise ValueError(f"not an entry: {shown(row)}")
        for name, (fits, expected) in _CHECKS.items():
            if name in _LATER and name not in row:
                continue
            if name not in row:
                raise ValueError(f"not an entry: '{name}' is missing")
            if not fits(row[name]):
                raise ValueError(f"'{name}' is {shown(repr(row[name]))}, expected {expected}")
        if number_in(row["folder"]) != row["number"]:
            raise ValueError(f"'folder' is {row['folder']}, expected one of number {row['number']}")
        known = {field.name: row[field.name] for field in fields(cls) if field.name in row}
        # All events have the same few channels: their names are kept once.
        known["channels"] = tuple((intern(name), float(share)) for name, share in row["channels"])
        known["mean_load"] = known.get("mean_load") or None  # earlier versions: 0 of a blow
        return cls(**known)


def parsed(text: str | bytes) -> Any:
    """What a line of JSON says.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def whole(low: int, high: int) -> Callable[[Any], bool]:
    """Test for a whole number in a range; `true` is none, though Python counts it as 1."""
    return lambda value: type(value) is int and low <= value <= high


def _text(value: Any) -> bool:
    return isinstance(value, str) and encodable(value)


def _number(value: Any) -> bool:
    """NaN and infinity too: a score may be, and what the store has written it has to read."""
    try:
        return type(value) in (int, float) and bool(float(value) or True)
    except OverflowError:
        return False


def _channels(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and _text(pair[0]) and _number(pair[1])
        for pair in value
    )


_SIZES = ("peak_force", "impulse", "peak_torque", "acceleration_change", "mean_load")
_LATER = (*_SIZES, "reason")  # not in entries of earlier versions
_TIME = whole(-_INT64, _INT64 - 1), "nanoseconds"
_COUNT = whole(0, MOST_NUMBER), f"0 to {MOST_NUMBER}"
_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "number": (whole(1, MOST_NUMBER), f"1 to {MOST_NUMBER}"),
    "folder": (lambda v: isinstance(v, str) and number_in(v) is not None, "NUMBER_TIME"),
    "sequence": (whole(0, _INT64 - 1), "a whole number"),
    "onset_ns": _TIME,
    "peak_ns": _TIME,
    "end_ns": _TIME,
    "peak_score": (_number, "a number"),
    "kind": (whole(0, max(Kind)), f"0 to {max(Kind):d}"),
    "regime_change": (lambda v: isinstance(v, bool), "true or false"),
    "label": (_text, "a text"),
    "reason": (_text, "a text"),
    "probability": (_number, "a number"),
    "channels": (_channels, "pairs of a name and a number"),
    "messages": _COUNT,
    "size": _COUNT,
    "sha256": (lambda v: isinstance(v, str) and bool(_SHA256.fullmatch(v)), "64 digits of SHA-256"),
    **dict.fromkeys(_SIZES, (lambda v: v is None or _number(v), "a number or null")),
}
