"""Bring sources of different rates and lags onto one grid of times, by stamp.

Grid times are whole multiples of the period, and a row is given out once every live source has
passed its time. So the rows depend on the stamps alone, not on the order in which messages of
different topics arrive: a live node and a replay give the same rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal import track_loops
from tao_lora_ros.signal.compiled import compiled, entry, inlined
from tao_lora_ros.signal.track import Track
from tao_lora_ros.signal.track_loops import NEVER

TIME, STAMP, FLAGS, MESSAGE = range(4)  # in `Rows.times`
EMPTY, AFTER_GLITCH = 1, 2  # flags
_MOST_ROWS = 1024  # that are given out in one piece

_GRID = np.dtype(
    [
        ("started", np.bool_),
        ("next_ns", np.int64),  # time of the next row
        ("until_ns", np.int64),  # rows up to here are complete
        ("period_ns", np.int64),
        ("timeout_ns", np.int64),
    ]
)
Times = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """All channels at one grid time, see `Rows`."""

    time_ns: int
    stamp_ns: int
    values: Values
    fresh: Values
    empty: bool = False


@dataclass(slots=True)  # frozen it would take as long to make as to fill
class Rows:
    """Rows of a block of messages, oldest first: all channels at one grid time each.

    Args:
        times: of each, [n, 4]: the grid time (`TIME`); the newest input stamp, as its sender wrote
            it, that went into it (`STAMP`); `EMPTY` where all sources have a gap, and what else was
            noted (`FLAGS`); the message of the block that released it (`MESSAGE`).
        values: [n, C], NaN where a source has a gap.
        fresh: [n, C] too: the samples, or their mean, that went into this row first; NaN where none
            did. To an interpolated row the sample ahead is fresh, so to the row at that sample it
            is not.
    """

    times: Times
    values: Values
    fresh: Values

    def __len__(self) -> int:
        return len(self.times)

    def part(self, begin: int, end: int | None = None) -> Rows:
        """Some of them."""
        if not begin and (end is None or end >= len(self.times)):
            return self
        return Rows(self.times[begin:end], self.values[begin:end], self.fresh[begin:end])

    def by_message(self) -> Iterator[tuple[int, Rows]]:
        """The rows of each message that released any, by its number."""
        numbers = self.times[:, MESSAGE].tolist()
        begin = 0
        while begin < len(numbers):
            end = bisect_right(numbers, numbers[begin], begin)
            yield numbers[begin], self.part(begin, end)
            begin = end

    def __iter__(self) -> Iterator[Row]:
        for (time_ns, stamp_ns, flags, _), values, fresh in zip(
            self.times.tolist(), self.values, self.fresh, strict=True
        ):
            yield Row(time_ns, stamp_ns, values, fresh, bool(flags & EMPTY))


def joined(parts: Sequence[Rows]) -> Rows:
    """All of one or more parts."""
    if len(parts) == 1:
        return parts[0]
    return Rows(
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.fresh for part in parts]),
    )


class Aligner:
    """Resample N sources onto one grid.

    A grid interval that holds samples of a source takes their mean (no sample of a fast source is
    lost); one that holds none is interpolated between the neighbours; a hole longer than
    `max_gap_s` and than two and a half of the source's own periods is marked NaN. A source that
    falls behind the newest by more than `timeout_s` and than as many of its periods is no longer
    waited for until it is back. A source whose samples overtake each other is waited for longer, by
    as much, so that only the first of them comes too late; likewise one whose samples come in
    clumps, with good stamps.

    Args:
        widths: channels of each source.
        lags_s: lag of each source's stamps in seconds, subtracted.
        rate_hz: grid rate.
        max_gap_s: longest hole that is interpolated in a fast source.
        timeout_s: longest wait for a fast source.

    Attributes:
        tracks: of each source, with what never reached a row.
        nothing: no rows.
    """

    def __init__(
        self,
        widths: list[int],
        lags_s: list[float],
        rate_hz: float,
        max_gap_s: float,
        timeout_s: float,
    ) -> None:
        lags_ns = [round(lag_s * 1e9) for lag_s in lags_s]
        self._grid = np.zeros(1, _GRID)
        self._grid["period_ns"] = round(1e9 / rate_hz)
        self._grid["timeout_ns"] = timeout_ns = round(timeout_s * 1e9)
        gap_ns = round(max_gap_s * 1e9)
        self._tracks = track_loops.new_tracks(
            widths, lags_ns, round(1e9 / rate_hz), gap_ns, timeout_ns
        )
        self.tracks = [Track(self._tracks, source) for source in range(len(widths))]
        channels = sum(widths)
        self._rows = np.zeros((_MOST_ROWS, 4), np.int64), np.zeros((_MOST_ROWS, 2, channels))
        self.nothing = Rows(self._rows[0][:0], *np.zeros((2, 0, channels)))
        self._one = np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros((1, max(widths)))
        self._own = [self._one[2][0, :width] for width in widths]  # of each source's sample
        self._advance = entry(_advance, self._tracks, self._grid, *self._one, 0, *self._rows)
        self.clear()

    def clear(self) -> None:
        """Forget all samples; those that wait are counted as never used."""
        self._grid["started"] = False
        self._grid["until_ns"] = NEVER
        for one in self.tracks:
            one.clear()

    def finish(self) -> None:
        """Count what waits as never used: no more will come."""
        for one in self.tracks:
            one.finish()

    def wait_for(self, source: int, stamp_ns: int) -> None:
        """Wait for a source that seems to be back after a hole, at a stamp that is in doubt."""
        now = self._tracks.now
        newest = max(int(now["newest_ns"].max()), stamp_ns - int(now["lag_ns"][source]))
        now["awaited_ns"][source] = newest + self._grid["timeout_ns"][0]

    def restart(self, source: int, stamp_ns: int) -> None:
        """Begin a source anew at a stamp: its past says nothing of what comes, the others go on.

        It is absent from one row at least, so that nobody takes the step for motion.
        """
        now, grid = self._tracks.now, self._grid[0]
        newest = int(now["newest_ns"].max())
        time_ns = min(stamp_ns - int(now["lag_ns"][source]), newest)  # the stamp may be a stray one
        period_ns = int(grid["period_ns"])
        begins_ns = -(-time_ns // period_ns) * period_ns
        next_ns = int(grid["next_ns"]) if grid["started"] else begins_ns
        self.tracks[source].begin(max(begins_ns, next_ns))

    def push(self, source: int, stamp_ns: int, values: Values) -> Rows:
        """Add a sample, [channels of the source]; see `push_block`."""
        sources, stamps, one = self._one
        sources[0], stamps[0], self._own[source][:] = source, stamp_ns, values
        return self._add(sources, stamps, one)

    def push_block(self, sources: Times, stamps_ns: Times, values: Values) -> Rows:
        """Add samples in the order of their arrival, and give out the rows that became complete.

        Args:
            sources: of each, int64 [n].
            stamps_ns: as sent, int64 [n].
            values: float64 [n, channels of the widest source].
        """
        return self._add(
            np.ascontiguousarray(sources, np.int64),
            np.ascontiguousarray(stamps_ns, np.int64),
            np.ascontiguousarray(values, np.float64),
        )

    def _add(self, sources: Times, stamps_ns: Times, values: Values) -> Rows:
        """The same, of arrays in one piece."""
        parts: list[Rows] = []
        done, times, both = 0, *self._rows
        while True:
            done, count = self._advance(
                self._tracks, self._grid, sources, stamps_ns, values, done, times, both
            )
            if count:
                parts.append(
                    Rows(times[:count].copy(), both[:count, 0].copy(), both[:count, 1].copy())
                )
            elif done < len(sources):
                self._tracks = track_loops.with_room(self._tracks)
                for one in self.tracks:
                    one.use(self._tracks)
            if count < len(times) and done == len(sources):
                return joined(parts) if parts else self.nothing


@compiled
def _advance(tracks, grid, sources, stamps_ns, values, done, times, rows):
    """Take samples from `done` on; how many were taken by the end, and how many rows came of it.

    Stops where there is no room for another row, or another sample.
    """
    now, count = grid[0], 0
    while True:
        while now.started and now.next_ns <= now.until_ns:
            if count == len(times):
                return done, count
            _row(tracks, now.next_ns, times[count], rows[count])
            times[count, MESSAGE] = done - 1
            now.next_ns += now.period_ns
            count += 1
        now.until_ns = NEVER
        if done == len(sources):
            return done, count
        source = sources[done]
        if tracks.now[source].count == tracks.times.shape[1]:
            return done, count
        track_loops.push(tracks, source, stamps_ns[done], values[done])
        _follow(tracks, now, source, stamps_ns[done])
        done += 1


@inlined
def _follow(tracks, now, source, stamp_ns):
    """See what a sample, the newest, makes complete."""
    own = tracks.now[source]
    track_loops.note_delivery(tracks, source)
    if _still_awaited(tracks, own):
        return
    if not now.started:
        if not _start(tracks, now):
            return
    elif own.ready_ns < now.next_ns:  # as before: the next row lacks somebody
        time_ns = stamp_ns - own.lag_ns
        if time_ns <= now.next_ns - now.period_ns:
            _note_late(tracks, now, source, time_ns)
        return
    now.until_ns = _ready_until(tracks, now.timeout_ns)


@inlined
def _still_awaited(tracks, own):
    own.awaited_ns = NEVER
    awaited = False
    for other in tracks.now:
        if other.awaited_ns != NEVER:
            newest = NEVER
            for one in tracks.now:
                newest = max(newest, one.newest_ns)
            if newest > other.awaited_ns:
                other.awaited_ns = NEVER
            else:
                awaited = True
    return awaited


@compiled
def _note_late(tracks, now, source, time_ns):
    """A sample's row was given out before it came: is its source behind, and whom?"""
    whom = 0
    for s in range(len(tracks.now)):
        if tracks.now[s].newest_ns > tracks.now[whom].newest_ns:
            whom = s
    ahead_ns = tracks.now[whom].newest_ns
    if tracks.now[source].newest_ns < ahead_ns - now.timeout_ns:
        track_loops.note_behind(tracks, source, time_ns, whom, ahead_ns - time_ns)


