"""Topics of a bag as tables, one column a field: for sensors in types that no source has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Nodetype

from tao_lora_ros.bags.column_families import meanings
from tao_lora_ros.bags.column_names import AXES, EFFORT, TIME, WANTED, plain_name
from tao_lora_ros.bags.field_times import FieldClock, times_by
from tao_lora_ros.bags.opening import BagError, damage, open_bag
from tao_lora_ros.bags.tables import Numbers, Table
from tao_lora_ros.signal.cdr import JOINT_STATE

_MOST_ENTRIES = 64  # of an array: what has more is a picture, or points
_STAMP = "stamp.sec", "stamp.nanosec"
_STAMPED = ""  # the name of no field
_COVARIANCE = "_covariance"  # begins with -1 where a sensor does not report (REP-145)
_WRAPPERS = ("data", "vector")  # say nothing; the topic does


def topic_tables(bag: Path, topics: Sequence[str] = ()) -> list[Table]:
    """A table of each topic that has messages, or of some, with columns such as `imu.accel.x`.

    Its column `time` holds the stamps; where there are none, or they are 0, the times by a field
    that is a clock (`field_times`), else the log's times. A field `time` is called `field.time`.

    Raises:
        BagError: the bag cannot be read, has no such topic, or the definition of no type in it.
    """
    with closing(open_bag(bag)) as reader:
        kinds = {c.topic: c.msgtype for c in reader.connections if c.msgcount}
        if missing := set(topics) - kinds.keys():
            raise BagError(f"{bag}: nothing on {min(missing)}, but on {', '.join(sorted(kinds))}")
        found = [
            _table(bag, reader, topic, kinds[topic], topic in topics or not _commands(topic))
            for topic in topics or sorted(kinds)
        ]
    if not kinds:
        raise BagError(f"{bag}: no messages in it")
    if not any(table.names or _commands(table.name) for table in found):
        raise BagError(
            f"{bag}: no definition of {', '.join(sorted(set(kinds.values())))}: "
            "`ros2 bag convert` to mcap where these are installed writes them into the bag"
        )
    return found


def sensors_in(reader: AnyReader, topic: str, kind: str) -> list[str]:
    """What the messages of a topic hold of sensors, by the definition of their type alone."""
    if _commands(topic):
        return []
    names = [_named(name, topic) for name in _defined(reader, (Nodetype.NAME, kind), "")]
    return sorted(_meant(names, topic))


def _meant(names: Sequence[str], topic: str) -> set[str]:
    """The quantities of sensors among the fields of a topic."""
    known = {column.quantity for column in meanings(names, topic) if column}
    return known & {*AXES, "effort"}


def _commands(topic: str) -> bool:
    """Whether a topic holds by its name what was wanted, not what was measured."""
    return bool(WANTED.search(plain_name(topic)))


def _defined(reader: AnyReader, node: Any, name: str) -> Iterator[str]:
    """The fields of a type whose number is always the same, called as those of its messages."""
    form, about = node
    if form is Nodetype.BASE:
        yield name
    elif form is Nodetype.ARRAY:
        for at in range(about[1] if about[1] <= _MOST_ENTRIES else 0):
            yield from _defined(reader, about[0], f"{name}[{at}]")
    elif form is Nodetype.NAME and about in reader.typestore.fielddefs:
        for field, inner in reader.typestore.fielddefs[about][1]:
            yield from _defined(reader, inner, f"{name}.{field}" if name else field)


def _table(bag: Path, reader: AnyReader, topic: str, kind: str, is_read: bool) -> Table:
    what, rows = f"{bag}: {topic} ({kind})", []
    try:
        rows = list(_rows(reader, topic, most=1)) if is_read else []
    except Exception:  # whatever rosbags stumbles on where it knows no such type
        what = f"{what[:-1]}, which no definition in the bag tells how to read)"
    if not is_read:
        what = f"{what[:-1]}, commands by its name, which --topic reads)"
    names = [name for row in rows for name in row if name != _STAMPED]
    by: FieldClock | str = ""
    if _meant(names, topic):
        by = "times of the headers" if rows[0][_STAMPED] else _times_by(bag, reader, topic, names)
    clock, counted = (by, ()) if isinstance(by, str) else (by.said, by.names)
    numbers = partial(_numbers, bag, topic, by, names)
    texts = partial(_texts, bag, topic, by, names)
    return Table(topic.strip("/"), bag, what, names, numbers, texts, clock, counted)


def _numbers(
    bag: Path, topic: str, by: FieldClock | str, names: Sequence[str], places: Sequence[int]
) -> Numbers:
    rows = _sorted_rows(bag, topic, by)
    wanted = [names[at] for at in places]
    return np.array([[row.get(name, np.nan) for name in wanted] for row in rows], np.longdouble)


def _texts(bag: Path, topic: str, by: FieldClock | str, names: Sequence[str], at: int) -> list[str]:
    return [str(row.get(names[at], "")) for row in _sorted_rows(bag, topic, by)]


def _times_by(bag: Path, reader: AnyReader, topic: str, names: Sequence[str]) -> FieldClock | str:
    try:
        return times_by(_rows(reader, topic), names[1:])
    except Exception as error:
        raise BagError(damage(bag, "damaged bag", error)) from error


def _sorted_rows(bag: Path, topic: str, by: FieldClock | str) -> list[dict[str, Any]]:
    try:
        with closing(open_bag(bag)) as reader:
            return sorted(_rows(reader, topic, by), key=lambda row: row[TIME])
    except BagError:
        raise
    except Exception as error:
        raise BagError(damage(bag, "damaged bag", error)) from error


def _rows(
    reader: AnyReader, topic: str, by: FieldClock | str = "", most: int | None = None
) -> Iterator[dict[str, Any]]:
    """The fields of each message by their names, its time in seconds, and whether it is stamped.

    What has no stamp has its time by a field, or the log's.
    """
    connections = [c for c in reader.connections if c.topic == topic]
    for number, (connection, log_ns, raw) in enumerate(reader.messages(connections=connections)):
        if number == most:
            return
        message = reader.deserialize(raw, connection.msgtype)
        efforts = {f"{EFFORT}{joint}": effort for joint, effort in _efforts(message)}
        leaves = {k: v for k, v in _leaves(message) if not (efforts and k.startswith("effort["))}
        stamp = [
            [leaves.pop(name) for name in list(leaves) if name.endswith(part)] for part in _STAMP
        ]
        seconds = next((s + n / np.longdouble(10**9) for s, n in zip(*stamp, strict=True) if s), 0)
        named = {_named(name, topic): value for name, value in leaves.items()}
        if TIME in named:
            named[f"field.{TIME}"] = named.pop(TIME)
        came_s = by.seconds(named) if isinstance(by, FieldClock) else log_ns / np.longdouble(10**9)
        yield {TIME: seconds or came_s, **named, **efforts, _STAMPED: bool(seconds)}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if is_dataclass(value):
        own = {field.name: getattr(value, field.name) for field in fields(value)}
        for field, inner in own.items():
            said = own.get(f"{field}{_COVARIANCE}", (0.0,))
            if said[0] != -1.0 and not field.endswith((_COVARIANCE, "__")):
                yield from _leaves(inner, f"{name}.{field}" if name else field)
    elif isinstance(value, (list, np.ndarray)):
        for at, entry in enumerate(value if len(value) <= _MOST_ENTRIES else ()):
            yield from _leaves(entry, f"{name}[{at}]")
    else:
        yield name, value


def _efforts(message: Any) -> Iterator[tuple[str, float]]:
    """By the names of the joints, which are in the message and not in its definition."""
    if message.__msgtype__ == JOINT_STATE and len(message.effort) == len(message.name):
        yield from zip(message.name, message.effort, strict=True)


def _named(name: str, topic: str) -> str:
    """A field's name; that of the topic for one that says nothing of what it holds."""
    wrapper = next((w for w in _WRAPPERS if name.startswith(w) and name[len(w) :][:1] in ".["), "")
    return topic + name[len(wrapper) :] if wrapper else name
