"""What energy is usual: its mean over several memories, which freezes in a transient.

Works in place on the state of `analyzer`.
"""

from __future__ import annotations

import numpy as np

from tao_lora_ros.detection.innovation import LAGS
from tao_lora_ros.signal.compiled import compiled

# Most that a longer memory counts, in terms of the shorter ones: after a motion it would remember
# too long how loud that was.
REACH = 2.0


@compiled
def usual(means):
    """The largest of the means in all memories, shortest first, as far as they reach."""
    largest = means[0]
    for m in range(1, len(means)):
        largest = max(largest, min(means[m], REACH * largest))
    return largest


@compiled
def take_over(state, frozen):
    """Learn the energies that their fast window has left behind; frozen, rise a little."""
    now, means, scales = state.now[0], state.means, state.scales
    at, longest = now.rows % len(state.waiting), len(state.waiting)
    weight = 1.0 / min(now.rows, state.memories.min())
    now.since_frozen = 0 if frozen else now.since_frozen + 1
    known = True
    for s in range(len(scales)):
        scales[s].lately += weight * (scales[s].fast - scales[s].lately)
        known &= not np.isnan(state.waiting[(at - scales[s].rows) % longest, s])
    learns = known and not frozen
    now.learned += learns
    for m in range(len(means)):
        for s in range(len(scales)):
            if frozen:
                risen = min(means[m, s] * now.leak, scales[s].lately)
                means[m, s] = max(means[m, s], risen)
            elif learns:
                leaving = state.waiting[(at - scales[s].rows) % longest, s]
                means[m, s] += (leaving - means[m, s]) / min(now.learned, state.memories[m])
    for s in range(len(scales)):
        # Before the covariance knows the noise, and while what was frozen out is among the changes
        # before, energies are hundreds: not to be learned either.
        waits = now.since_frozen > LAGS and now.rows > now.start_rows
        state.waiting[at, s] = scales[s].fast if waits else np.nan


@compiled
def accept(state):
    """Take the energies of the last short memory as the new steady state."""
    for s in range(len(state.scales)):
        state.means[:, s] = state.scales[s].lately
    state.now[0].learned = state.now[0].start_rows
