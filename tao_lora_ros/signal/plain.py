"""Messages of which nothing has to be decided: decoded by one compiled pass, as many as there are.

Nearly all messages of a source are alike but for the stamp and the values, and come a little later
than the one before. Whatever else there is, is left to `source.Source`, one by one: it decides, and
says what the next have to be alike to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.stamps import SECOND_NS
from tao_lora_ros.signal.block import BEGIN, END, SOURCE, Block
from tao_lora_ros.signal.cdr import Form
from tao_lora_ros.signal.compiled import compiled, entry, inlined
from tao_lora_ros.signal.order import STRAY_NS
from tao_lora_ros.signal.source import Source

_FEWEST, _MOST = 16, 4096  # messages that are looked at together, after few and after many
_RUN = 2  # fewer are not worth the pass
_LONGEST_REST = 32  # messages that are not looked at where none are as expected

_EXPECTED = np.dtype(
    [
        ("length", np.int64),  # of a message; `_NONE`: none is taken
        ("checks", np.int64),  # how many words are compared
        ("channels", np.int64),
        ("newest_ns", np.int64),  # stamp of the one before
        ("lag_ns", np.int64),
        ("harmless", np.float64),  # what the magnitudes of all values together may be
        ("most", np.int64),  # so many may be taken
        ("until_look", np.int64),  # from here to the one at which somebody looks for bursts
    ]
)
_NONE = -1

Times = NDArray[np.int64]


class Plain(NamedTuple):
    """What was decoded, in the order of arrival and by source; overwritten by the next.

    Args:
        stamps_ns: of each, [n].
        newest_ns: the newest time of all sources, less their lags, when each came, [n].
        values: [n, channels of the widest source].
        order: numbers of the messages in their block, the first source's first, [n].
        edges: where in that the messages of each source begin, and the last's end, [S + 1].
        of_sources: in this order too: stamps and newest times, [n, 2].
        values_of_sources: likewise, [n, channels of the widest source].
    """

    stamps_ns: Times
    newest_ns: Times
    values: NDArray[np.float64]
    order: Times
    edges: Times
    of_sources: Times
    values_of_sources: NDArray[np.float64]


class PlainMessages:
    """Finds those among the messages of some sources, and decodes them.

    Args:
        sources: of the messages.
        jump_ns: no stamp may be further off the newest than this.
        until_look: how many samples of a source may be taken before somebody looks at it.

    Attributes:
        plain: what was decoded last.
    """

    def __init__(
        self, sources: Sequence[Source], jump_ns: int, until_look: Callable[[int], int]
    ) -> None:
        self._sources, self._jump_ns, self._until_look = sources, jump_ns, until_look
        count, widest = len(sources), max(len(source.config.channels) for source in sources)
        self._expected = np.zeros(count, _EXPECTED)
        self._words = np.zeros((count, 0, 3), np.uint64)
        self._columns = np.zeros((count, widest), np.int64)
        self._forms: list[Form | None] = [None] * count
        self._in_doubt = set(range(count))  # sources of which it is not known what is expected
        # Attempts that failed, and messages until the next: of each source, and of all of them.
        self._failed, self._rests = [0] * count, [0] * count
        self._all_failed = self._all_rest = 0
        self._reach = _FEWEST
        values = np.zeros((2, _MOST, widest))
        self.plain = Plain(
            stamps_ns=np.zeros(_MOST, np.int64),
            newest_ns=np.zeros(_MOST, np.int64),
            values=values[0],
            order=np.zeros(_MOST, np.int64),
            edges=np.zeros(count + 1, np.int64),
            of_sources=np.zeros((_MOST, 2), np.int64),
            values_of_sources=values[1],
        )
        block = Block.of([(0, 0, b"")])
        expected, index = self._expected, block.index
        self._decode = entry(
            _decode, expected, self._words, self._columns, index, block.joined, 0, 0, 0, 0,
            self.plain,
        )  # fmt: skip
        self._arrange = entry(_arrange, expected, index, 0, 0, self.plain)

    def doubt(self, source: int) -> None:
        """A message of this source was decided of: see what is expected now."""
        self._in_doubt.add(source)
        self._rests[source] -= self._rests[source] > 0
        self._all_rest -= self._all_rest > 0

    def doubt_all(self) -> None:
        """Everything may have changed."""
        self._in_doubt.update(range(len(self._sources)))

    def decode(self, block: Block, begin: int, newest_ns: int) -> tuple[int, int, bool]:
        """Decode messages from number `begin` on, up to the first that has to be decided of.

        Args:
            block: the messages.
            begin: the first of these.
            newest_ns: the newest time of all sources, less their lags.

        Returns:
            How many those are, which of them is the last that no other was ahead of (-1: none), and
            whether to look at a source now.
        """
        end = min(begin + self._reach, len(block))
        if self._all_rest or end - begin < _RUN:
            return 0, -1, False
        if self._in_doubt and self._expect(block, begin, end):
            self._rest(0)
            return 0, -1, False
        expected, plain = self._expected, self.plain
        count, leader, looks = self._decode(
            expected, self._words, self._columns, block.index, block.joined,
            begin, end, newest_ns, self._jump_ns, plain,
        )  # fmt: skip
        if looks:
            self._in_doubt.update(
                np.flatnonzero((expected["most"] <= 0) | (expected["until_look"] <= 0)).tolist()
            )
            calm = self._calm(begin, count)
            if calm < count:
                count = calm
                leader = self._arrange(expected, block.index, begin, count, plain)
                self.doubt_all()
        self._reach = max(min(2 * count, _MOST), _FEWEST)
        self._note(int(block.sources[begin]), count > 0)
        self._rest(count if begin + count < end else _RUN)
        return count, leader, looks

    def _rest(self, count: int) -> None:
        """Look at the next messages again; later and later where so few of them were taken."""
        if count >= _RUN:
            self._all_failed = 0
            return
        self._all_rest = min(1 << self._all_failed, _LONGEST_REST)
        self._all_failed += 1

    def _note(self, source: int, taken: bool) -> None:
        """Note whether a message of the source was as expected; ever longer rests where none is."""
        if taken:
            self._failed[source] = 0
            return
        self._forms[source] = None  # the next one says what others are alike to
        self._in_doubt.add(source)
        self._rests[source] = min(1 << self._failed[source], _LONGEST_REST) - 1
        self._failed[source] += 1

    def _expect(self, block: Block, begin: int, end: int) -> bool:
        """See what is expected of the sources in doubt; whether that leaves too few messages."""
        for number in sorted(self._in_doubt):
            self._expect_of(number, block, begin, end)
        if not self._in_doubt:
            return False
        return not self._in_doubt.isdisjoint(block.sources[begin : begin + _RUN].tolist())

    def _expect_of(self, number: int, block: Block, begin: int, end: int) -> None:
        source, expected = self._sources[number], self._expected[number]
        expected["length"] = _NONE
        if self._rests[number] or (newest_ns := source.undecided_ns) is None:
            return
        form = self._forms[number]
        if form is None or form.frame_id != source.frame_id:
            own = np.flatnonzero(block.sources[begin:end] == number)
            if not len(own):
                return
            form = source.form_of(block.data[begin + own[0]])
            if form is None:
                self._note(number, False)
                return
            self._set_form(number, form)
        expected["newest_ns"], expected["lag_ns"] = newest_ns, source.lag_ns
        expected["harmless"], expected["most"] = source.harmless, self._until_look(number)
        expected["until_look"], expected["length"] = source.until_look, form.length
        self._in_doubt.discard(number)

    def _set_form(self, number: int, form: Form) -> None:
        self._forms[number] = form
        checks, channels = len(form.words), len(form.columns)
        if checks > self._words.shape[1]:
            more = checks - self._words.shape[1]
            self._words = np.pad(self._words, ((0, 0), (0, more), (0, 0)))
        self._words[number, :checks] = form.words
        self._columns[number, :channels] = form.columns
        self._expected[number]["checks"], self._expected[number]["channels"] = checks, channels

    def _calm(self, begin: int, count: int) -> int:
        """How many messages there are before one with which bursts begin."""
        plain = self.plain
        edges, calm = plain.edges.tolist(), count
        for number in np.flatnonzero(self._expected["until_look"] <= 0).tolist():
            own = slice(edges[number], edges[number + 1])
            stamps_ns = plain.of_sources[own, 0]
            taken = self._sources[number].calm(stamps_ns)
            if taken < len(stamps_ns):
                calm = min(calm, int(plain.order[own][taken]) - begin)
        return calm


@compiled
def _decode(expected, words, columns, index, joined, begin, end, newest_ns, jump_ns, plain):
    """Decode messages up to the first that is not as expected, see `PlainMessages.decode`."""
    longest = 0
    for source in expected:
        longest = max(longest, source.length)
    scratch = np.zeros(longest // 8 + 1, np.uint64)  # a message from byte 4 on: its doubles lie on
    pieces = scratch.view(np.uint8)  # multiples of 8
    doubles = scratch.view(np.float64)
    count, looks = 0, False
    for i in range(begin, end):
        s, first = index[SOURCE, i], index[BEGIN, i]
        source = expected[s]
        length = index[END, i] - first
        if length != source.length or source.most <= 0:
            break
        if joined[first] != 0 or joined[first + 1] != 1:
            break
        message = joined[first + 4 : first + length]
        for k in range(len(message)):
            pieces[k] = message[k]
        if not _alike(scratch, words[s], source.checks):
            break
        seconds = np.int64(scratch[0] & np.uint64(0xFFFFFFFF))
        nanoseconds = np.int64(scratch[0] >> np.uint64(32))
        stamp_ns = seconds * SECOND_NS + nanoseconds
        if seconds >= 1 << 31 or nanoseconds >= SECOND_NS:
            break
        if not 0 < stamp_ns - source.newest_ns <= STRAY_NS:
            break
        time_ns = stamp_ns - source.lag_ns
        if not -jump_ns <= time_ns - newest_ns <= jump_ns:
            break
        values, present, magnitude = plain.values[count], 0, 0.0
        for c in range(source.channels):
            values[c] = np.nan
            if columns[s, c] >= 0:
                values[c] = doubles[columns[s, c]]
                magnitude += abs(values[c])
                present += 1
        if present == 0 or not magnitude <= source.harmless:
            break
        newest_ns = max(newest_ns, time_ns)
        plain.stamps_ns[count], plain.newest_ns[count] = stamp_ns, newest_ns
        source.newest_ns = stamp_ns
        source.most -= 1
        source.until_look -= 1
        looks |= source.most <= 0 or source.until_look <= 0
        count += 1
    return count, _arrange(expected, index, begin, count, plain), looks


@inlined
def _alike(message, words, checks):
    alike = True
    for k in range(checks):
        alike &= message[np.int64(words[k, 0])] & words[k, 1] == words[k, 2]
    return alike


@compiled
def _arrange(expected, index, begin, count, plain):
    """Put what was decoded in the order of the sources; the last that no other was ahead of."""
    edges, leader = plain.edges, -1
    edges[:] = 0
    for i in range(count):
        s = index[SOURCE, begin + i]
        edges[s + 1] += 1
        if plain.stamps_ns[i] - expected[s].lag_ns == plain.newest_ns[i]:
            leader = i
    for s in range(len(expected)):
        edges[s + 1] += edges[s]
    for i in range(count):  # edges move to where each ends
        s = index[SOURCE, begin + i]
        at = edges[s]
        edges[s] += 1
        plain.order[at] = begin + i
        plain.of_sources[at, 0], plain.of_sources[at, 1] = plain.stamps_ns[i], plain.newest_ns[i]
        for c in range(expected[s].channels):
            plain.values_of_sources[at, c] = plain.values[i, c]
    for s in range(len(expected), 0, -1):
        edges[s] = edges[s - 1]
    edges[0] = 0
    return leader
