"""Times of a regular source without the jitter of its stamps.

A sensor samples evenly, but its stamps jitter. Where they lie about a border between two rows of
the grid, two samples would come into one row and none into the next. So a stamp is moved onto the
lattice that the newest ones lie on. That lattice is a mean over a few stamps, not a loop that is
locked: who begins to read later, at a stored event say, has the same times after `NEWEST` samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.compiled import inlined

NEWEST = 16  # stamps that a lattice is measured on
DEJITTER = 3 + NEWEST  # numbers that are remembered
_FEWEST = 4
_MOST_A_ROW = 8  # samples of a source so fast that one more or less in a row hardly matters
# Of the spacing: the standard deviation about the lattice up to which there is one (evenly spread
# stamps have 0.29); by how much it may drift from the older half of the stamps to the newer; the
# least step (those of a burst are less); how near to a row's time the lattice is taken to be at it.
_SPREAD, _DRIFT, _LEAST_STEP, _NEAR = 0.17, 0.2, 0.3, 0.125

Times = NDArray[np.int64]


def new_dejitter(grid_ns: int) -> Times:
    """What `dejittered` remembers of one source: period of the grid, count, newest, stamps."""
    state = np.zeros(DEJITTER, np.int64)
    state[0] = grid_ns
    forget(state)
    return state


def forget(state: Times) -> None:
    """Begin anew."""
    state[1], state[2] = 0, np.iinfo(np.int64).min


@inlined
def _off(state: Times, oldest: int, newest: int, spacing_ns: int) -> int:
    """How far the lattice is ahead of the newest stamp; 0 where the stamps make none."""
    time_ns, half_ns = state[3 + newest % NEWEST], spacing_ns // 2
    middle = (oldest + newest) // 2
    before_ns, total, older, squares = time_ns - (1 << 62), 0, 0, 0.0
    for k in range(oldest, newest + 1):
        stamp_ns = state[3 + k % NEWEST]
        if stamp_ns - before_ns < _LEAST_STEP * spacing_ns:
            return 0
        before_ns = stamp_ns
        off = (stamp_ns - time_ns + half_ns) % spacing_ns - half_ns
        total += off
        squares += float(off) * off
        if k <= middle:
            older += off
    count, first = newest + 1 - oldest, middle + 1 - oldest
    mean = total / count
    drift = (total - older) / (count - first) - older / first
    if abs(drift) > _DRIFT * spacing_ns:
        return 0
    if squares / count - mean * mean > (_SPREAD * spacing_ns) ** 2:
        return 0
    at_ns = time_ns + round(mean)
    beyond = (at_ns + half_ns) % spacing_ns - half_ns
    return at_ns - time_ns - (beyond if abs(beyond) <= _NEAR * spacing_ns else 0)


@inlined
def dejittered(state: Times, time_ns: int) -> int:
    """The time at which the sample of this stamp (ns, rising) was taken; later than the last one's.

    It moves by less than half a spacing of the samples, and not at all where the stamps are spread
    over the rows, as those of a source of quite another rate are.
    """
    grid_ns, newest = state[0], state[1]
    state[3 + newest % NEWEST] = time_ns
    state[1] = newest + 1
    oldest = max(newest + 1 - NEWEST, 0)
    moved = time_ns
    if newest + 1 >= _FEWEST:
        step = max(time_ns - state[3 + oldest % NEWEST], 1) / (newest - oldest)
        a_row = max(round(grid_ns / step), 1)
        if a_row <= _MOST_A_ROW:
            moved += _off(state, oldest, newest, grid_ns // a_row)
    state[2] = max(moved, state[2] + 1)
    return state[2]
