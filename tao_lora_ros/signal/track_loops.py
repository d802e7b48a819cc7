"""Samples of the sources that wait for the grid to reach them: compiled loops over plain arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.cadence import LEAST_PACE, PACE, SLOWEST_NS, period_ns, usual_hole_ns
from tao_lora_ros.signal.compiled import compiled, inlined
from tao_lora_ros.signal.dejitter import DEJITTER, dejittered, forget, new_dejitter

NEVER = -(1 << 63)  # before any stamp, in ns
_BEHIND = 2048  # late samples that are remembered, at most
CONSTANT_NS = 1_000_000_000  # for so long they are so, without a break
# Samples that overtake each other, or come in clumps, are waited for until none has for so long.
_SLACK_NS = 10_000_000_000
_CAPACITY = 64  # samples that wait, at first

Values = NDArray[np.float64]

TRACK = np.dtype(
    [
        ("first", np.int64),  # of the source's columns in a row
        ("width", np.int64),  # how many
        ("lag_ns", np.int64),  # of its stamps
        ("grid_ns", np.int64),  # period of the grid
        ("gap_ns", np.int64),  # longest hole that is interpolated, whatever the source's pace
        ("timeout_ns", np.int64),  # how far behind the others it is waited for, likewise
        ("newest_ns", np.int64),  # newest stamp, less lag and jitter; `NEVER` before the first
        ("sent_ns", np.int64),  # the same with its jitter
        ("ready_ns", np.int64),  # up to where nothing is expected to come any more
        ("begins_ns", np.int64),  # nothing up to here is taken
        ("slack_ns", np.int64),  # how late samples come that others have overtaken
        ("slack_until_ns", np.int64),
        ("fell_ns", np.int64),  # how far behind the others it fell since it was last up with them
        ("clump_ns", np.int64),  # likewise, where it comes up again and again; 0: it does not
        ("clump_until_ns", np.int64),
        ("wait_ns", np.int64),  # how far behind it is waited for; 0 until somebody asks
        ("awaited_ns", np.int64),  # rows wait for it until then; `NEVER`: they do not
        ("pushed", np.int64),  # samples so far, the number of the next
        ("late", np.int64),  # that never reached a row: its row was given out before they came,
        ("restart", np.int64),  # all was forgotten,
        ("end", np.int64),  # or the input ended
        ("head", np.int64),  # of the ring of those that wait
        ("count", np.int64),
        ("passed", np.bool_),  # a row has passed one
        ("last_ns", np.int64),  # the newest of these
        ("last_stamp_ns", np.int64),  # its stamp, as it was sent
        ("last_used", np.bool_),  # it has reached a row
        ("ahead", np.int64),  # number of the one that rows were interpolated towards; -1: none
        ("past", np.int64, PACE),  # ring of the times that rows have passed
        ("past_count", np.int64),
        ("behind_whom", np.int64),
        ("behind_count", np.int64),
        ("jitter", np.int64, DEJITTER),
    ]
)
_LAST, _AHEAD = 0, 1


class Tracks(NamedTuple):
    """All that waits, of S sources; the loops below work on it in place.

    Args:
        now: of each, [S].
        times: time, number and stamp of each sample that waits, rings [S, capacity, 3].
        values: theirs, [S, capacity, channels of the widest].
        beside: those of the last sample and of the one ahead, [S, 2, channels of the widest].
        behind: newest samples that were late, or on another clock, one after the other: time, how
            far they were behind (ahead: negative) of the source `behind_whom`, and how many samples
            there were by then; ring [S, _, 3].
    """

    now: NDArray
    times: NDArray[np.int64]
    values: Values
    beside: Values
    behind: NDArray[np.int64]


def new_tracks(
    widths: list[int], lags_ns: list[int], grid_ns: int, gap_ns: int, timeout_ns: int
) -> Tracks:
    """Of sources that have not spoken yet."""
    count, widest = len(widths), max(widths)
    now = np.zeros(count, TRACK)
    now["first"] = np.cumsum([0, *widths[:-1]])
    now["width"], now["lag_ns"] = widths, lags_ns
    now["grid_ns"], now["gap_ns"], now["timeout_ns"] = grid_ns, gap_ns, timeout_ns
    now["ahead"] = -1
    for one in now:
        one["jitter"] = new_dejitter(grid_ns)
        begin_anew(one)
    return Tracks(
        now,
        np.zeros((count, _CAPACITY, 3), np.int64),
        np.zeros((count, _CAPACITY, widest)),
        np.zeros((count, 2, widest)),
        np.zeros((count, _BEHIND, 3), np.int64),
    )


def begin_anew(now: np.void) -> None:
    """Forget a source's clock and pace."""
    now["newest_ns"] = now["ready_ns"] = now["begins_ns"] = now["awaited_ns"] = NEVER
    now["sent_ns"] = NEVER
    now["slack_ns"] = now["slack_until_ns"] = now["wait_ns"] = now["past_count"] = 0
    now["fell_ns"] = now["clump_ns"] = now["clump_until_ns"] = 0
    forget(now["jitter"])


