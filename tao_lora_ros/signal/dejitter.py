"""Times of a regular source without the jitter of its stamps.

A sensor samples evenly, but its stamps jitter. Where they lie about a border between two rows of
the grid, two samples would come into one row and none into the next. So a stamp is moved onto the
lattice that the newest ones lie on. That lattice is a mean over a few stamps, not a loop that is
locked: who begins to read later, at a stored event say, has the same times after `NEWEST` samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.compiled import compiled

NEWEST = 16  # stamps that a lattice is measured on
DEJITTER = 3 + NEWEST  # numbers that are remembered
_FEWEST = 4
_MOST_A_ROW = 8  # samples of a source so fast that one more or less in a row hardly matters
# Of the spacing: the standard deviation about the lattice up to which there is one (evenly spread
# stamps have 0.29), and how near to a row's time the lattice is taken to be at it.
_SPREAD, _NEAR = 0.17, 0.125

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


@compiled
def _off(stamps: Times, time_ns: int, spacing_ns: int) -> int:
    """How far the lattice is ahead of this stamp; 0 where the stamps make none."""
    half_ns, total, squares = spacing_ns // 2, 0, 0.0
    for stamp in stamps:
        off = (stamp - time_ns + half_ns) % spacing_ns - half_ns
        total += off
        squares += float(off) * off
    mean = total / len(stamps)
    if squares / len(stamps) - mean * mean > (_SPREAD * spacing_ns) ** 2:
        return 0
    at_ns = time_ns + round(mean)
    beyond = (at_ns + half_ns) % spacing_ns - half_ns
    return at_ns - time_ns - (beyond if abs(beyond) <= _NEAR * spacing_ns else 0)


@compiled
def dejittered(state: Times, time_ns: int) -> int:
    """The time at which the sample of this stamp (ns, rising) was taken; later than the last one's.

    It moves by less than half a spacing of the samples, and not at all where the stamps are spread
    evenly over the rows, as those of a source of quite another rate are.
    """
    grid_ns, count = state[0], state[1]
    state[3 + count % NEWEST] = time_ns
    state[1] = count + 1
    known = min(count + 1, NEWEST)
    moved = time_ns
    if known >= _FEWEST:
        oldest = (count + 1) % NEWEST if known == NEWEST else 0
        step = max(time_ns - state[3 + oldest], 1) / (known - 1)
        a_row = max(round(grid_ns / step), 1)
        if a_row <= _MOST_A_ROW:
            moved += _off(state[3 : 3 + known], time_ns, grid_ns // a_row)
    state[2] = max(moved, state[2] + 1)
    return state[2]
