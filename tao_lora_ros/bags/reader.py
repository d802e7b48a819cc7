"""Read the messages of the configured sources from a ROS 1 or ROS 2 bag, as CDR bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.typesys import Stores, get_typestore

from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.router_state import STATE_TOPIC, STATE_TYPE, state_from
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.preservation.event_record import Topic
from tao_lora_ros.signal.cdr import DecodeError
from tao_lora_ros.signal.source import SourceConfig

_METADATA = "metadata.yaml"
_EXPECTED = "expected a ROS 2 bag's folder, an .mcap or .db3 file, or a ROS 1 .bag file"
_DATA = ("*.db3", "*.mcap")  # of a ROS 2 bag's folder
WHOLE = (0.0, inf)  # from when to when of a bag, in seconds from its first message


class BagError(TaoLoraError):
    """The bag cannot be read, or lacks a topic; the text names the bag and what is wrong."""


def bag_topics(pairs: Iterable[str]) -> dict[str, str]:
    """Bag topic by source name, from texts such as `imu=/imu/data_raw`.

    Raises:
        BagError: a text is not of this form.
    """
    topics = {}
    for pair in pairs:
        name, _, topic = pair.partition("=")
        if not (name and topic):
            raise BagError(f"--topic {pair}: expected SOURCE=TOPIC")
        topics[name] = topic
    return topics


def open_bag(path: Path) -> AnyReader:
    """An opened reader of a ROS 1 or ROS 2 bag; close it.

    Raises:
        BagError: the bag is missing, cut short, or not a bag.
    """
    if not path.exists():
        raise BagError(f"{path}: no such bag")
    if path.is_dir() and not _is_bag(path):
        bags = [entry for entry in within(path) if _is_bag(entry)]
        found = f"a folder of {len(bags)} bags; name one, such as {bags[0]}" if bags else ""
        raise BagError(f"{path}: {found or f'no bag in this folder, {_EXPECTED}'}")
    for file in path.iterdir() if path.is_dir() else [path]:
        if file.exists() and not (file.is_file() or file.is_dir()):  # a FIFO would be waited for
            raise BagError(f"{file}: not a regular file")
    files = _data_files(path)
    try:
        if len(files) == 1 and not (path / _METADATA).exists():
            return _opened(files)
        try:
            return _opened([path])
        except AnyReaderError as error:
            # Files that somebody renamed are not those that metadata.yaml names.
            if "files are missing" not in str(error) or not files:
                raise
            return _opened(files)
    except Exception as error:
        raise BagError(_damage(path, "not a readable bag", error)) from error


def within(folder: Path) -> list[Path]:
    """What may be bags in a folder that is none itself."""
    if not folder.is_dir() or _is_bag(folder):
        return []
    return [e for e in sorted(folder.iterdir()) if e.is_dir() or e.suffix == ".bag"]


def _is_bag(path: Path) -> bool:
    return path.suffix == ".bag" or (path / _METADATA).exists() or bool(_data_files(path))


def _data_files(folder: Path) -> list[Path]:
    return sorted(file for pattern in _DATA for file in folder.glob(pattern))


def _damage(path: Path, what: str, error: Exception) -> str:
    """What is wrong with a bag, and the tool that may mend it.

    rosbags reports a damaged file by whatever its parsing stumbled on.
    """
    said = _one_line(error)
    file = next(iter(_data_files(path)), path)
    remedies = {
        ".bag": f"rosbag reindex {path}",
        ".mcap": f"mcap recover {file} -o recovered.mcap",
        ".db3": f"sqlite3 {file} .recover | sqlite3 recovered.db3",
    }
    remedy = remedies.get(file.suffix)
    if path.is_dir() and "metadata" in said:
        remedy = f"ros2 bag reindex {path}"
    return f"{path}: {what}: {said}; {f'to mend it: {remedy}' if remedy else _EXPECTED}"


def _opened(paths: Sequence[Path]) -> AnyReader:
    reader = AnyReader(paths, default_typestore=get_typestore(Stores.ROS2_JAZZY))
    reader.open()
    _check_metadata(reader)
    return reader


class BagReader:
    """Messages of one bag, in recorded order.

    A source's topic is the one that `topics` gives, else the one of its name, else the only one of
    its type.

    Args:
        path: ROS 2 bag folder or file, or ROS 1 `.bag` file.
        sources: the sources to read.
        topics: bag topic by source name, where it is not obvious.
        part_s: from when to when, in seconds from the first message, by the log's time.

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
            wanted = self._overrides.get(source.name)
            named = [c for c in of_type if c.topic == (wanted or f"/{source.name}")]
            found = named or ([] if wanted else of_type)
            if len({c.topic for c in found}) != 1:
                raise BagError(self._no_topic(source, wanted, of_type))
            chosen.append(found[0].topic)
        if len(set(chosen)) < len(chosen):
            raise BagError(f"{self.path}: two sources read one topic: {', '.join(sorted(chosen))}")
        return chosen

    def _no_topic(self, source: SourceConfig, wanted: str | None, of_type: list[Any]) -> str:
        there = ", ".join(sorted(f"{c.topic} ({c.msgtype})" for c in self._reader.connections))
        there = shown(there, MOST_LINE)
        if wanted:
            return f"{self.path}: no topic {wanted} of type {source.msgtype}; there are: {there}"
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
            raise BagError(_damage(self.path, "damaged bag", error)) from error

    def messages(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield source number, log time (ns) and CDR bytes, in recorded order.

        Raises:
            BagError: the bag is damaged further in.
        """
        index = {topic: i for i, topic in enumerate(self._connections)}
        chosen = [c for c in self._reader.connections if c.topic in index]
        first_ns = self._reader.start_time
        begin_s, end_s = self._part_s
        begin_ns = first_ns + round(begin_s * 1e9)
        end_ns = None if end_s == inf else first_ns + round(end_s * 1e9)
        messages = self._reader.messages(connections=chosen, start=begin_ns, stop=end_ns)
        while True:
            try:
                connection, log_ns, raw = next(messages)
                data = raw if self._reader.is2 else self._cdr(raw, connection.msgtype)
            except StopIteration:
                return
            except Exception as error:
                raise BagError(_damage(self.path, "damaged bag", error)) from error
            yield index[connection.topic], log_ns, bytes(data)

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()


def _check_metadata(reader: AnyReader) -> None:
    """Refuse a metadata.yaml with other types than its numbers and names have; nobody else does."""
    numbers = [reader.duration, reader.start_time, *(c.msgcount for c in reader.connections)]
    names = [name for c in reader.connections for name in (c.topic, c.msgtype)]
    for values, kind, expected in ((numbers, int, "a whole number"), (names, str, "a name")):
        for value in values:
            if type(value) is not kind:
                raise ValueError(f"its metadata say {value!r}, expected {expected}")


def _one_line(error: BaseException) -> str:
    return shown(" ".join(str(error).split()) or type(error).__name__, MOST_LINE)
