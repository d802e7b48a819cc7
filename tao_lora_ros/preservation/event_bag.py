"""Events as a ROS 2 bag: mcap and metadata.yaml, for `ros2 bag`, Foxglove and rosbags alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer

from tao_lora_ros.messages.from_message import event_from
from tao_lora_ros.messages.raw_data import RawMessages, RawSamples
from tao_lora_ros.messages.texts import error_line
from tao_lora_ros.preservation.event_record import (
    EVENT_SAMPLES,
    OWN_TYPES,
    TRANSIENT_EVENT,
    EventRecord,
    StoreError,
    Topic,
)
from tao_lora_ros.preservation.mcap_messages import write_messages
from tao_lora_ros.preservation.message_types import message_types

_FRAMING_BYTES = 64  # a message's mcap record and index entry, rounded up
_TOPIC_BYTES = 1024  # a topic, and each offered QoS: twice in an mcap and once in the metadata
_FIXED_BYTES = 96 * 1024  # definitions (twice in an mcap), metadata, the folder, rounding to blocks

# Of metadata.yaml's custom data: by how many ns a source's stamps are late. A lag is a day at most.
_LAG, _MOST_LAG_NS = "tao_lora_lag_ns/", 86_400 * 10**9

_Timed = tuple[int, bytes]  # log time in ns, CDR


def write_bag(records: Sequence[EventRecord], folder: Path) -> int:
    """Write events and all that was received around them, byte for byte, on the same topics.

    Log times are those of `RawMessages`, an event's that of its newest message. What several events
    hold is written once.

    Returns:
        The number of messages.

    Raises:
        OSError: the folder cannot be written.
    """
    writer = bag_writer(folder)
    for raw in (raw for record in records for raw in record.event.raw if raw.lag_ns):
        writer.set_custom_data(_LAG + raw.source, str(raw.lag_ns))
    rows = []
    with writer:
        for topic, messages in _by_topic(records):
            connection = add_topic(writer, topic)
            rows += [(time_ns, connection, data) for time_ns, data in messages]
        # What has the same time stays as it is: in order of arrival, an event last.
        write_messages(writer, sorted(rows, key=itemgetter(0)))
    return sum(writer.counts.values())


def bag_writer(folder: Path) -> Writer:
    """A writer of a compressed mcap bag, which is to be opened yet."""
    # Humble reads metadata up to version 8, and every later distribution reads that too.
    writer = Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    return writer


def add_topic(writer: Writer, topic: Topic) -> Connection:
    """Have an open bag know a topic."""
    return writer.add_connection(
        topic.name, topic.msgtype, typestore=message_types(), offered_qos_profiles=topic.qos
    )


def _by_topic(records: Sequence[EventRecord]) -> Iterator[tuple[Topic, list[_Timed]]]:
    """Every topic with its messages, the events' own last."""
    parts: dict[tuple[str, str], list[tuple[Topic, list[_Timed]]]] = {}

    def add(topic: Topic, messages: list[_Timed]) -> None:
        parts.setdefault((topic.name, topic.msgtype), []).append((topic, messages))

    for record in records:
        for topic, messages in record.received:
            add(topic, list(zip(messages.times_ns.tolist(), messages.data, strict=True)))
    for record in records:
        for topic, message in record.published:
            add(topic, [(_last_ns(record), message)])
    for found in parts.values():
        # The publishers of a topic may have come later than the first event.
        yield (
            max((topic for topic, _ in found), key=lambda topic: len(topic.qos)),
            _union([messages for _, messages in found]),
        )


def _union(parts: list[list[_Timed]]) -> list[_Timed]:
    """Each message as often as the part has it that has it most often."""
    union = Counter(parts[0])
    for part in parts[1:]:
        union |= Counter(part)
    return parts[0] if len(parts) == 1 else list(union.elements())


def _last_ns(record: EventRecord) -> int:
    times = [messages.times_ns for _, messages in record.received]
    return max([record.event.end_ns, *(int(t[-1]) for t in times if len(t))])


def read_bag(folder: Path) -> EventRecord:
    """Read the event of a bag that `write_bag` wrote from one record.

    Raises:
        StoreError: the bag cannot be read or holds no event.
    """
    return count_and_read(folder)[1]


def count_and_read(folder: Path) -> tuple[int, EventRecord]:
    """How many messages a bag holds, and its event.

    Raises:
        StoreError: the bag cannot be read or holds no event.
    """
    # rosbags reports a damaged file by whatever its parsing stumbled on.
    try:
        with AnyReader([folder]) as reader:
            found: dict[int, list[_Timed]] = {c.id: [] for c in reader.connections}
            for connection, time_ns, data in reader.messages():
                found[connection.id].append((time_ns, bytes(data)))
            topics = {connection.id: Topic.of(connection) for connection in reader.connections}
            count, held = sum(map(len, found.values())), reader.message_count
            if count < held:
                raise ValueError(f"{count} of {held} messages read")
            # Ours come last. An earlier version's samples were in the event.
            own = {topic.msgtype: id for id, topic in topics.items() if topic.msgtype in OWN_TYPES}
            published = [(topics[id], found.pop(id)[0][1]) for id in own.values()]
            # By the bag's own definition: an earlier version's had other fields.
            said: dict[str, Any] = {
                topic.msgtype: reader.deserialize(data, topic.msgtype) for topic, data in published
            }
            custom = _custom_data(reader)
        event = event_from(said[TRANSIENT_EVENT], said.get(EVENT_SAMPLES))
        event = replace(event, raw=tuple(replace(r, lag_ns=_lag_ns(custom, r)) for r in event.raw))
        received = tuple((topics[id], _messages(rows)) for id, rows in found.items())
        return count, EventRecord(event, tuple(published), received)
    except Exception as error:
        raise StoreError(f"{folder}: not readable: {error_line(error)}") from error


def _custom_data(reader: AnyReader) -> Mapping[str, str]:
    """What metadata.yaml says beyond what every bag's does."""
    first = reader.readers[0]
    return (first.storage.metadata.custom or {}) if isinstance(first, Reader) else {}


def _lag_ns(custom: Mapping[str, str], raw: RawSamples) -> int:
    """What `write_bag` said of a source's lag; an earlier version said nothing.

    Raises:
        ValueError: it is no lag.
    """
    lag_ns = int(custom.get(_LAG + raw.source, 0))
    if abs(lag_ns) > _MOST_LAG_NS:
        raise ValueError(f"a lag of {raw.source} of {lag_ns} ns")
    return lag_ns


def _messages(rows: list[_Timed]) -> RawMessages:
    times_ns = np.array([time_ns for time_ns, _ in rows], dtype=np.int64)
    return RawMessages(times_ns, tuple([data for _, data in rows]))


def largest_size(record: EventRecord) -> int:
    """Bytes on disk that an event takes at most: as if nothing could be compressed."""
    size = _FIXED_BYTES
    for topic, message in record.published:
        size += len(message) + _FRAMING_BYTES + _TOPIC_BYTES * (1 + len(topic.qos))
    for topic, messages in record.received:
        size += _TOPIC_BYTES * (1 + len(topic.qos))
        size += sum(map(len, messages.data)) + _FRAMING_BYTES * len(messages.data)
    return size
