"""Contact load row by row, and the level test that finds lasting contacts: compiled loops.

What motion does not explain of a wrench is averaged over the newest `FILTER_S`, so that all terms
of both sides are filtered alike, and a blow is out of it as soon as the average has passed it. The
test holds what is left of the `bias` against the thresholds of force and torque. A contact is one
that stays above for longer than a blow would; while one may be going on the bias is frozen. The
contact load that is given out is averaged over `LOAD_S` only: it is to follow what happens, and
need not be as steady.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.contact.bias import (
    BIAS_S,
    DRIFT_S,
    OFF,
    RELEASE_S,
    START_S,
    follow_drift,
    is_over,
    learn_bias,
    may_be_released,
    rebase,
    settle,
)
from tao_lora_ros.contact.contact_model import DYNAMIC, Array, ContactModel
from tao_lora_ros.detection.router import Change
from tao_lora_ros.signal.compiled import compiled, inlined

FILTER_S = 0.05  # an average of this length has lost half at 12 Hz
LOAD_S = 0.02  # the newest part of that
CONFIRM_S = 0.08  # a blow of up to 30 ms never stays above for as long
HOLD_S = 0.15  # below `OFF`, after which a contact ends
MOST_ROWS = 10**15

_NONE, _ONSET, _END, _ACCEPTED = (int(change) for change in Change)
_NOW = np.dtype(
    [
        ("terms", np.int64),
        ("force_threshold", np.float64),
        ("torque_threshold", np.float64),
        ("confirm_rows", np.int64),
        ("hold_rows", np.int64),
        ("bias_rows", np.int64),  # its memory
        ("start_rows", np.int64),
        ("release_rows", np.int64),
        ("drift_rows", np.int64),
        ("most_rows", np.int64),  # of a contact
        ("load_rows", np.int64),  # of the filter's, those that make the load
        ("filled", np.int64),  # rows of the filter
        ("at", np.int64),  # the oldest of them
        ("learned", np.int64),  # rows in the bias
        ("score", np.float64),  # of the newest row: 1 at the threshold
        ("force", np.float64),  # level of the newest row, N
        ("torque", np.float64),  # Nm
        ("change", np.int64),  # what the newest row changed
        ("open", np.int64),  # a contact goes on
        ("above", np.int64),  # newest rows in turn at the threshold or above
        ("below", np.int64),  # newest rows in turn below `OFF`, in a contact
        ("lasted", np.int64),  # rows since the onset
        ("rising", np.int64),  # newest rows in turn from half of `OFF` on, in no contact
        ("risen", np.int64),  # from `OFF` on
        ("onset_ns", np.int64),
        ("peak_ns", np.int64),
        ("last_ns", np.int64),  # newest row at `OFF` or above
        ("peak_score", np.float64),
        ("by_own_force", np.int64),  # only the torque is expected
        ("before", np.float64, 3),  # level of force that a contact's is measured from
        ("sum", np.float64),  # of the force since the onset
        ("held_sum", np.float64),  # the same up to `last_ns`
        ("held", np.int64),  # rows of that
        ("settled", np.int64),  # newest rows in turn within `OFF` of their mean, in a contact
        ("settled_ns", np.int64),  # when, after how many rows and with which sum that began
        ("settled_after", np.int64),
        ("settled_sum", np.float64),
        ("mean", np.float64, 6),  # level of these rows
        ("usual", np.float64, 6),  # bias of the calibration; NaN: not known
        ("rate_hz", np.float64),
        ("columns", np.int64, 12),  # wrench, accelerometer, gyro; -1: none
        ("gains", np.float64, (6, DYNAMIC)),
        ("rates", np.float64, 3),  # angular rate of the row before
        ("explains", np.float64, DYNAMIC),  # terms of the newest row
        ("bias", np.float64, 6),
        ("level", np.float64, 6),  # of the newest row, less the bias; NaN: the axis has no value
        ("load", np.float64, 6),  # likewise, over `LOAD_S`
        ("shares", np.float64, 6),  # of each axis in the contact, summed
    ]
)


class LevelState(NamedTuple):
    """All that the test remembers, for W wrenches and a filter of L rows, worked on in place.

    Two arrays: each one more that is handed to a compiled loop costs as much as the loop.
    """

    now: NDArray  # [W]
    ring: Array  # what motion does not explain, [W, L, 6]


def new_level_test(
    models: Sequence[ContactModel], rate_hz: float, most_s: float = np.inf
) -> LevelState:
    """One that has seen no row; a contact of `most_s` seconds is taken as what is usual now."""
    count, length = len(models), max(round(FILTER_S * rate_hz), 1)
    state = LevelState(np.zeros(count, _NOW), np.zeros((count, length, 6)))
    for name in ("rates", "level", "load"):
        state.now[name] = np.nan
    state.now["rate_hz"] = rate_hz
    for name, seconds in (
        ("confirm_rows", CONFIRM_S),
        ("hold_rows", HOLD_S),
        ("bias_rows", BIAS_S),
        ("start_rows", START_S),
        ("release_rows", RELEASE_S),
        ("drift_rows", DRIFT_S),
        ("load_rows", LOAD_S),
        ("most_rows", most_s),
    ):
        state.now[name] = max(round(min(seconds * rate_hz, MOST_ROWS)), 1)
    for now, model in zip(state.now, models, strict=True):
        now["terms"], now["by_own_force"] = model.terms, model.by_own_force
        now["force_threshold"], now["torque_threshold"] = model.thresholds
        now["columns"] = -1
        now["columns"][:6] = model.wrench
        now["columns"][6 : 6 + len(model.accel)] = model.accel
        now["columns"][9 : 9 + len(model.gyro)] = model.gyro
        now["gains"][:, : model.terms] = model.gains
        now["usual"] = model.usual or np.nan
    return state


def begin_as_usual(state: LevelState, wrench: int) -> None:
    """Have a wrench begin with the bias of the calibration, where that is known."""
    now = state.now[wrench : wrench + 1]
    if not np.isnan(now["usual"]).all():
        now["bias"], now["learned"] = np.nan_to_num(now["usual"]), now["bias_rows"]


@compiled
def follow(state, time_ns, values):
    """Take one row [C]; whether it changed anything, which `now["change"]` tells."""
    changed = False
    for w in range(len(state.now)):
        now = state.now[w]
        now.change = _NONE
        _measure(state, w, values)
        _test(state, w, time_ns)
        changed |= now.change != _NONE
    return changed


@compiled(nogil=True)
def follow_on(state, first_ns, rows):
    """Take rows [n, C], a ns apart, up to one that changes anything; how many were taken."""
    for i in range(len(rows)):
        if follow(state, first_ns + i, rows[i]):
            return i + 1
    return len(rows)


@compiled(nogil=True)
def levels(state, rows, out):
    """Force and torque levels of the first wrench for rows [n, C], [n, 2]; -inf: none yet.

    The bias is held for as long as it remembers, again and again, as a contact would hold it.
    """
    now, bias, held = state.now[0], np.zeros(6), np.zeros(6)
    for i in range(len(rows)):
        _measure(state, 0, rows[i])
        for axis in range(6):
            held[axis] = now.bias[axis] if now.learned else 0.0
            now.level[axis] += held[axis] - bias[axis]
            now.bias[axis] = bias[axis]
        learn_bias(state, 0)
        holds = now.learned > now.start_rows and i % now.bias_rows != 0
        for axis in range(6):
            bias[axis] = now.bias[axis]
            now.bias[axis] = held[axis] if holds else bias[axis]
        ready = now.filled > 0 and now.learned > now.start_rows
        out[i, 0] = now.force if ready else -np.inf
        out[i, 1] = now.torque if ready else -np.inf


@inlined
def _measure(state, w, values):
    """Contact load of a row; without one where a channel that it takes has no value."""
    now = state.now[w]
    length = state.ring.shape[1]
    if not _terms(state, w, values):
        now.filled = 0
        now.level[:] = np.nan
        now.load[:] = np.nan
        now.force = now.torque = now.score = 0.0
        return
    residual = state.ring[w, now.at]
    for axis in range(6):
        left = values[now.columns[axis]]
        for term in range(now.terms):
            left -= now.gains[axis, term] * now.explains[term]
        residual[axis] = left
    now.filled = min(now.filled + 1, length)
    newest, now.at = now.at, (now.at + 1) % length
    force = torque = 0.0  # squared
    for axis in range(6):
        bias = now.bias[axis] if now.learned else 0.0
        total = 0.0
        for back in range(now.filled):
            total += state.ring[w, newest - back, axis]  # before the first it counts from the end
            if back + 1 == min(now.load_rows, now.filled):
                now.load[axis] = total / (back + 1) - bias
        level = total / now.filled - bias
        now.level[axis] = level
        square = 0.0 if np.isnan(level) else level * level
        if axis < 3:
            force += square
        else:
            torque += square
    now.force, now.torque = np.sqrt(force), np.sqrt(torque)
    now.score = max(now.force / now.force_threshold, now.torque / now.torque_threshold)


@inlined
def _terms(state, w, values):
    """The terms of a row; whether all are there, and some axis of the wrench."""
    now, columns = state.now[w], state.now[w].columns
    there = False
    for axis in range(6):
        there |= not np.isnan(values[columns[axis]])
    for axis in range(min(now.terms, 3)):
        now.explains[axis] = values[columns[6 + axis]]
        there &= not np.isnan(now.explains[axis])
    if now.terms <= 3:
        return there
    for axis in range(3):
        rate = values[columns[9 + axis]]
        now.explains[3 + axis] = rate * rate
        now.explains[9 + axis] = (rate - now.rates[axis]) * now.rate_hz
        there &= not np.isnan(now.explains[9 + axis])
        now.rates[axis] = rate
    x, y, z = now.rates[0], now.rates[1], now.rates[2]
    now.explains[6], now.explains[7], now.explains[8] = x * y, x * z, y * z
    return there


@inlined
def _test(state, w, time_ns):
    now = state.now[w]
    if now.learned <= now.start_rows:
        now.score = 0.0
    if not now.open:
        _look_for_onset(state, w, time_ns)
        if now.above == 0:
            learn_bias(state, w)
        return
    _go_on(state, w, time_ns)
    now.below = now.below + 1 if now.score < OFF else 0
    if now.below >= now.hold_rows:
        now.open, now.above, now.change = 0, 0, _END
    elif is_over(now):
        now.last_ns, now.held = now.settled_ns, now.settled_after
        now.held_sum, now.change = now.settled_sum, _END
        rebase(now)
    elif now.lasted >= now.most_rows:
        now.open, now.above, now.change = 0, 0, _ACCEPTED
        now.learned = 0
        now.bias[:] = 0.0


@compiled
def _look_for_onset(state, w, time_ns):
    now = state.now[w]
    if not now.score >= 1.0:
        now.above = 0
        follow_drift(now)
        return
    if now.above == 0:
        now.onset_ns, now.peak_score = time_ns, 0.0
        now.sum, now.lasted, now.below, now.settled = 0.0, 0, 0, 0
        now.shares[:] = 0.0
        turning = now.by_own_force and now.force < now.force_threshold
        for axis in range(3):  # its bias is off by how the weight has turned
            now.before[axis] = now.level[axis] if turning else 0.0
    now.above += 1
    _go_on(state, w, time_ns)
    if is_over(now):
        rebase(now)
    elif now.above > (now.release_rows if may_be_released(now) else now.confirm_rows):
        now.open, now.change = 1, _ONSET


@compiled
def _go_on(state, w, time_ns):
    """The newest row belongs to a contact, or may do."""
    now = state.now[w]
    now.lasted += 1
    force = 0.0  # squared
    for axis in range(3):
        if not np.isnan(now.level[axis]):
            force += (now.level[axis] - now.before[axis]) ** 2
    now.sum += np.sqrt(force)
    settle(now, time_ns)
    if now.score >= OFF:
        now.last_ns, now.held_sum, now.held = time_ns, now.sum, now.lasted
    if now.score > now.peak_score:
        now.peak_score, now.peak_ns = now.score, time_ns
    for axis in range(6):
        threshold = now.force_threshold if axis < 3 else now.torque_threshold
        if not np.isnan(now.level[axis]):
            now.shares[axis] += abs(now.level[axis]) / threshold