def with_room(tracks: Tracks) -> Tracks:
    """The same with room for twice as many samples."""
    capacity = tracks.times.shape[1]
    order = (tracks.now["head"][:, None] + np.arange(capacity)) % capacity
    tracks.now["head"] = 0
    times, values = (
        np.concatenate((np.take_along_axis(ring, order[:, :, None], axis=1), ring), axis=1)
        for ring in (tracks.times, tracks.values)
    )
    return tracks._replace(times=times.astype(np.int64), values=values.astype(np.float64))


@inlined
def push(tracks, s, stamp_ns, values):
    """Add a sample, of which there is room for one more."""
    track = tracks.now[s]
    time_ns = stamp_ns - track.lag_ns
    track.pushed += 1
    if time_ns < track.sent_ns:
        _insert(tracks, s, time_ns, values)
        return
    track.sent_ns = time_ns
    time_ns = dejittered(track.jitter, time_ns)
    if track.slack_ns and time_ns > track.slack_until_ns:
        track.slack_ns = 0
    track.newest_ns = time_ns
    track.ready_ns = time_ns - track.slack_ns
    track.wait_ns = 0
    if time_ns <= track.begins_ns:
        track.restart += 1
    else:
        _put(tracks, s, track.count, time_ns, stamp_ns, values)


@compiled
def _insert(tracks, s, time_ns, values):
    """Put an overtaken sample into its place, and be ready for more like it."""
    track = tracks.now[s]
    track.slack_ns = max(track.slack_ns, track.sent_ns - time_ns)
    track.slack_until_ns = track.newest_ns + _SLACK_NS
    track.ready_ns = track.newest_ns - track.slack_ns
    if time_ns <= track.begins_ns or (track.passed and time_ns <= track.last_ns):
        track.late += 1
        return
    capacity, place = tracks.times.shape[1], track.count
    while place and tracks.times[s, (track.head + place - 1) % capacity, 0] > time_ns:
        before, after = (track.head + place - 1) % capacity, (track.head + place) % capacity
        tracks.times[s, after] = tracks.times[s, before]
        tracks.values[s, after] = tracks.values[s, before]
        place -= 1
    _put(tracks, s, place, time_ns, time_ns + track.lag_ns, values)


@inlined
def _put(tracks, s, place, time_ns, stamp_ns, values):
    track = tracks.now[s]
    at = (track.head + place) % tracks.times.shape[1]
    times = tracks.times[s, at]
    times[0], times[1], times[2] = time_ns, track.pushed, stamp_ns
    for c in range(track.width):
        tracks.values[s, at, c] = values[c]
    track.count += 1


@compiled
def _stamps(tracks, s):
    """The newest stamps, passed by rows or not, `PACE` at most."""
    track, capacity = tracks.now[s], tracks.times.shape[1]
    waiting = min(track.count, PACE)
    passed = min(track.past_count, PACE - waiting)
    stamps = np.empty(passed + waiting, np.int64)
    for i in range(passed):
        stamps[i] = track.past[(track.past_count - passed + i) % PACE]
    for i in range(waiting):
        at = (track.head + track.count - waiting + i) % capacity
        stamps[passed + i] = tracks.times[s, at, 0]
    return stamps


@compiled
def measured_period_ns(tracks, s):
    """Median step between the newest stamps; 0 for fewer than two."""
    return period_ns(_stamps(tracks, s))


