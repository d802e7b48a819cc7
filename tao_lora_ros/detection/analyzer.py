"""Score how much energy the signals have against what they had, on several time scales at once.

The first statistics are STA/LTA's (Allen 1978): the logarithm of the energy of the newest few rows
(see `innovation`) over its own recent mean. That mean is the largest of several memories: a robot
that sets off gains energy within hundredths of a second, which the short memories follow and an
impact outruns; one that stops keeps the long ones high, so these count only so far. Beside them
stands one a source that also knows the calibration's own level (see `level`). A foot's load that
comes back alarms by itself (see `bearing`).
"""

from __future__ import annotations

import numpy as np

from tao_lora_ros.detection.bearing import touchdown
from tao_lora_ros.detection.covariance import learn, whiten
from tao_lora_ros.detection.innovation import LAGS, mean_squares, take_in
from tao_lora_ros.detection.level import level_energies
from tao_lora_ros.signal.compiled import compiled, inlined

# Of an energy that is 1 on average: keeps the ratio finite where a channel falls silent.
ENERGY_FLOOR = 0.002
# Most that a longer memory counts, in terms of the shorter ones: after a motion it would remember
# its energy too long.
REACH = 2.0
# A row of this many times the usual energy counts less, so that an outlier stays one: neither the
# covariance nor a level's memory of seconds follows a blow that was missed, or a fall's beginning.
CLIP = 8.0


@inlined
def ready(state):
    """Whether there is a baseline to compare with."""
    return state.now[0].learned >= state.now[0].start_rows


@inlined
def analyze(state, values, frozen):
    """Score one row [C], NaN where a channel has no value; the baseline learns unless frozen."""
    now = state.now[0]
    now.score, now.scale, now.energy_ratio = 0.0, state.scales[-1].rows, 0.0
    now.landed = False
    signals = state.changes, state.deviations, state.covariance
    present = take_in(state.before, state.still, values, *signals, now.start_rows)
    if present == 0:  # nothing to learn from; the past stays as it is
        return
    whiten(state.covariance, state.changes, state.white)
    usual = _usual(state.means[:, 0])
    recent = usual + ENERGY_FLOOR
    missing = max(now.moving - present, 0) if ready(state) else 0
    energy, surprise = mean_squares(state.white, len(values), present, missing, usual)
    _push(state, energy)
    load = touchdown(state.bearings, state.forces, values)
    if ready(state):
        now.energy_ratio = energy / recent
        _score(state)
        if load > 0.0:
            now.landed, now.score = True, max(now.score, 1.0 + load)
    if not frozen:
        trusted = now.rows <= now.start_rows or surprise <= CLIP * recent
        learn(state.covariance, state.changes, 1.0 if trusted else CLIP * recent / surprise)
    _take_over(state, frozen)


@compiled(nogil=True)
def log_ratios(state, rows, out, means):
    """Score rows [n, C] of steady motion; write their statistics to `out`, [n, S].

    And the recent means, in terms of the level's memory, to `means`, [n, S]. Of a row that has no
    value, or comes before there is a baseline, the former are -inf and the latter 0.
    """
    for i in range(len(rows)):
        before = state.now[0].rows
        analyze(state, rows[i], False)
        known = ready(state) and state.now[0].rows > before
        for s in range(len(state.scales)):
            out[i, s] = state.scales[s].log_ratio if known else -np.inf
            means[i, s] = state.scales[s].mean if known else 0.0


@inlined
def _push(state, energy):
    """Mean energy of the newest rows of each scale."""
    longest = len(state.energies)
    newest = state.now[0].rows % longest
    energies = state.energies[newest]
    energies[0] = energy
    level_energies(state.filters, state.levels, state.changes, energies[1:], state.counts)
    state.now[0].rows += 1
    for s in range(len(state.scales)):
        scale = state.scales[s]
        if scale.energy:
            count = state.counts[scale.energy - 1]
            energies[scale.energy] = _completed(state, s, energies[scale.energy], count)
        total = 0.0
        for back in range(scale.rows):
            total += state.energies[(newest - back) % longest, scale.energy]
        scale.fast = total / scale.rows


@inlined
def _completed(state, s, energy, count):
    """Energy of a level of which `count` channels changed: those that lack are as usual."""
    usual = _usual(state.means[:, s])
    if count == 0:
        return usual
    missing = max(state.scales[s].channels - count, 0) if ready(state) else 0
    return (count * energy + missing * usual) / (count + missing)


@inlined
def _score(state):
    now = state.now[0]
    now.score = -np.inf
    for s in range(len(state.scales)):
        scale = state.scales[s]
        level = max(scale.slow, 1.0)
        scale.mean = _usual(state.means[:, s]) / level
        against = (min(scale.mean, scale.most) * level + ENERGY_FLOOR) ** scale.share * level ** (
            1.0 - scale.share
        )
        scale.log_ratio = np.log((scale.fast + ENERGY_FLOOR) / against)
        if scale.log_ratio / scale.threshold > now.score:
            now.score, now.scale = scale.log_ratio / scale.threshold, scale.rows


@inlined
def _usual(means):
    """The largest of the means in all memories, shortest first, as far as they reach."""
    largest = means[0]
    for m in range(1, len(means)):
        largest = max(largest, min(means[m], REACH * largest))
    return largest


@inlined
def _take_over(state, frozen):
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
    for s in range(len(scales)):
        if learns:
            leaving = state.waiting[(at - scales[s].rows) % longest, s]
            leaving = min(leaving, CLIP * max(scales[s].slow, 1.0))
            scales[s].slow += (leaving - scales[s].slow) / min(now.learned, now.level_rows)
    lively = False
    for s in range(len(scales)):
        lively |= scales[s].slow > scales[s].most
    now.lively = now.lively + 1 if lively else 0
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
        state.scales[s].slow = state.scales[s].lately
    state.now[0].learned = state.now[0].start_rows
