"""The bias of a wrench: learned while nothing touches, taken anew where a load settles or drifts.

It may be off: a run may begin in contact, and sensors drift, in contacts too. So a load that
settles at the bias of the calibration, or at what drift may have moved it by since the onset, is
the bias from then on; and what rises more slowly than any contact is drift. Compiled loops over
the state of `level_test`.
"""

from __future__ import annotations

import numpy as np

from tao_lora_ros.signal.compiled import compiled, inlined

OFF = 0.5  # of the threshold: below, a contact ends
BIAS_S = 10.0  # memory of the bias
START_S = 0.5  # of the bias, before anything is held against it
NEAR = 0.25  # of the way from where it was to the bias: a load that is back there
RELEASE_S = 1.0  # that a load may take on that way; longer, it is a contact
DRIFT_S = 2.0  # that a load stays below a threshold which it comes up to: no contact is as slow


@inlined
def learn_bias(state, w):
    """Let the bias follow what the newest row was above it."""
    now = state.now[w]
    if now.filled == 0:
        return
    now.learned += 1
    weight = 1.0 / min(now.learned, now.bias_rows)
    for axis in range(6):
        if not np.isnan(now.level[axis]):
            now.bias[axis] += weight * now.level[axis]


@compiled
def follow_drift(now):
    """Take as the bias what came up to `OFF` slowly and stays there; a press comes up at once."""
    now.rising = now.rising + 1 if now.score >= OFF / 2.0 else 0
    now.risen = now.risen + 1 if now.score >= OFF else 0
    if now.risen > now.drift_rows and now.rising - now.risen > now.drift_rows // 4:
        now.bias += np.where(np.isnan(now.level), 0.0, now.level)
        now.rising, now.risen = 0, 0


@compiled
def _size(now, level):
    """Of a level, 1 at the threshold; NaN where no axis of it is known."""
    force = torque = 0.0
    known = False
    for axis in range(6):
        if not np.isnan(level[axis]):
            known = True
            if axis < 3:
                force += level[axis] ** 2
            else:
                torque += level[axis] ** 2
    if not known:
        return np.nan
    return max(np.sqrt(force) / now.force_threshold, np.sqrt(torque) / now.torque_threshold)


@compiled
def may_be_released(now):
    """Whether the load is nearer to the calibration's bias than the run's bias is."""
    away = now.usual - now.bias
    return _size(now, away) >= 1.0 and _size(now, now.level - away) < _size(now, away)


@compiled
def is_over(now):
    """Whether the load has settled where nothing touches."""
    if now.settled < now.start_rows:
        return False
    away = now.usual - now.bias
    if _size(now, now.mean - away) < max(OFF, NEAR * _size(now, away)):
        return True
    drifted = OFF * (1.0 + now.lasted / now.bias_rows)  # at most, where drift alone never alarms
    return _size(now, now.mean) < min(drifted, NEAR * now.peak_score)


@compiled
def rebase(now):
    """Take the level that has settled as the bias."""
    now.bias += np.where(np.isnan(now.mean), 0.0, now.mean)
    now.learned = now.settled
    now.open, now.above = 0, 0


@compiled
def settle(now, time_ns):
    """Follow the mean of the level for as long as it stays near it."""
    if now.settled == 0 or not _size(now, now.level - now.mean) < OFF:
        now.settled, now.mean[:] = 0, now.level
        now.settled_ns, now.settled_after, now.settled_sum = time_ns, now.lasted, now.sum
    now.settled += 1
    now.mean += (now.level - now.mean) / now.settled
