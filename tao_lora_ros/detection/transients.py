"""When a transient began, when it was strongest, and which channels drove it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.covariance import Array
from tao_lora_ros.signal.compiled import compiled, inlined

ONSET_ENERGY_RATIO = 4.0
NOISE = 3.0


@dataclass(frozen=True)
class Transient:
    """One transient as far as it is known.

    Times are grid times in ns; `shares` is float64 [C], non-negative, sum 1; `end_ns` is the last
    row whose score was not yet below off_score, 0 while it goes on. `touchdown`: a load that is
    always borne in steady motion came back.
    """

    sequence: int
    onset_ns: int
    peak_ns: int
    peak_score: float
    shares: NDArray[np.float64]
    end_ns: int = 0
    touchdown: bool = False


_NOW = np.dtype(
    [
        ("sequence", np.int64),  # of the newest transient, -1 before the first
        ("onset_ns", np.int64),
        ("peak_ns", np.int64),
        ("end_ns", np.int64),
        ("above_ns", np.int64),  # newest row at off_score or above
        ("peak_score", np.float64),
        ("peak_energy_ratio", np.float64),
        ("rows", np.int64),  # observed
        ("touchdown", np.bool_),
    ]
)
_PAST = np.dtype([("time_ns", np.int64), ("energy_ratio", np.float64)])


class TrackerState(NamedTuple):
    """Describes the transient that the router reports, for C channels; L rows of longest scale.

    Onset: an alarm comes some rows late, so it is dated back to the first row of the alarming
    window that has more than `ONSET_ENERGY_RATIO` times the usual energy; to the alarm's row itself
    where there is none. Peak: the strongest row. Shares: how far each channel changed, row by row,
    beyond what noise explains (`NOISE` of its usual standard deviations), summed.
    """

    now: NDArray  # [1]
    past: NDArray  # ring of the newest rows, [L]
    deviations: Array  # theirs, [L, C]
    changes: Array  # of the transient, summed, [C]


def new_tracker(longest_scale: int, channels: int) -> TrackerState:
    """One that has seen no transient."""
    tracker = TrackerState(
        np.zeros(1, _NOW),
        np.zeros(longest_scale, _PAST),
        np.zeros((longest_scale, channels)),
        np.zeros(channels),
    )
    tracker.now["sequence"] = -1
    return tracker


def newest(tracker: TrackerState) -> Transient:
    """The transient that goes on, or that has just ended."""
    now = tracker.now[0]
    return Transient(
        int(now["sequence"]),
        int(now["onset_ns"]),
        int(now["peak_ns"]),
        float(now["peak_score"]),
        tracker.changes / tracker.changes.sum(),
        int(now["end_ns"]),
        bool(now["touchdown"]),
    )


@inlined
def observe(tracker, time_ns, energy_ratio, deviations):
    """Take one row, in a transient or not."""
    at = tracker.now[0].rows % len(tracker.past)
    tracker.now[0].rows += 1
    tracker.past[at].time_ns = time_ns
    tracker.past[at].energy_ratio = energy_ratio
    tracker.deviations[at] = deviations


@compiled
def begin(tracker, score, scale, touchdown):
    """The router alarmed at the newest row, by the window of `scale` rows."""
    now, past = tracker.now[0], tracker.past
    alarm = past[(now.rows - 1) % len(past)].time_ns
    now.sequence += 1
    now.touchdown = touchdown
    now.onset_ns, now.end_ns, now.above_ns = alarm, 0, alarm
    now.peak_score, now.peak_energy_ratio = score, -1.0
    tracker.changes[:] = 0.0
    strongest = 0
    for back in range(min(scale, now.rows) - 1, -1, -1):
        at = (now.rows - 1 - back) % len(past)
        if past[at].energy_ratio > ONSET_ENERGY_RATIO and past[at].time_ns < now.onset_ns:
            now.onset_ns = past[at].time_ns
        if past[at].energy_ratio > now.peak_energy_ratio:
            now.peak_energy_ratio, now.peak_ns = past[at].energy_ratio, past[at].time_ns
            strongest = at
        _add_beyond_noise(tracker, at)
    now.peak_ns = max(now.peak_ns, now.onset_ns)
    # The strongest row counts in full, so that there is always something to share.
    tracker.changes[:] += tracker.deviations[strongest]


@compiled
def go_on(tracker, score, off_score, touchdown):
    """The newest row belongs to the transient, be it the last one."""
    now = tracker.now[0]
    now.touchdown |= touchdown
    at = (now.rows - 1) % len(tracker.past)
    if score >= off_score:
        now.above_ns = tracker.past[at].time_ns
    if tracker.past[at].energy_ratio > now.peak_energy_ratio:
        now.peak_energy_ratio = tracker.past[at].energy_ratio
        now.peak_ns = tracker.past[at].time_ns
    now.peak_score = max(now.peak_score, score)
    _add_beyond_noise(tracker, at)


@compiled
def finish(tracker):
    """The router says that it is over."""
    now = tracker.now[0]
    now.end_ns = max(now.above_ns, now.peak_ns)


@compiled
def _add_beyond_noise(tracker, at):
    for c in range(len(tracker.changes)):
        tracker.changes[c] += max(tracker.deviations[at, c] - NOISE, 0.0)
