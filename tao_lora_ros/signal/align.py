"""Bring sources of different rates and lags onto one grid of times, by stamp.

Grid times are whole multiples of the period, and a row is given out once every live source has
passed its time. So the rows depend on the stamps alone, not on the order in which messages of
different topics arrive: a live node and a replay give the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.track import Track


@dataclass(frozen=True, slots=True)
class Row:
    """All channels at one grid time.

    `values` is float64 [C], NaN where a source has a gap; `empty`: all sources have one.
    `stamp_ns` is the newest input stamp, as its sender wrote it, that went into the row.
    `fresh` is float64 [C] too: the samples, or their mean, that went into this row first; NaN where
    none did. To an interpolated row the sample ahead is fresh, so to the row at that sample it is
    not.
    """

    time_ns: int
    stamp_ns: int
    values: NDArray[np.float64]
    fresh: NDArray[np.float64]
    empty: bool = False


class Aligner:
    """Resample N sources onto one grid.

    A grid interval that holds samples of a source takes their mean (no sample of a fast source is
    lost); one that holds none is interpolated between the neighbours; a hole longer than
    `max_gap_s` and than two and a half of the source's own periods is marked NaN. A source that
    falls behind the newest by more than `timeout_s` and than as many of its periods is no longer
    waited for until it is back. A source whose samples overtake each other is waited for longer, by
    as much, so that only the first of them comes too late.

    Args:
        widths: channels of each source.
        lags_s: lag of each source's stamps in seconds, subtracted.
        rate_hz: grid rate.
        max_gap_s: longest hole that is interpolated in a fast source.
        timeout_s: longest wait for a fast source.

    Attributes:
        tracks: of each source, with what never reached a row.
    """

    def __init__(
        self,
        widths: list[int],
        lags_s: list[float],
        rate_hz: float,
        max_gap_s: float,
        timeout_s: float,
    ) -> None:
        edges = np.cumsum([0, *widths])
        self._period_ns = round(1e9 / rate_hz)
        self._timeout_ns = round(timeout_s * 1e9)
        gap_ns = round(max_gap_s * 1e9)
        self.tracks: Sequence[Track] = [
            Track(
                slice(edges[i], edges[i + 1]),
                round(lags_s[i] * 1e9),
                self._period_ns,
                gap_ns,
                self._timeout_ns,
            )
            for i in range(len(widths))
        ]
        self._channels = int(edges[-1])
        self._next_ns: int | None = None
        self._awaited: dict[int, int] = {}  # sources, and until when

    def clear(self) -> None:
        """Forget all samples; those that wait are counted as never used."""
        self._next_ns = None
        self._awaited.clear()
        for track in self.tracks:
            track.clear()

    def finish(self) -> None:
        """Count what waits as never used: no more will come."""
        for track in self.tracks:
            track.finish()

    def wait_for(self, source: int, stamp_ns: int) -> None:
        """Wait for a source that seems to be back after a hole, at a stamp that is in doubt."""
        time_ns = stamp_ns - self.tracks[source].lag_ns
        newest = max(track.newest_ns for track in self.tracks)
        self._awaited[source] = max(newest, time_ns) + self._timeout_ns

    def restart(self, source: int, stamp_ns: int) -> None:
        """Begin a source anew at a stamp: its past says nothing of what comes, the others go on.

        It is absent from one row at least, so that nobody takes the step for motion.
        """
        track = self.tracks[source]
        newest = max(other.newest_ns for other in self.tracks)
        time_ns = min(stamp_ns - track.lag_ns, newest)  # the stamp itself may be a stray one
        begins_ns = -(-time_ns // self._period_ns) * self._period_ns
        track.begin(max(begins_ns, self._next_ns or begins_ns))

    def push(self, source: int, stamp_ns: int, values: NDArray[np.float64]) -> list[Row]:
        """Add a sample and give out the rows that became complete, oldest first."""
        track = self.tracks[source]
        track.push(stamp_ns, values)
        if self._awaited and self._still_awaited(source):
            return []
        if self._next_ns is None:
            self._next_ns = self._start()
            if self._next_ns is None:
                return []
        elif track.ready_ns < self._next_ns:  # as before: the next row lacks somebody
            if stamp_ns - track.lag_ns <= self._next_ns - self._period_ns:
                self._note_late(source, stamp_ns - track.lag_ns)
            return []
        rows = []
        ready_ns = self._ready_until()
        while self._next_ns <= ready_ns:
            rows.append(self._row(self._next_ns))
            self._next_ns += self._period_ns
        return rows

    def _still_awaited(self, source: int) -> bool:
        self._awaited.pop(source, None)
        newest = max(track.newest_ns for track in self.tracks)
        self._awaited = {who: until for who, until in self._awaited.items() if newest <= until}
        return bool(self._awaited)

    def _note_late(self, source: int, time_ns: int) -> None:
        """A sample's row was given out before it came: is its source behind, and whom?"""
        newest = [track.newest_ns for track in self.tracks]
        ahead_ns = max(newest)
        if newest[source] < ahead_ns - self._timeout_ns:
            whom = newest.index(ahead_ns)
            self.tracks[source].note_behind(time_ns, whom, ahead_ns - time_ns)

    def _start(self) -> int | None:
        """The first grid time, once every source spoke or was waited for long enough."""
        started = [track for track in self.tracks if track.pending]
        if not started:
            return None
        first = min(track.pending[0][0] for track in started)
        waited = max(track.pending[-1][0] for track in started) - first
        if len(started) < len(self.tracks) and waited <= self._timeout_ns:
            return None
        return -(-first // self._period_ns) * self._period_ns

    def _ready_until(self) -> int:
        """Oldest of the newest stamps among the sources that are waited for."""
        newest = [track.ready_ns for track in self.tracks]
        ahead, behind = max(newest), min(newest)
        if behind >= ahead - self._timeout_ns:
            return behind
        return min([track.ready_ns for track in self.tracks if track.waited_for(ahead)])

    def _row(self, time_ns: int) -> Row:
        values = np.full(self._channels, np.nan)
        fresh = values  # where every sample falls on a row of its own
        stamp_ns, empty = 0, True
        for track in self.tracks:
            taken = track.take(time_ns)
            if taken is not None:
                if taken[1] is not taken[0] and fresh is values:
                    fresh = values.copy()
                values[track.columns], fresh[track.columns] = taken
                empty = False
            if track.last is not None:
                stamp_ns = max(stamp_ns, track.last[2])
        return Row(time_ns, stamp_ns, values, fresh, empty)