@compiled
def _start(tracks, now):
    """Find the first grid time, once every source spoke or was waited for long enough."""
    started, first, newest = 0, np.int64(0), np.int64(0)
    for s in range(len(tracks.now)):
        one = tracks.now[s]
        if one.count:
            begin = tracks.times[s, one.head, 0]
            end = tracks.times[s, (one.head + one.count - 1) % tracks.times.shape[1], 0]
            first = min(first, begin) if started else begin
            newest = max(newest, end) if started else end
            started += 1
    if not started or (started < len(tracks.now) and newest - first <= now.timeout_ns):
        return False
    now.next_ns = -(-first // now.period_ns) * now.period_ns
    now.started = True
    return True


@inlined
def _ready_until(tracks, timeout_ns):
    """Oldest of the newest stamps among the sources that are waited for."""
    ahead = behind = tracks.now[0].ready_ns
    for one in tracks.now:
        ahead, behind = max(ahead, one.ready_ns), min(behind, one.ready_ns)
    if behind != NEVER and behind >= ahead - timeout_ns:
        return behind
    until = ahead
    for s in range(len(tracks.now)):
        if track_loops.waited_for(tracks, s, ahead):
            until = min(until, tracks.now[s].ready_ns)
    return until


@inlined
def _row(tracks, time_ns, times, rows):
    rows[:] = np.nan
    stamp_ns, empty = np.int64(0), True
    for s in range(len(tracks.now)):
        empty &= not track_loops.take(tracks, s, time_ns, rows[0], rows[1])
        one = tracks.now[s]
        if one.passed:
            stamp_ns = max(stamp_ns, one.last_stamp_ns)
    times[TIME], times[STAMP], times[FLAGS] = time_ns, stamp_ns, EMPTY if empty else 0
