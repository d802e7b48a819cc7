"""What waits of one source: what a user is told of it, and what is asked of it now and then."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal import track_loops
from tao_lora_ros.signal.cadence import PACE
from tao_lora_ros.signal.dejitter import forget
from tao_lora_ros.signal.track_loops import CONSTANT_NS, NEVER, Tracks, begin_anew


class Track:
    """What a user is told of a source's samples, and what is asked of them now and then."""

    def __init__(self, tracks: Tracks, source: int) -> None:
        self._source = source
        self.use(tracks)

    def use(self, tracks: Tracks) -> None:
        """Look at these from now on."""
        self._tracks, self._now = tracks, tracks.now[self._source]

    @property
    def pushed(self) -> int:
        """Samples so far."""
        return int(self._now["pushed"])

    @property
    def newest_ns(self) -> int:
        """Newest stamp, less lag and jitter; `NEVER` before the first."""
        return int(self._now["newest_ns"])

    @property
    def unused(self) -> Counter[str]:
        """Samples that never reached a row, by reason: `late` where its row was given out before it
        came, `restart`, or `end` of the input."""
        names = ("late", "restart", "end")
        return Counter({name: count for name in names if (count := int(self._now[name]))})

    @property
    def waiting(self) -> int:
        """Samples that may still reach a row."""
        return self._pending + bool(self._now["passed"] and not self._now["last_used"])

    @property
    def _pending(self) -> int:
        """Those that no row has passed or was interpolated towards."""
        return int(self._now["count"]) - (int(self._now["ahead"]) >= 0)

    @property
    def used(self) -> int:
        """Samples that went into a row."""
        return self.pushed - self.unused.total() - self.waiting

    @property
    def measured_period_ns(self) -> int:
        """Median step between the newest stamps; 0 for fewer than two."""
        return int(track_loops.measured_period_ns(self._tracks, self._source))

    @property
    def behind(self) -> bool:
        """Whether its newest samples were late, or on another clock."""
        return bool(self._now["behind_count"])

    @property
    def behind_whom(self) -> int:
        """The source that these were behind of."""
        return int(self._now["behind_whom"])

    @property
    def _late_ones(self) -> NDArray[np.int64]:
        """Times, how far they were behind, and the samples by then, [n, 3], oldest first."""
        ring, count = self._tracks.behind[self._source], int(self._now["behind_count"])
        return ring[np.arange(max(count - len(ring), 0), count) % len(ring)]

    @property
    def behind_ns(self) -> int:
        """Median of how far its late samples are behind; 0 without any."""
        offsets = np.sort(self._late_ones[:, 1])
        return int(offsets[len(offsets) // 2]) if len(offsets) else 0

    @property
    def behind_constantly(self) -> bool:
        """Whether most of its samples have been behind for a while, by the same."""
        late = self._late_ones
        if len(late) < PACE or late[-1, 0] - late[0, 0] < CONSTANT_NS:
            return False
        same = np.ptp(late[:, 1]) < self._now["timeout_ns"]
        return bool(same and 2 * len(late) > self.pushed - late[0, 2])

    @property
    def behind_by_turns(self) -> bool:
        """Whether it was late, less so, and later again: no single standstill."""
        late = self._late_ones[:, 1]
        rise = late - np.minimum.accumulate(late)
        return bool(rise.max(initial=0) >= self._now["timeout_ns"])

    @property
    def behind_most_ns(self) -> int:
        """How late its late samples came at most; 0 without any."""
        return int(self._late_ones[:, 1].max(initial=0))

    @property
    def clump_ns(self) -> int:
        """How far it falls behind the others and comes up again, over and over; 0: it does not."""
        return int(self._now["clump_ns"])

    def note_behind(self, time_ns: int, whom: int, offset_ns: int) -> None:
        """Note a sample that was late, or on another clock."""
        track_loops.note_behind(self._tracks, self._source, time_ns, whom, offset_ns)

    def clear(self) -> None:
        """Forget all samples; those that wait are counted as unused."""
        self._give_up("restart")
        begin_anew(self._now)

    def finish(self) -> None:
        """Count what waits as unused: no more will come."""
        self._give_up("end")

    def begin(self, begins_ns: int) -> None:
        """Take only what is newer than this time; forget what waits, but not the pace."""
        self._give_up("restart")
        self._now["begins_ns"] = begins_ns

    def change_lag(self, lag_ns: int) -> None:
        """Go by another lag from the newest late sample and a time-out on.

        So its stamps alone say where it begins, not how far the rows have come.
        """
        now, moved_ns = self._now, int(self._now["lag_ns"]) - lag_ns
        self.begin(int(self._late_ones[-1, 0]) + moved_ns + int(now["timeout_ns"]))
        now["past_count"] = now["behind_count"] = 0
        forget(now["jitter"])
        now["lag_ns"] = lag_ns
        if now["newest_ns"] != NEVER:
            now["newest_ns"] += moved_ns
            now["sent_ns"] += moved_ns
            now["ready_ns"] += moved_ns

    def _give_up(self, reason: str) -> None:
        now = self._now
        now["late"] += now["passed"] and not now["last_used"]
        now[reason] += self._pending
        now["count"], now["passed"], now["last_used"], now["ahead"] = 0, False, False, -1
