"""The samples of one source on their way to the grid, and what becomes of each."""

from __future__ import annotations

from collections import Counter, deque

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.cadence import LEAST_PACE, PACE, SLOWEST_NS, period_ns, usual_hole_ns
from tao_lora_ros.signal.dejitter import dejittered, forget, new_dejitter

NEVER = -(1 << 63)  # before any stamp, in ns
_BEHIND = 2048  # late samples that are remembered, at most
_CONSTANT_NS = 1_000_000_000  # for so long they are so, without a break
# Samples that overtake each other are waited for until none has for so long.
_SLACK_NS = 10_000_000_000

Values = NDArray[np.float64]


class Track:
    """Samples of one source that wait for the grid to reach them.

    Args:
        columns: of the source's channels in a row.
        lag_ns: of its stamps.
        grid_ns: period of the grid.
        gap_ns: longest hole that is interpolated, whatever the source's pace.
        timeout_ns: how far behind the others it is waited for, whatever its pace.

    Attributes:
        newest_ns: newest stamp, less the lag and its jitter; `NEVER` before the first.
        ready_ns: up to where nothing is expected to come any more.
        pending: times, values and stamps of samples that no row has passed yet, rising.
        last: the newest that a row has passed.
        pushed: samples so far.
        unused: those that never reached a row, by reason: `late` where its row was given out
            before it came, `restart`, or `end` of the input.
        behind: the newest samples that were late, or on another clock, one after the other: time,
            and how far they were behind (ahead: negative) of the source `behind_whom`, both in ns.
    """

    def __init__(
        self, columns: slice, lag_ns: int, grid_ns: int, gap_ns: int, timeout_ns: int
    ) -> None:
        self.columns = columns
        self.lag_ns = lag_ns
        self.pushed = 0
        self.unused: Counter[str] = Counter()
        self.behind: deque[tuple[int, int]] = deque(maxlen=_BEHIND)
        self.behind_whom = 0
        self.pending: deque[tuple[int, Values, int]] = deque()
        self._grid_ns = grid_ns
        self._gap_ns = gap_ns
        self._timeout_ns = timeout_ns
        self._past: deque[int] = deque(maxlen=PACE)  # times that rows have passed
        self._jitter = new_dejitter(grid_ns)
        self._forget()

    def _forget(self) -> None:
        self.newest_ns = self.ready_ns = self._begins_ns = self._sent_ns = NEVER
        forget(self._jitter)
        self._slack_ns = self._slack_until_ns = 0
        self._wait_ns = 0  # until it is asked for
        self._past.clear()
        self._drop()

    def _drop(self) -> None:
        self.pending.clear()
        self.last: tuple[int, Values, int] | None = None
        self._last_used = False
        self._ahead: Values | None = None  # of the next sample, once it was interpolated towards

    @property
    def waiting(self) -> int:
        """Samples that may still reach a row."""
        waits = len(self.pending) + (self.last is not None and not self._last_used)
        return waits - (self._ahead is not None)  # that one has reached one

    @property
    def behind_ns(self) -> int:
        """Median of how far its late samples are behind; 0 without any."""
        offsets = sorted(offset_ns for _, offset_ns in self.behind)
        return offsets[len(offsets) // 2] if offsets else 0

    @property
    def behind_constantly(self) -> bool:
        """Whether all its samples have been behind for a while, by the same."""
        if len(self.behind) < PACE or self.behind[-1][0] - self.behind[0][0] < _CONSTANT_NS:
            return False
        offsets = [offset_ns for _, offset_ns in self.behind]
        return max(offsets) - min(offsets) < self._timeout_ns

    @property
    def used(self) -> int:
        """Samples that went into a row."""
        return self.pushed - self.unused.total() - self.waiting

    @property
    def measured_period_ns(self) -> int:
        """Median step between the newest stamps; 0 for fewer than two."""
        return period_ns(self._stamps())

    def _stamps(self) -> list[int]:
        return [*self._past, *(time_ns for time_ns, _, _ in self.pending)][-PACE:]

    def clear(self) -> None:
        """Forget all samples; those that wait are counted as unused."""
        self._give_up("restart")
        self._forget()

    def finish(self) -> None:
        """Count what waits as unused: no more will come."""
        self._give_up("end")
        self._drop()

    def begin(self, begins_ns: int) -> None:
        """Take only what is newer than this time; forget what waits, but not the pace."""
        self._give_up("restart")
        self._drop()
        self._begins_ns = begins_ns

    def note_behind(self, time_ns: int, whom: int, offset_ns: int) -> None:
        """Note a sample that was late, or on another clock."""
        if self.behind and not 0 <= time_ns - self.behind[-1][0] < _CONSTANT_NS:
            self.behind.clear()
        self.behind.append((time_ns, offset_ns))
        self.behind_whom = whom

    def change_lag(self, lag_ns: int) -> None:
        """Go by another lag from the newest late sample and a time-out on.

        So its stamps alone say where it begins, not how far the rows have come.
        """
        moved_ns = self.lag_ns - lag_ns
        self.begin(self.behind[-1][0] + moved_ns + self._timeout_ns)
        self._past.clear()
        self.behind.clear()
        forget(self._jitter)
        self.lag_ns = lag_ns
        if self.newest_ns != NEVER:
            self.newest_ns += moved_ns
            self._sent_ns += moved_ns
            self.ready_ns += moved_ns

    def _give_up(self, reason: str) -> None:
        if self.last is not None and not self._last_used:
            self.unused["late"] += 1
        if waiting := len(self.pending) - (self._ahead is not None):
            self.unused[reason] += waiting

    def push(self, stamp_ns: int, values: Values) -> None:
        """Add a sample, [channels]."""
        time_ns = stamp_ns - self.lag_ns
        self.pushed += 1
        if time_ns < self._sent_ns:
            self._insert(time_ns, values)
            return
        self._sent_ns = time_ns
        time_ns = dejittered(self._jitter, time_ns)
        if self._slack_ns and time_ns > self._slack_until_ns:
            self._slack_ns = 0
        self.newest_ns = time_ns
        self.ready_ns = time_ns - self._slack_ns
        self._wait_ns = 0
        if time_ns <= self._begins_ns:
            self.unused["restart"] += 1
        else:
            self.pending.append((time_ns, values, stamp_ns))

    def _insert(self, time_ns: int, values: Values) -> None:
        """Put an overtaken sample into its place, and be ready for more like it."""
        self._slack_ns = max(self._slack_ns, self._sent_ns - time_ns)
        self._slack_until_ns = self.newest_ns + _SLACK_NS
        self.ready_ns = self.newest_ns - self._slack_ns
        if time_ns <= self._begins_ns or (self.last is not None and time_ns <= self.last[0]):
            self.unused["late"] += 1
            return
        place = len(self.pending)
        while place and self.pending[place - 1][0] > time_ns:
            place -= 1
        self.pending.insert(place, (time_ns, values, time_ns + self.lag_ns))

    def waited_for(self, ahead_ns: int) -> bool:
        """Whether rows wait for this source while another is at `ahead_ns`."""
        if self.newest_ns == NEVER:
            return False
        if not self._wait_ns:
            stamps = self._stamps()
            # Who has spoken once may be slow.
            least_ns = self._timeout_ns if len(stamps) > 1 else max(self._timeout_ns, SLOWEST_NS)
            self._wait_ns = usual_hole_ns(stamps, least_ns)
        return self.newest_ns >= ahead_ns - self._wait_ns

    def take(self, time_ns: int) -> tuple[Values, Values | float] | None:
        """Mean of the last period, else interpolated, else None; and what of it is fresh."""
        total: Values | None = None
        pending, ahead, count, again = self.pending, self._ahead, 0, False
        since_ns = time_ns - self._grid_ns
        while pending and pending[0][0] <= time_ns:
            if self.last is not None and not self._last_used:
                self.unused["late"] += 1
            self.last = last = pending.popleft()
            self._past.append(last[0])
            again |= last[1] is ahead
            self._last_used = last[0] > since_ns
            if self._last_used:
                total = last[1] if total is None else total + last[1]
                count += 1
        if again:
            self._ahead = None
        if total is not None:
            mean = total if count == 1 else total / count
            if ahead is None or not again:
                return mean, mean
            return mean, (total - ahead) / (count - 1) if count > 1 else np.nan
        if self.last is None or not pending:
            return None
        (before, a, _), (after, b, _) = self.last, pending[0]
        if b is not ahead:
            if after - before > self._gap_ns and not self._usual(after - before):
                return None
            self._ahead = b
            self._last_used = True
        between = a + (b - a) * ((time_ns - before) / (after - before))
        return between, np.nan if b is ahead else b

    def _usual(self, hole_ns: int) -> bool:
        """Whether a hole is no longer than the pace at which it speaks anyway."""
        known = len(self._past) >= LEAST_PACE
        return known and hole_ns <= usual_hole_ns(self._past, self._gap_ns)
