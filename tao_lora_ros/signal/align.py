"""Bring sources of different rates and lags onto one grid of times, by stamp.

Grid times are whole multiples of the period, and a row is given out once every live source has
passed its time. So the rows depend on the stamps alone, not on the order in which messages of
different topics arrive: a live node and a replay give the same rows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEVER = -(1 << 63)  # before any stamp, in ns


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


class _Track:
    """Samples of one source that wait for the grid to reach them."""

    def __init__(self, columns: slice, lag_ns: int) -> None:
        self.columns = columns
        self.lag_ns = lag_ns
        self.pending: deque[tuple[int, NDArray[np.float64]]] = deque()
        self.clear()

    def clear(self) -> None:
        self.newest_ns = NEVER
        self.pending.clear()
        self.last: tuple[int, NDArray[np.float64]] | None = None
        self._ahead_used = False  # whether the next sample has been interpolated towards

    def push(self, stamp_ns: int, values: NDArray[np.float64]) -> None:
        self.newest_ns = stamp_ns - self.lag_ns
        self.pending.append((self.newest_ns, values))

    def take(
        self, time_ns: int, period_ns: int, max_gap_ns: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | float] | None:
        """Mean of the last period, else interpolated, else None; and what of it is fresh."""
        total: NDArray[np.float64] | None = None
        pending, count = self.pending, 0
        ahead = pending[0][1] if self._ahead_used else None
        while pending and pending[0][0] <= time_ns:
            self.last = pending.popleft()
            self._ahead_used = False
            if self.last[0] > time_ns - period_ns:
                total = self.last[1] if total is None else total + self.last[1]
                count += 1
        if total is not None:
            mean = total if count == 1 else total / count
            if ahead is None:
                return mean, mean
            return mean, (total - ahead) / (count - 1) if count > 1 else np.nan
        if self.last is None or not pending:
            return None
        (before, a), (after, b) = self.last, pending[0]
        if after - before > max_gap_ns:
            return None
        self._ahead_used = True
        between = a + (b - a) * ((time_ns - before) / (after - before))
        return between, b if ahead is None else np.nan


class Aligner:
    """Resample N sources onto one grid.

    A grid interval that holds samples of a source takes their mean (no sample of a fast source is
    lost); one that holds none is interpolated between the neighbours; a hole longer than
    `max_gap_s` is marked NaN. A source that falls behind the newest by more than `timeout_s` is
    no longer waited for until it is back.

    Args:
        widths: channels of each source.
        lags_s: lag of each source's stamps in seconds, subtracted.
        rate_hz: grid rate.
        max_gap_s: longest hole that is interpolated.
        timeout_s: longest wait for a source.
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
        self._tracks = [
            _Track(slice(edges[i], edges[i + 1]), round(lags_s[i] * 1e9))
            for i in range(len(widths))
        ]
        self._channels = int(edges[-1])
        self._period_ns = round(1e9 / rate_hz)
        self._max_gap_ns = round(max_gap_s * 1e9)
        self._timeout_ns = round(timeout_s * 1e9)
        self._next_ns: int | None = None

    def clear(self) -> None:
        """Forget all samples."""
        self._next_ns = None
        for track in self._tracks:
            track.clear()

    def push(self, source: int, stamp_ns: int, values: NDArray[np.float64]) -> list[Row]:
        """Add a sample and give out the rows that became complete, oldest first."""
        track = self._tracks[source]
        track.push(stamp_ns, values)
        if self._next_ns is None:
            self._next_ns = self._start()
            if self._next_ns is None:
                return []
        elif track.newest_ns < self._next_ns:  # as before: the next row lacks somebody
            return []
        rows = []
        ready_ns = self._ready_until()
        while self._next_ns <= ready_ns:
            rows.append(self._row(self._next_ns))
            self._next_ns += self._period_ns
        return rows

    def _start(self) -> int | None:
        """The first grid time, once every source spoke or was waited for long enough."""
        started = [track for track in self._tracks if track.pending]
        first = min(track.pending[0][0] for track in started)
        waited = max(track.pending[-1][0] for track in started) - first
        if len(started) < len(self._tracks) and waited <= self._timeout_ns:
            return None
        return -(-first // self._period_ns) * self._period_ns

    def _ready_until(self) -> int:
        """Oldest of the newest stamps among the sources that are waited for."""
        newest = [track.newest_ns for track in self._tracks]
        oldest = max(newest) - self._timeout_ns
        return min([stamp for stamp in newest if stamp >= oldest])

    def _row(self, time_ns: int) -> Row:
        values = np.full(self._channels, np.nan)
        fresh = values  # where every sample falls on a row of its own
        stamp_ns, empty = 0, True
        for track in self._tracks:
            taken = track.take(time_ns, self._period_ns, self._max_gap_ns)
            if taken is not None:
                if taken[1] is not taken[0] and fresh is values:
                    fresh = values.copy()
                values[track.columns], fresh[track.columns] = taken
                empty = False
            if track.last is not None:
                stamp_ns = max(stamp_ns, track.last[0] + track.lag_ns)
        return Row(time_ns, stamp_ns, values, fresh, empty)
