"""Messages into an open mcap bag: the bytes that rosbags writes, in a tenth of the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from struct import Struct
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Writer

_CHUNK_BYTES = 1 << 20  # the message with which a chunk is longer is its last one
# Of a message's record: opcode, length; then channel, number, log time, publish time.
_HEAD = Struct("<BQHIQQ")
_MESSAGE, _FIELDS_BYTES = 5, 22
_USED = {"chunk", "channel_stats", "message_start_time", "message_end_time"}  # of rosbags' storage


def write_messages(writer: Writer, rows: Sequence[tuple[int, Connection, bytes]]) -> None:
    """Write messages: log time in ns, topic and CDR of each, oldest first.

    `Writer.write` packs each field alone, which takes longer than all else that is done for an
    event. It is called where a version of rosbags keeps its state in another way.
    """
    storage: Any = writer.storage
    if not rows or not vars(storage).keys() >= _USED:
        for time_ns, connection, data in rows:
            writer.write(connection, time_ns, data)
        return
    for time_ns, connection, data in rows:
        chunk = storage.chunk
        if not chunk.msgs:
            chunk.message_start_time = time_ns
        chunk.message_end_time = time_ns
        chunk.msgs[connection.id].append((time_ns, chunk.bio.tell()))
        length = _FIELDS_BYTES + len(data)
        chunk.bio.write(_HEAD.pack(_MESSAGE, length, connection.id, 0, time_ns, time_ns))
        chunk.bio.write(data)
        if chunk.bio.tell() > _CHUNK_BYTES:
            storage.close_chunk()
    for id, count in Counter(connection.id for _, connection, _ in rows).items():
        storage.channel_stats[id] += count
        writer.counts[id] += count
    storage.message_start_time = writer.min_timestamp = min(writer.min_timestamp, rows[0][0])
    storage.message_end_time = writer.max_timestamp = max(writer.max_timestamp, rows[-1][0])
