"""Which sources a bag holds, where nobody names them: found by type."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader

from tao_lora_ros.bags.opening import BagError, open_bag
from tao_lora_ros.bags.reader import first_there
from tao_lora_ros.bags.topic_tables import sensors_in
from tao_lora_ros.engine.settings import Settings, read_settings
from tao_lora_ros.engine.sources import default_sources, with_sources
from tao_lora_ros.signal.cdr import BARE_WRENCH, FORCE, IMU, JOINT_STATE, WRENCH
from tao_lora_ros.signal.source import WRENCH_TYPES

# A Vector3Stamped may be anything; one of these in its topic says that it is a force.
_FORCE_WORDS = ("force", "wrench", "ft_")
_LOOK = 50  # messages in which a frame or an effort shows
_DEFAULT_NAMES = {IMU: "imu", JOINT_STATE: "joint_states"}
_SOURCE_NAMES = {"imu", "wrench", "joint_states"}
_NAME_OF_TYPE = {msgtype: name for name, msgtype in WRENCH_TYPES.items()}


@dataclass(frozen=True)
class Discovery:
    """The sources of a bag.

    Args:
        settings: with these sources, the rest as it was.
        topics: bag topic by source name.
        notices: what the bag holds besides of sensors, in types that are not read.
    """

    settings: Settings
    topics: dict[str, str]
    notices: tuple[str, ...] = ()


def discover(bag: Path, settings: Settings, topics: Mapping[str, str]) -> Discovery:
    """All IMUs and wrenches of a bag; joint efforts where it has neither.

    Topics of one type and one frame are one sensor twice, such as raw and filtered: which of them
    to take is asked for.

    Args:
        bag: the bag.
        settings: all but the sources.
        topics: bag topic by source name, where the user chose one; other topics of its type are
            left out.

    Raises:
        BagError: the bag cannot be read, holds no such topic, or several of one sensor; or a name
            is none of a source.
    """
    with closing(open_bag(bag)) as reader:
        there = {c.topic for c in reader.connections if c.msgcount}
        topics = {name: first_there(wanted, there) for name, wanted in topics.items()}
        chosen = _chosen(bag, reader, topics)
        if not chosen:
            held = ", ".join(sorted({f"{c.topic} ({c.msgtype})" for c in reader.connections}))
            idle = [c.topic for c in reader.connections if c.msgtype == JOINT_STATE and c.msgcount]
            none = f", all of {idle[0]} are 0, NaN or absent" if idle else ""
            raise BagError(
                f"{bag}: no Imu, no wrench, no joint with an effort{none} (what is in another "
                f"type `tao-lora import {bag} --out BAGS` may find; a node needs it published as "
                f"{IMU} or {WRENCH}); there are: {held or 'none'}"
            )
        joints = {
            topic: _joints(reader, topic) for topic, kind in chosen.items() if kind == JOINT_STATE
        }
        notices = tuple(_besides(bag, reader, chosen))
    names = _names(chosen, {topic: name for name, topic in topics.items()})
    return Discovery(
        _settings(settings, chosen, names, joints),
        {names[topic]: topic for topic in chosen},
        notices,
    )


def _besides(bag: Path, reader: AnyReader, chosen: Mapping[str, str]) -> Iterator[str]:
    kinds = {c.topic: c.msgtype for c in reader.connections if c.msgcount}
    for topic, kind in sorted(kinds.items()):
        other = topic not in chosen and kind not in (IMU, WRENCH, BARE_WRENCH, JOINT_STATE)
        if other and (held := sensors_in(reader, topic, kind)):
            yield (
                f"not read: {', '.join(held)} in {topic} ({kind}): "
                f"`tao-lora import {bag} --out BAGS` makes a bag of it that is"
            )


def sources_in(bag: Path, params_file: Path | None, topics: Mapping[str, str]) -> Discovery:
    """The sources of a parameter file where it names any, else those that a bag holds.

    Raises:
        BagError: as `discover`.
        SettingsError: the parameter file is wrong.
    """
    settings = read_settings(params_file)
    if default_sources(settings):
        return discover(bag, settings, topics)
    return Discovery(settings, dict(topics))


def _chosen(bag: Path, reader: AnyReader, topics: Mapping[str, str]) -> dict[str, str]:
    """Message type by topic, of the sources."""
    if unknown := set(topics) - _SOURCE_NAMES:
        raise BagError(
            f"no source is called '{min(unknown)}'; there are: {', '.join(sorted(_SOURCE_NAMES))}"
        )
    wanted = set(topics.values())
    there = {c.topic: c.msgtype for c in reader.connections if c.msgcount}
    if missing := wanted - there.keys():
        raise BagError(f"{bag}: no topic {min(missing)}; there are: {', '.join(sorted(there))}")
    named = {there[topic] for topic in wanted}
    loads = {topic: kind for topic, kind in there.items() if _is_load_or_imu(topic, kind)}
    found = {t: k for t, k in loads.items() if t in wanted or k not in named}
    found |= {topic: there[topic] for topic in wanted}
    if not found:
        states = [topic for topic, kind in there.items() if kind == JOINT_STATE]
        found = {topic: JOINT_STATE for topic in states if _joints(reader, topic)}
    _check_frames(bag, reader, {t: k for t, k in found.items() if t not in wanted})
    return dict(sorted(found.items()))


def _is_load_or_imu(topic: str, kind: str) -> bool:
    if kind == FORCE:
        return any(word in topic.lower() for word in _FORCE_WORDS)
    return kind in (IMU, WRENCH, BARE_WRENCH)


def _check_frames(bag: Path, reader: AnyReader, found: Mapping[str, str]) -> None:
    groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    kinds = Counter(found.values())
    for topic, kind in found.items():
        # BARE_WRENCH and JOINT_STATE name no frame of their own.
        if kinds[kind] > 1 and kind not in (BARE_WRENCH, JOINT_STATE):
            groups[kind, _frame(reader, topic)].append(topic)
    for (kind, frame), topics in groups.items():
        if len(topics) > 1:
            name = _DEFAULT_NAMES.get(kind, "wrench")
            raise BagError(
                f"{bag}: several topics of type {kind} in frame '{frame}': "
                f"{', '.join(sorted(topics))}; choose with --topic {name}=TOPIC"
            )


def _messages(reader: AnyReader, topic: str) -> Iterator[Any]:
    connections = [c for c in reader.connections if c.topic == topic]
    with suppress(Exception):  # a damaged bag, which whoever reads it whole tells
        # Of a long bag none may be readable, such as where it holds no definitions.
        for connection, _, raw in islice(reader.messages(connections=connections), _LOOK):
            with suppress(Exception):  # a damaged message, at whatever parsing stumbles on
                yield reader.deserialize(raw, connection.msgtype)


def _frame(reader: AnyReader, topic: str) -> str:
    """Of the topic's first readable message; its own name where there is none in the first few."""
    message = next(_messages(reader, topic), None)
    return message.header.frame_id if message else topic


