"""The newest messages of further topics, until an event asks for those around it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tao_lora_ros.messages.raw_data import RawMessages

LATCHED_BYTES = 1 << 20  # of a topic's older latched messages that are kept beside the newest ones
_TIDY_NS = 500_000_000
_OPEN_NS = 60_000_000_000  # after its end nobody asks for a scene any more

_Entry = tuple[int, str, bytes]  # time, topic, CDR
Span = tuple[int, int]  # from when to when, in ns, both included


@dataclass
class _Hold:
    """What is kept of an event that goes on, or that nobody has asked for yet."""

    spans: list[Span]
    until_ns: int
    gone_ns: int  # time of the newest message that had gone when the event was first heard of


class Way:
    """When the messages of a topic would have come, each as fast as the fastest.

    Under load messages are late, and an event would lack the newest of those that were sent while
    it went on. When a message was sent is on its publisher's clock, which may be another.

    Args:
        longest_s: of a way beyond the least; what seems longer is a clock that was set.
    """

    def __init__(self, longest_s: float = 1.0) -> None:
        self._longest_ns = round(longest_s * 1e9)
        self._least_ns: int | None = None

    def time_ns(self, sent_ns: int, received_ns: int) -> int:
        """Of a message, on the clock that it was received by."""
        way_ns, least_ns = received_ns - sent_ns, self._least_ns
        if least_ns is None or not least_ns <= way_ns <= least_ns + self._longest_ns:
            self._least_ns = least_ns = way_ns
        return sent_ns + least_ns


class SceneBuffer:
    """Messages of any topics by their time, the newest `keep_s` and those on hold.

    Args:
        keep_s: how far back messages are kept whatever happens.
        most_bytes: that all messages take; the oldest go first where they take more.

    Attributes:
        dropped: messages that had to go early for that, by topic.
        gone_ns: time of the newest of them, 0 before the first.
    """

    def __init__(self, keep_s: float, most_bytes: int) -> None:
        self._keep_ns = round(keep_s * 1e9)
        self._most_bytes = most_bytes
        self._ring: deque[_Entry] = deque()
        self._latched: dict[str, deque[_Entry]] = {}
        self._holds: dict[int, _Hold] = {}
        self._tidied_ns = self._aged_ns = 0
        self.bytes = 0
        self.dropped: Counter[str] = Counter()
        self.gone_ns = 0

    def push(self, time_ns: int, topic: str, data: bytes) -> None:
        """Add a message; times of all topics together never fall by much."""
        self._ring.append((time_ns, topic, data))
        self.bytes += len(data)
        if time_ns - self._tidied_ns >= _TIDY_NS:
            self._tidy(time_ns)
        while self.bytes > self._most_bytes and self._ring:
            gone_ns, gone, old = self._ring.popleft()
            self.bytes -= len(old)
            self.dropped[gone] += 1
            self.gone_ns = max(self.gone_ns, gone_ns)

    def latch(self, time_ns: int, topic: str, data: bytes, publishers: int) -> None:
        """Add a message of a topic whose newest ones belong to every scene: one a publisher.

        More are kept while they are small, for a publisher may have said several things.
        """
        kept = self._latched.setdefault(topic, deque())
        same = next((entry for entry in kept if entry[2] == data), None)
        if same:
            kept.remove(same)
        kept.append((time_ns, topic, data))
        while len(kept) > publishers and sum(len(old) for _, _, old in kept) > LATCHED_BYTES:
            kept.popleft()
        self.push(time_ns, topic, data)

    def hold(self, number: int, span: Span) -> None:
        """Keep what comes or came within a span until `release`, as far as there is room."""
        hold = self._holds.setdefault(number, _Hold([], 0, self._aged_ns))
        hold.spans.append(span)
        hold.until_ns = max(hold.until_ns, span[1] + _OPEN_NS)

    def aged_ns(self, number: int) -> int:
        """Time of the newest message that had gone, of age, when an event was first heard of."""
        return self._holds[number].gone_ns if number in self._holds else self._aged_ns

    def release(self, number: int) -> None:
        """The event was asked for."""
        self._holds.pop(number, None)

    def cut(self, topic: str, spans: list[Span]) -> RawMessages:
        """A topic's messages within spans, in their order; older latched ones at the start."""
        start_ns = spans[0][0]
        before = [data for time_ns, _, data in self._latched.get(topic, ()) if time_ns < start_ns]
        found = [(start_ns, data) for data in before]
        found += [(time_ns, data) for time_ns, data in self._within(topic, spans)]
        times_ns = np.array([time_ns for time_ns, _ in found], dtype=np.int64)
        return RawMessages(np.maximum.accumulate(times_ns), tuple([data for _, data in found]))

    def _within(self, topic: str, spans: list[Span]) -> Iterator[tuple[int, bytes]]:
        for time_ns, name, data in self._ring.copy():  # another thread goes on adding
            if name == topic and any(start <= time_ns <= end for start, end in spans):
                yield time_ns, data

    def _tidy(self, now_ns: int) -> None:
        """Let go of what is old and nobody holds."""
        self._tidied_ns = now_ns
        holds = self._holds.items()
        self._holds = {n: hold for n, hold in holds if now_ns < hold.until_ns}
        spans = [span for hold in self._holds.values() for span in hold.spans]
        oldest_ns = now_ns - self._keep_ns
        kept: deque[_Entry] = deque()
        for entry in self._ring:
            if entry[0] >= oldest_ns or any(start <= entry[0] <= end for start, end in spans):
                kept.append(entry)
            else:
                self._aged_ns = max(self._aged_ns, entry[0])
        self._ring = kept
        self.bytes = sum(len(data) for _, _, data in self._ring)
