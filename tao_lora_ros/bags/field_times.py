"""Times of messages without a header, by a field of their own: `timestamp`, `t`, `stamp_us`.

The log's times, at which messages came, tell whether a field is a clock at all and what it counts;
its own times have no jitter of the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.column_names import TIME, plain_name
from tao_lora_ros.bags.foreign_units import FACTORS
from tao_lora_ros.bags.tables import Numbers

# What a field's name may say that holds a time: that it does, or in what unit at its end.
_NAME = re.compile(
    r"(?:.*_)?(?:time|times|timestamp|stamp|tstamp|t|ts|tick|ticks|clock|epoch|millis|micros)(?:_.*)?"
    r"|.*_(?:[mun]?secs?|[mun]s)"
)
_PAIR = ("sec", "nanosec")
_FEWEST = 8  # messages
_REPEATED = 0.1  # of the times; what has more is too coarse
_OVERTAKEN = 0.1  # of the messages; a clock goes on
# How far a clock may go from the log's: by the messages' ways, and of the time that passes.
_APART_S, _APART = 0.05, 0.02
_MOST = 5, 95  # percent of the messages, between which that is looked at
_SAME_S = 5.0  # a clock that is no further off than this is the log's own
_DRIFT_S = 60.0  # from so long a recording on it is known how much faster a clock goes


class FieldClock(NamedTuple):
    """How a field's numbers become seconds.

    Args:
        names: of the field, or of the two with whole seconds and nanoseconds.
        factor: seconds a count.
        offset_s: what is added, where the field counts from another time than the log.
        said: what a user is told of it.
    """

    names: tuple[str, ...]
    factor: np.longdouble
    offset_s: np.longdouble
    said: str

    def seconds(self, fields: Mapping[str, Any]) -> np.longdouble:
        """The time of a message, by its fields."""
        return _counted([fields.get(name, np.nan) for name in self.names]) * self.factor + (
            self.offset_s
        )


def times_by(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> FieldClock | str:
    """The clock of messages, or where no field is one, what to say of the log's times.

    Args:
        rows: the fields of each message, with the log's time (s) as `TIME`, in their order.
        names: of the fields.
    """
    asked = _asked(names)
    if not asked:
        return "times of the log, no stamps"
    log_s, values = [], []
    for row in rows:
        log_s.append(row[TIME])
        values.append([row.get(name, np.nan) for name in chain.from_iterable(asked)])
    known = np.array(log_s, np.longdouble)
    at = 0
    for found in asked:
        columns = [[row[at + i] for row in values] for i in range(len(found))]
        at += len(found)
        if clock := _clock(found, columns, known):
            return clock
    called = ", ".join(_called(found) for found in asked)
    return f"times of the log, no stamps: {called} does not go with it"


def _asked(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Fields that may be times, the likeliest first: pairs, then those of the shortest name."""
    whole, part = (f".{word}" for word in _PAIR)
    stems = [n.removesuffix(whole) for n in names if n.endswith(whole)]
    pairs = [(f"{s}{whole}", f"{s}{part}") for s in stems if f"{s}{part}" in names]
    if set(_PAIR) <= {*names}:
        pairs.insert(0, _PAIR)
    paired = {name for pair in pairs for name in pair}
    alone = [n for n in names if n not in paired and _NAME.fullmatch(plain_name(n))]
    return [*pairs, *((name,) for name in sorted(alone, key=len))]


def _called(names: Sequence[str]) -> str:
    return names[0].removesuffix(f".{_PAIR[0]}") if len(names) > 1 else names[0]


def _clock(names: tuple[str, ...], columns: Sequence[Any], log_s: Numbers) -> FieldClock | None:
    """The clock that some fields are; None: they are none."""
    try:
        own = _counted([np.array(column, np.longdouble) for column in columns])
    except (TypeError, ValueError):  # a text
        return None
    steps = np.diff(own)
    good = len(own) >= _FEWEST and np.isfinite(own).all() and np.mean(steps < 0) <= _OVERTAKEN
    if not good or np.mean(steps == 0) > _REPEATED:
        return None
    units = {"s": FACTORS["time"]["s"]} if len(names) > 1 else FACTORS["time"]
    apart = {unit: _apart_s(log_s - own * factor) for unit, factor in units.items()}
    unit = min(apart, key=lambda one: apart[one])
    passed_s = float(log_s[-1] - log_s[0])
    if apart[unit] > min(_APART_S + _APART * passed_s, passed_s / 2):
        return None
    factor = np.longdouble(units[unit])
    said = f"times by {_called(names)}" + f" in {unit}" * (len(names) == 1)
    off_s = log_s - own * factor
    if abs(float(np.median(off_s))) < _SAME_S:
        return FieldClock(names, factor, np.longdouble(0), said)
    if passed_s > _DRIFT_S:
        since = (own - own[0]) * factor
        drift = np.polyfit(since.astype(np.float64), (off_s - off_s[0]).astype(np.float64), 1)[0]
        factor *= 1 + np.longdouble(drift)
        off_s = log_s - own * factor
    return FieldClock(names, factor, off_s.min(), f"{said}, set by the log's clock")


def _apart_s(off_s: NDArray[Any]) -> float:
    least, most = np.percentile((off_s - off_s[0]).astype(np.float64), _MOST)
    return float(most - least)


def _counted(parts: Sequence[Any]) -> Any:
    """A count, of its whole seconds and nanoseconds where it is in two."""
    whole = parts[0] * np.longdouble(1)
    return whole + parts[1] / np.longdouble(10**9) if len(parts) > 1 else whole