def _joints(reader: AnyReader, topic: str) -> list[str]:
    """Joints with an effort that is a number, and not 0 all the time, in order of their names."""
    found: set[str] = set()
    for message in _messages(reader, topic):
        if len(message.effort) == len(message.name):
            found |= {
                name
                for name, effort in zip(message.name, message.effort, strict=True)
                if effort and isfinite(effort) and "." not in name and "," not in name
            }
    return sorted(found)


def _names(chosen: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Source name by topic: the given one, `imu` or `wrench` for an only one, else the topic's."""
    kinds = [_DEFAULT_NAMES.get(kind, "wrench") for kind in chosen.values()]
    return {
        topic: given.get(topic) or (name if kinds.count(name) == 1 else topic.strip("/"))
        for topic, name in zip(chosen, kinds, strict=True)
    }


def _settings(
    settings: Settings,
    chosen: Mapping[str, str],
    names: Mapping[str, str],
    joints: Mapping[str, list[str]],
) -> Settings:
    wrenches = [topic for topic, kind in chosen.items() if kind in _NAME_OF_TYPE]
    return with_sources(
        settings,
        imus={names[topic]: "both" for topic, kind in chosen.items() if kind == IMU},
        wrenches=[names[topic] for topic in wrenches],
        wrench_types=[_NAME_OF_TYPE[chosen[topic]] for topic in wrenches],
        joints={names[topic]: found for topic, found in joints.items()},
    )