@inlined
def note_delivery(tracks, s):
    """See whether a source, of which a sample came, falls behind and comes up: late, in clumps.

    As over a wireless link. One that is behind by its stamps never comes up.
    """
    track, ahead_ns = tracks.now[s], np.int64(NEVER)
    for other in tracks.now:
        ahead_ns = max(ahead_ns, other.newest_ns)
    fell_ns = ahead_ns - track.newest_ns
    track.fell_ns = max(track.fell_ns, fell_ns)
    if fell_ns > track.timeout_ns // 2:
        return
    if track.timeout_ns < track.fell_ns <= SLOWEST_NS:
        if track.newest_ns < track.clump_until_ns:  # one before: no single delay
            track.clump_ns = max(track.clump_ns, track.fell_ns)
        track.clump_until_ns = track.newest_ns + _SLACK_NS
    elif track.newest_ns > track.clump_until_ns:
        track.clump_ns = 0
    track.fell_ns = 0


@compiled
def waited_for(tracks, s, ahead_ns):
    """Whether rows wait for this source while another is at `ahead_ns`."""
    track = tracks.now[s]
    if track.newest_ns == NEVER:
        return False
    if not track.wait_ns:
        stamps = _stamps(tracks, s)
        # Who has spoken once may be slow.
        slow = len(stamps) <= 1
        least_ns = max(track.timeout_ns, SLOWEST_NS) if slow else track.timeout_ns
        least_ns += track.clump_ns
        track.wait_ns = usual_hole_ns(stamps, least_ns)
    return track.newest_ns >= ahead_ns - track.wait_ns


@inlined
def take(tracks, s, time_ns, values, fresh):
    """Write the mean of the last period, else what is interpolated; and what of it is fresh.

    Both [channels of all], NaN before. Returns whether there is anything.
    """
    track = tracks.now[s]
    to = slice(track.first, track.first + track.width)
    return _take(tracks, s, time_ns, values[to], fresh[to])


@inlined
def _take(tracks, s, time_ns, values, fresh):
    track, capacity, width = tracks.now[s], tracks.times.shape[1], len(values)
    last, ahead = tracks.beside[s, _LAST], tracks.beside[s, _AHEAD]
    towards, count, again = track.ahead, 0, False
    since_ns = time_ns - track.grid_ns
    while track.count and tracks.times[s, track.head, 0] <= time_ns:
        if track.passed and not track.last_used:
            track.late += 1
        track.passed, track.last_ns = True, tracks.times[s, track.head, 0]
        track.last_stamp_ns = tracks.times[s, track.head, 2]
        track.past[track.past_count % PACE] = track.last_ns
        track.past_count += 1
        again |= tracks.times[s, track.head, 1] == towards
        track.last_used = track.last_ns > since_ns
        for c in range(width):
            last[c] = tracks.values[s, track.head, c]
            if track.last_used:
                values[c] = values[c] + last[c] if count else last[c]
        count += track.last_used
        track.head = (track.head + 1) % capacity
        track.count -= 1
    if again:
        track.ahead = -1
    if count:
        for c in range(width):
            total = values[c]
            values[c] = total / count if count > 1 else total
            fresh[c] = values[c]
            if again:
                fresh[c] = (total - ahead[c]) / (count - 1) if count > 1 else np.nan
        return True
    if not track.passed or not track.count:
        return False
    before, after = track.last_ns, tracks.times[s, track.head, 0]
    number = tracks.times[s, track.head, 1]
    if number != towards:
        if after - before > track.gap_ns and not _usual(tracks, s, after - before):
            return False
        track.ahead = number
        track.last_used = True
    share = (time_ns - before) / (after - before)
    for c in range(width):
        a, b = last[c], tracks.values[s, track.head, c]
        values[c] = a + (b - a) * share
        if number != towards:
            fresh[c] = ahead[c] = b
    return True


@compiled
def _usual(tracks, s, hole_ns):
    """Whether a hole is no longer than the pace at which it speaks anyway."""
    track = tracks.now[s]
    count = min(track.past_count, PACE)
    if count < LEAST_PACE:
        return False
    stamps = np.empty(count, np.int64)
    for i in range(count):
        stamps[i] = track.past[(track.past_count - count + i) % PACE]
    return hole_ns <= usual_hole_ns(stamps, track.gap_ns)


@compiled
def note_behind(tracks, s, time_ns, whom, offset_ns):
    """Note a sample that was late, or on another clock."""
    track, behind = tracks.now[s], tracks.behind[s]
    if track.behind_count:
        newest_ns = behind[(track.behind_count - 1) % len(behind), 0]
        if not 0 <= time_ns - newest_ns < CONSTANT_NS:
            track.behind_count = 0
    at = track.behind_count % len(behind)
    behind[at, 0], behind[at, 1], behind[at, 2] = time_ns, offset_ns, track.pushed
    track.behind_count += 1
    track.behind_whom = whom
