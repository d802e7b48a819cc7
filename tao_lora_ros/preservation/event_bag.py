"""Events as a ROS 2 bag: mcap and metadata.yaml, for `ros2 bag`, Foxglove and rosbags alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from tao_lora_ros.preservation.event_messages import (
    EVENTS_TOPIC,
    TRANSIENT_EVENT,
    event_message,
    message_type,
    message_types,
    record_from,
    sample_messages,
    topic_of,
)
from tao_lora_ros.preservation.event_record import EventRecord, StoreError
from tao_lora_ros.preservation.outlier_buffer import RawSamples
from tao_lora_ros.signal.cdr import IMU, WRENCH

_FRAMING_BYTES = 96  # a message's CDR header, mcap record and index entry, rounded up
_FIXED_BYTES = 96 * 1024  # definitions (twice in an mcap), metadata, the folder, rounding to blocks


def write_bag(records: Sequence[EventRecord], folder: Path) -> int:
    """Write events and their samples; log time is the header's stamp, an event's its last sample's.

    A sample that several events hold is written once.

    Returns:
        The number of messages.

    Raises:
        StoreError: a source is of no known type.
        OSError: the folder cannot be written.
    """
    raws = merged([raw for record in records for raw in record.raw])
    # Humble reads metadata up to version 8, and every later distribution reads that too.
    writer = Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        topics = {(topic_of(raw), message_type(raw)): None for raw in raws}
        keys = [*topics, (EVENTS_TOPIC, TRANSIENT_EVENT)]
        connections = {k: writer.add_connection(*k, typestore=message_types()) for k in keys}
        for stamp_ns, key, data in _messages(raws, records):
            writer.write(connections[key], stamp_ns, data)
    return sum(writer.counts.values())


def _messages(
    raws: Sequence[RawSamples], records: Sequence[EventRecord]
) -> Iterator[tuple[int, tuple[str, str], bytes]]:
    """Stamp (ns), (topic, type) and CDR of every message, by stamp; an event after its samples."""
    keys = [(topic_of(raw), message_type(raw)) for raw in raws]
    tables = [sample_messages(raw) for raw in raws]
    late = [(_last_ns(record), record) for record in records]
    late.sort(key=lambda item: item[0], reverse=True)
    stamps = np.concatenate([raw.stamps_ns for raw in raws] or [np.zeros(0, np.int64)])
    which = np.repeat(np.arange(len(raws)), [len(raw.stamps_ns) for raw in raws])
    rows = np.concatenate([np.arange(len(raw.stamps_ns)) for raw in raws] or [which])
    for at in np.argsort(stamps, kind="stable"):
        while late and late[-1][0] < stamps[at]:
            yield _event(*late.pop())
        source = which[at]
        yield int(stamps[at]), keys[source], tables[source][rows[at]].tobytes()
    while late:
        yield _event(*late.pop())


def _event(stamp_ns: int, record: EventRecord) -> tuple[int, tuple[str, str], bytes]:
    return stamp_ns, (EVENTS_TOPIC, TRANSIENT_EVENT), event_message(record)


def _last_ns(record: EventRecord) -> int:
    return max(
        [record.end_ns, *(int(raw.stamps_ns[-1]) for raw in record.raw if len(raw.stamps_ns))]
    )


def merged(raws: Sequence[RawSamples]) -> list[RawSamples]:
    """One entry a source and frame, by stamp; a sample equal in stamp and values is kept once."""

    def key(raw: RawSamples) -> tuple[str, str, tuple[str, ...]]:
        return raw.source, raw.frame_id, raw.channels

    order = list(dict.fromkeys(map(key, raws)))
    groups = groupby(sorted(raws, key=lambda raw: order.index(key(raw))), key)
    return [_union(list(group)) for _, group in groups]


def _union(raws: list[RawSamples]) -> RawSamples:
    first = raws[0]
    if len(raws) == 1:
        return first
    stamps = np.concatenate([raw.stamps_ns for raw in raws])
    values = np.ascontiguousarray(np.concatenate([raw.values for raw in raws]))
    bits = np.column_stack((stamps, values.view(np.int64)))  # a NaN equals itself so
    _, kept = np.unique(bits, axis=0, return_index=True)
    kept = kept[np.argsort(stamps[kept], kind="stable")]
    return RawSamples(first.source, first.frame_id, first.channels, stamps[kept], values[kept])


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
            wanted = [c for c in reader.connections if c.msgtype == TRANSIENT_EVENT]
            _, _, data = next(reader.messages(connections=wanted))
            return reader.message_count, record_from(reader.deserialize(data, TRANSIENT_EVENT))
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(f"{folder}: not readable: {reason}") from error


def largest_size(record: EventRecord) -> int:
    """Bytes on disk that an event takes at most: as if nothing could be compressed."""
    doubles = {IMU: 37, WRENCH: 6}
    size = _FIXED_BYTES
    for raw in record.raw:
        on_topic = 8 * doubles[message_type(raw)] + len(raw.frame_id.encode()) + _FRAMING_BYTES
        in_event = 8 + 8 * len(raw.channels)
        size += len(raw.stamps_ns) * (on_topic + in_event)
    return size
