"""Messages in the order of their arrival, and those of them that nothing has to be decided of.

Nearly all messages of a source are alike but for the stamp and the values, and come a little later
than the one before. These one compiled pass decodes. Whatever else there is, is left to
`source.Source`, one by one: it decides, and says what the next have to be alike to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.stamps import SECOND_NS
from tao_lora_ros.signal.cdr import Form
from tao_lora_ros.signal.compiled import compiled
from tao_lora_ros.signal.order import STRAY_NS

Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """Messages in the order of their arrival.

    Args:
        sources: the source of each, by its number, int64 [n].
        received_ns: when each came, int64 [n].
        data: their CDR bytes.
        joined: what holds these, uint8.
        begins, ends: where in that each begins and ends, int64 [n].
    """

    sources: Times
    received_ns: Times
    data: Sequence[bytes]
    joined: NDArray[np.uint8]
    begins: Times
    ends: Times

    @classmethod
    def of(cls, messages: Iterable[tuple[int, int, bytes]]) -> Block:
        """Of source, time of arrival and bytes of each."""
        *numbers, data = zip(*messages, strict=True)
        sources, received_ns = np.array(numbers, np.int64)
        edges = np.cumsum([0, *map(len, data)])
        joined = np.frombuffer(b"".join(data), np.uint8)
        return cls(sources, received_ns, data, joined, edges[:-1], edges[1:])

    def __len__(self) -> int:
        return len(self.data)

    def message(self, number: int) -> tuple[int, bytes, int]:
        """Source, bytes and time of arrival."""
        return int(self.sources[number]), self.data[number], int(self.received_ns[number])


class Expected(NamedTuple):
    """What a source's next messages are alike to.

    Args:
        form: the form of their bytes.
        newest_ns: stamp of the one before.
        lag_ns: of the stamps.
        harmless: what the magnitudes of all values together may be.
        most: so many may be taken.
    """

    form: Form
    newest_ns: int
    lag_ns: int
    harmless: float
    most: int


class Plain(NamedTuple):
    """What was decoded: stamps, values [n, channels of the widest], and the newest time of all
    sources (less their lags) when each came."""

    stamps_ns: Times
    values: NDArray[np.float64]
    newest_ns: Times

    def first(self, count: int) -> Plain:
        """The first so many."""
        return Plain(self.stamps_ns[:count], self.values[:count], self.newest_ns[:count])


_SOURCE = np.dtype(
    [
        ("length", np.int64),
        ("checks", np.int64),
        ("values", np.int64),
        ("newest_ns", np.int64),
        ("lag_ns", np.int64),
        ("harmless", np.float64),
        ("most", np.int64),
    ]
)


def plain_messages(
    block: Block,
    begin: int,
    end: int,
    expected: Sequence[Expected | None],
    newest_ns: int,
    jump_ns: int,
) -> Plain:
    """Messages from number `begin` on, up to the first of which something has to be decided.

    Args:
        block: the messages.
        begin: the first of these.
        end: the first that is not looked at.
        expected: of each source; None: everything has to be decided.
        newest_ns: the newest time of all sources, less their lags.
        jump_ns: no message may be further off that.
    """
    forms = [one.form for one in expected if one]
    checks = max((len(form.words) for form in forms), default=0)
    widest = max((len(form.columns) for form in forms), default=0)
    now = np.zeros(len(expected), _SOURCE)
    words = np.zeros((len(expected), checks, 3), np.uint64)  # place, mask, value
    columns = np.zeros((len(expected), widest), np.int64)
    for s, one in enumerate(expected):
        if one:
            form = one.form
            now[s] = (
                form.length, len(form.words), len(form.columns),
                one.newest_ns, one.lag_ns, one.harmless, one.most,
            )  # fmt: skip
            words[s, : len(form.words)] = form.words
            columns[s, : len(form.columns)] = form.columns
    count = end - begin
    times, values = np.zeros((count, 2), np.int64), np.full((count, widest), np.nan)
    place = block.joined, block.begins[begin:end], block.ends[begin:end], block.sources[begin:end]
    taken = _decode(now, words, columns, *place, newest_ns, jump_ns, times, values)
    stamps_ns, newest = np.ascontiguousarray(times[:taken].T)
    return Plain(stamps_ns, values[:taken], newest)


@compiled
def _decode(now, words, columns, joined, begins, ends, sources, newest_ns, jump_ns, times, values):
    """Decode messages up to the first that is not as expected; how many."""
    longest = 0
    for source in now:
        longest = max(longest, source.length)
    scratch = np.zeros(longest // 8 + 1, np.uint64)  # a message from byte 4 on: its doubles lie on
    pieces = scratch.view(np.uint8)  # multiples of 8
    doubles = scratch.view(np.float64)
    for i in range(len(sources)):
        s = sources[i]
        source, begin = now[s], begins[i]
        length = ends[i] - begin
        if length != source.length or source.most == 0:
            return i
        if joined[begin] != 0 or joined[begin + 1] != 1:
            return i
        message = joined[begin + 4 : begin + length]
        for k in range(len(message)):
            pieces[k] = message[k]
        for k in range(source.checks):
            check = words[s, k]
            if scratch[np.int64(check[0])] & check[1] != check[2]:
                return i
        seconds = np.int64(scratch[0] & np.uint64(0xFFFFFFFF))
        nanoseconds = np.int64(scratch[0] >> np.uint64(32))
        stamp_ns = seconds * SECOND_NS + nanoseconds
        if seconds >= 1 << 31 or nanoseconds >= SECOND_NS:
            return i
        if not 0 < stamp_ns - source.newest_ns <= STRAY_NS:
            return i
        time_ns = stamp_ns - source.lag_ns
        if not -jump_ns <= time_ns - newest_ns <= jump_ns:
            return i
        present, magnitude = 0, 0.0
        for c in range(source.values):
            if columns[s, c] >= 0:
                values[i, c] = doubles[columns[s, c]]
                magnitude += abs(values[i, c])
                present += 1
        if present == 0 or not magnitude <= source.harmless:
            return i
        newest_ns = max(newest_ns, time_ns)
        times[i, 0], times[i, 1] = stamp_ns, newest_ns
        source.newest_ns = stamp_ns
        source.most -= 1
    return len(sources)
