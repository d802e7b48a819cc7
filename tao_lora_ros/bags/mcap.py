"""Messages of mcap files by whole chunks: what rosbags gives, without an object a message.

Where an mcap is laid out so that this is not the same, there are no chunks, and rosbags reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import storage_mcap

from tao_lora_ros.signal.block import BEGIN, END, Block
from tao_lora_ros.signal.compiled import compiled

_MESSAGE = 5  # opcode
_HEAD, _LEAST = 9, 22  # bytes before a record, and of a message's record before its data
_CHANNELS = 1 << 16

Chunk = tuple[Any, Any, NDArray[np.int64]]  # the open file, the chunk, a source by channel or -1


def chunks_of(
    reader: AnyReader, sources: Mapping[tuple[str, str], int], begin_ns: int, end_ns: int | None
) -> list[Chunk] | None:
    """The chunks that hold messages of some topics; None where rosbags has to read.

    Args:
        reader: the open bag.
        sources: what messages are of, by topic and type.
        begin_ns: log time of the first message.
        end_ns: log time that is over the last one's; None: there is no such.
    """
    found: list[Chunk] = []
    bag: Any = reader.readers[0]
    known = len(reader.readers) == 1 and reader.is2 and hasattr(storage_mcap, "decompress")
    if not known or bag.compression_mode == "message":
        return None
    for file in getattr(bag.storage, "storages", [bag.storage]):
        chunks = getattr(file, "chunks", None)
        if not chunks or not _in_order(chunks):
            return None
        channels = _channels(file, bag.connections, sources)
        found += [
            (file, chunk, channels)
            for chunk in chunks
            if begin_ns <= chunk.message_end_time
            and (end_ns is None or chunk.message_start_time < end_ns)
            and any(count and channels[id] >= 0 for id, count in chunk.channel_count.items())
        ]
    return found


def _in_order(chunks: Sequence[Any]) -> bool:
    """Whether one chunk's messages are over before the next one's begin."""
    return all(
        a.message_end_time <= b.message_start_time and a.chunk_start_offset < b.chunk_start_offset
        for a, b in pairwise(chunks)
    )


def _channels(
    file: Any, connections: Sequence[Any], sources: Mapping[tuple[str, str], int]
) -> NDArray[np.int64]:
    """The source of each channel of a file, -1: none, as far as the bag knows it."""
    channels = np.full(_CHANNELS, -1, np.int64)
    known = {(c.topic, c.msgtype, repr(c.ext)) for c in connections}
    for c in file.connections:
        if (kind := (c.topic, c.msgtype)) in sources and (*kind, repr(c.ext)) in known:
            channels[c.id] = sources[kind]
    return channels


def blocks_of(chunks: Sequence[Chunk], begin_ns: int, end_ns: int | None) -> Iterator[Block]:
    """The messages of each chunk, in the order of their log times.

    Raises:
        rosbags' errors: the bag is damaged.
    """
    for file, chunk, channels in chunks:
        over_ns = chunk.message_end_time + 1 if end_ns is None else end_ns
        raw = _raw(file.bio, chunk)
        data = np.frombuffer(raw, np.uint8)
        found = np.empty((len(raw) // (_HEAD + _LEAST) + 1, 4), np.int64)
        count = _find(data, channels, begin_ns, over_ns, found)
        if count < 0:  # rosbags says what is wrong, or passes over it
            wanted = {c.id: c for c in file.connections if channels[c.id] >= 0}
            read: Any = storage_mcap.msgsrc(chunk, wanted, begin_ns, over_ns, file.bio)
            rows = [(channels[m.connection.id], m.timestamp, m.data) for m in read if m.connection]
            if rows:
                yield Block.of(rows)
            continue
        found = found[:count]
        if count:
            log_ns = found[:, 1]
            if (log_ns[1:] < log_ns[:-1]).any():
                found = found[np.argsort(log_ns, kind="stable")]
            index = np.ascontiguousarray(found.T)
            places = zip(index[BEGIN].tolist(), index[END].tolist(), strict=True)
            yield Block(index, [raw[begin:end] for begin, end in places], data)


def _raw(file: Any, chunk: Any) -> bytes:
    """The records of a chunk."""
    begin = chunk.chunk_start_offset + _HEAD
    file.seek(begin + 24)
    checksum = int.from_bytes(storage_mcap.read_exact(file, 4), "little")
    file.seek(begin + 40 + len(chunk.compression))
    packed = storage_mcap.read_exact(file, chunk.compressed_size)
    raw = storage_mcap.decompress(packed, chunk.compression, chunk.uncompressed_size, checksum)
    return bytes(raw)


@compiled
def _find(data, channels, begin_ns, end_ns, found):
    """Source, log time, begin and end of each message that is wanted; how many, -1: damaged."""
    at, count = 0, 0
    while at < len(data):
        if len(data) - at < _HEAD:
            return -1
        size = _whole(data, at + 1, 8)
        begin = at + _HEAD
        if not 0 <= size <= len(data) - begin:
            return -1
        if data[at] == _MESSAGE:
            if size < _LEAST:
                return -1
            source, log_ns = channels[_whole(data, begin, 2)], _whole(data, begin + 6, 8)
            if source >= 0 and begin_ns <= log_ns < end_ns:
                found[count, 0], found[count, 1] = source, log_ns
                found[count, 2], found[count, 3] = begin + _LEAST, begin + size
                count += 1
        at = begin + size
    return count


@compiled
def _whole(data, at, size):
    """A whole number, its lowest byte first."""
    number = np.int64(0)
    for i in range(size):
        number |= np.int64(data[at + i]) << np.int64(8 * i)
    return number
