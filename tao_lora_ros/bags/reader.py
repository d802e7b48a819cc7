"""Read the messages of the configured sources from a ROS 1 or ROS 2 bag, as CDR bytes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore

from tao_lora_ros.bags import mcap
from tao_lora_ros.bags.opening import BagError, damage, open_bag
from tao_lora_ros.bags.unread import Unread, counts_in, unread_text, unwritten_text
from tao_lora_ros.messages.router_state import STATE_TOPIC, STATE_TYPE, state_from
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.preservation.event_record import Topic
from tao_lora_ros.signal.block import Block
from tao_lora_ros.signal.cdr import DecodeError
from tao_lora_ros.signal.source import SourceConfig

_MOST_MESSAGES = 4096  # in a block
WHOLE = (0.0, inf)  # from when to when of a bag, in seconds from its first message


def bag_topics(pairs: Iterable[str]) -> dict[str, str]:
    """Bag topic by source name, from texts such as `imu=/imu/data_raw`.

    Where bags call one sensor differently its topics are parted by commas, or in several texts.

    Raises:
        BagError: a text is not of this form.
    """
    topics: dict[str, str] = {}
    for pair in pairs:
        name, _, topic = pair.partition("=")
        if not (name and topic.strip(",")):
            raise BagError(f"--topic {pair}: expected SOURCE=TOPIC")
        topics[name] = f"{topics[name]},{topic}" if name in topics else topic
    return topics


def first_there(wanted: str, there: Container[str]) -> str:
    """Of a source's topics, parted by commas, the first that a bag has; the first, where none is.

    >>> first_there("/imu/data,/imu", ["/imu", "/wrench"])
    '/imu'
    """
    several = [topic for topic in wanted.split(",") if topic]
    return next((topic for topic in several if topic in there), several[0])


@cache
def _warn(text: str) -> None:
    logging.getLogger(__name__).warning(text)


class BagReader:
    """Messages of one bag, in recorded order.

    A source's topic is the one that `topics` gives, else the one of its name, else the only one of
    its type.

    Args:
        path: ROS 2 bag folder or file, or ROS 1 `.bag` file.
        sources: the sources to read.
        topics: bag topic by source name, where it is not obvious.
        part_s: from when to when, in seconds from the first message, by the log's time.

    Attributes:
        unread: topics that gave fewer messages than the bag holds by its own count; known once all
            are read, of a whole bag.

    Raises:
        BagError: the bag is missing, cut short, not a bag, or lacks a source's topic.
    """

    def __init__(
        self,
        path: Path,
        sources: Sequence[SourceConfig],
        topics: Mapping[str, str] | None = None,
        part_s: tuple[float, float] = WHOLE,
    ) -> None:
        self._part_s = part_s
        self.path = path
        self.unread: list[Unread] = []
        self._sources = list(sources)
        self._overrides = dict(topics or {})
        self._store = get_typestore(Stores.ROS2_JAZZY)
        if unknown := set(self._overrides) - {source.name for source in sources}:
            raise BagError(f"no source is called '{min(unknown)}'")
        self._reader = open_bag(path)
        try:
            self._check_part()
            self._connections = self._choose()
        except BagError:
            self._reader.close()
            raise

    def _check_part(self) -> None:
        begin_s, duration_s = self.begin_s, self.duration_s
        if begin_s and begin_s > duration_s:
            raise BagError(
                f"{self.path}: --from {begin_s:g} is after its end at {duration_s:.1f} s"
            )

    def _choose(self) -> list[Any]:
        """The connection of each source."""
        chosen = []
        for source in self._sources:
            of_type = [c for c in self._reader.connections if c.msgtype == source.msgtype]
            wanted = self._overrides.get(source.name, "")
            wanted = wanted and first_there(wanted, {c.topic for c in of_type})
            named = [c for c in of_type if c.topic == (wanted or f"/{source.name}")]
            found = named or ([] if wanted else of_type)
            if len({c.topic for c in found}) != 1:
                raise BagError(self._no_topic(source, wanted, of_type))
            chosen.append(found[0].topic)
        if len(set(chosen)) < len(chosen):
            raise BagError(f"{self.path}: two sources read one topic: {', '.join(sorted(chosen))}")
        return chosen

    def _no_topic(self, source: SourceConfig, wanted: str, of_type: list[Any]) -> str:
        there = ", ".join(sorted(f"{c.topic} ({c.msgtype})" for c in self._reader.connections))
        there = shown(there, MOST_LINE)
        if wanted:
            also = f"; where it has another name in each bag: --topic {source.name}=ONE,OTHER"
            return (
                f"{self.path}: no topic {wanted} of type {source.msgtype}; there are: {there}"
                f"{also * bool(of_type)}"
            )
        if of_type:
            return (
                f"{self.path}: several topics of type {source.msgtype}: "
                f"{shown(', '.join(sorted(c.topic for c in of_type)), MOST_LINE)}; "
                f"choose with --topic {source.name}=TOPIC"
            )
        return (
            f"{self.path}: no topic of type {source.msgtype} for source '{source.name}'; "
            f"there are: {there or 'none'}"
            "; a parameter file (--params-file) names the sources there are"
        )

    @property
    def topics(self) -> dict[str, str]:
        """Bag topic of each source, by the source's name."""
        names = (source.name for source in self._sources)
        return dict(zip(names, self._connections, strict=True))

    @property
    def begin_s(self) -> float:
        """Where in the bag the messages begin, in seconds from its first one."""
        return self._part_s[0]

    @property
    def recorded(self) -> list[Topic]:
        """What the bag says of each source's topic, in the order of the sources."""
        known = {(c.topic, c.msgtype): Topic.of(c) for c in self._reader.connections}
        pairs = zip(self._connections, self._sources, strict=True)
        return [known[topic, source.msgtype] for topic, source in pairs]

    @property
    def duration_s(self) -> float:
        """Seconds between the first and the last message of the bag."""
        return float(self._reader.duration) * 1e-9

    @property
    def message_count(self) -> int:
        """Messages of the sources' topics."""
        topics = set(self._connections)
        return sum(c.msgcount for c in self._reader.connections if c.topic in topics)

    def router_states(self) -> Iterator[bytes]:
        """What the router remembered before each event that was stored in this bag.

        Raises:
            BagError: the bag is damaged.
        """
        of_type = [c for c in self._reader.connections if c.msgtype == STATE_TYPE]
        found = [c for c in of_type if c.topic.endswith(f"/{STATE_TOPIC}")]
        try:
            for _, _, data in self._reader.messages(connections=found) if found else ():
                yield state_from(bytes(data))
        except Exception as error:
            raise BagError(damage(self.path, "damaged bag", error)) from error

    def messages(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield source number, log time (ns) and CDR bytes, in recorded order.

        Raises:
            BagError: the bag is damaged further in, or gives none of the messages that it holds.
        """
        index, (begin_ns, end_ns) = self._index, self._part_ns
        chosen = [c for c in self._reader.connections if (c.topic, c.msgtype) in index]
        messages = self._reader.messages(connections=chosen, start=begin_ns, stop=end_ns)
        read = [0] * len(index)
        while True:
            try:
                connection, log_ns, raw = next(messages)
                data = bytes(raw if self._reader.is2 else self._cdr(raw, connection.msgtype))
            except StopIteration:
                break
            except Exception as error:
                raise BagError(damage(self.path, "damaged bag", error)) from error
            source = index[connection.topic, connection.msgtype]
            read[source] += 1
            yield source, log_ns, data
        self._compare(read)

    @property
    def _index(self) -> dict[tuple[str, str], int]:
        """The source of each topic and message type: a topic may have messages of others too."""
        pairs = zip(self._connections, self._sources, strict=True)
        return {(topic, source.msgtype): i for i, (topic, source) in enumerate(pairs)}

    @property
    def _others(self) -> Counter[tuple[str, str]]:
        """Messages of other types on the sources' topics."""
        there = [c for c in self._reader.connections if c.topic in self._connections]
        index = self._index
        pairs = [((c.topic, c.msgtype), c.msgcount) for c in there]
        return Counter({pair: count for pair, count in pairs if count and pair not in index})

    @property
    def _part_ns(self) -> tuple[int, int | None]:
        """From which log time to which."""
        first_ns = self._reader.start_time
        begin_s, end_s = self._part_s
        end_ns = None if end_s == inf else first_ns + round(end_s * 1e9)
        return first_ns + round(begin_s * 1e9), end_ns

    def _compare(self, read: Sequence[int]) -> None:
        """Look for what a whole bag holds and did not give."""
        if self._part_s != WHOLE:
            return
        try:
            held = counts_in(self.path, self._reader)
        except Exception as error:
            raise BagError(damage(self.path, "damaged metadata", error)) from error
        for (topic, _), count in self._others.items():
            held[topic] -= count
        pairs = zip(self._connections, read, strict=True)
        found = [Unread(topic, count, held.get(topic, 0)) for topic, count in pairs]
        self.unread = [topic for topic in found if topic.read < topic.expected]
        if self.unread and not sum(read):
            raise BagError(unread_text(self.path, self.unread))

    @property
    def damage(self) -> str:
        """What could not be read, and what may mend it; empty where nothing is known of that."""
        texts = [unread_text(self.path, self.unread)] if self.unread else []
        texts += [
            f"{self.path}: {topic}: {count} messages of type {kind} are not read"
            for (topic, kind), count in self._others.items()
        ]
        return "; ".join(texts) or unwritten_text(self.path)

    def warn(self) -> None:
        """Log the damage, once a process, where there is no other place for it."""
        if damage := self.damage:
            _warn(damage)

    def blocks(self) -> Iterator[Block]:
        """The same in pieces.

        Raises:
            BagError: the bag is damaged further in.
        """
        part_ns = self._part_ns
        chunks = mcap.chunks_of(self._reader, self._index, *part_ns)
        if chunks is None:
            messages = self.messages()
            while piece := list(islice(messages, _MOST_MESSAGES)):
                yield Block.of(piece)
            return
        read = np.zeros(len(self._sources), np.int64)
        blocks = mcap.blocks_of(chunks, *part_ns)
        while True:
            try:
                block = next(blocks)
            except StopIteration:
                break
            except Exception as error:
                raise BagError(damage(self.path, "damaged bag", error)) from error
            read += np.bincount(block.sources, minlength=len(read))
            yield block
        self._compare(read.tolist())

    def first_stamp_ns(self) -> int:
        """Stamp of the first message that has one: what labels count from.

        Raises:
            BagError: there is none.
        """
        decoders = [config.decoder() for config in self._sources]
        for index, log_ns, data in self.messages():
            decode = decoders[index]
            try:
                return (decode(data).stamp_ns if decode else log_ns) or log_ns
            except DecodeError:
                continue
        raise BagError(f"{self.path}: no usable message")

    def _cdr(self, ros1: bytes, msgtype: str) -> memoryview:
        return self._store.ros1_to_cdr(ros1, msgtype)

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()


def renamed(
    bags: Sequence[Path], sources: Sequence[SourceConfig], topics: Mapping[str, str]
) -> list[str]:
    """A line on each source that has another topic in one bag than in another.

    Raises:
        BagError: as of `BagReader`.
    """
    found: dict[str, dict[str, list[str]]] = {source.name: {} for source in sources}
    for bag in bags if len(bags) > 1 else ():
        with BagReader(bag, sources, topics) as reader:
            for name, topic in reader.topics.items():
                found[name].setdefault(topic, []).append(bag.name)
    return [
        f"{name} is {shown(_named_in(places), MOST_LINE)}: taken for one sensor; where it is not, "
        f"--topic {name}=TOPIC"
        for name, places in found.items()
        if len(places) > 1
    ]


def _named_in(places: Mapping[str, Sequence[str]]) -> str:
    """Topics and their bags, such as `/imu in 3 bags, /imu/data in walk`."""
    return ", ".join(
        f"{topic} in {bags[0] if len(bags) == 1 else f'{len(bags)} bags'}"
        for topic, bags in places.items()
    )
