"""Score how much energy the signals have against what they had, on several time scales at once.

The first statistics are STA/LTA's (Allen 1978): the logarithm of the energy of the newest few rows
(see `innovation`) over its own recent mean. That mean is the largest of several memories: a robot
that sets off gains energy within hundredths of a second, which the short memories follow and an
impact outruns; one that stops keeps the long ones high, so these count only so far. Beside them
stands one a source that also knows the calibration's own level (see `level`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.covariance import (
    Array,
    CovarianceState,
    factorize,
    learn,
    new_covariance,
    whiten,
)
from tao_lora_ros.detection.innovation import LAGS, mean_squares, prior, take_in
from tao_lora_ros.detection.level import SHARE, level_energies, level_filters, level_numbers
from tao_lora_ros.signal.compiled import compiled

# Of an energy that is 1 on average: keeps the ratio finite where a channel falls silent.
ENERGY_FLOOR = 0.002
# Most that a longer memory counts, in terms of the shorter ones: after a motion it would remember
# its energy too long.
REACH = 2.0
# A row of this many times the usual energy counts less, so that an outlier stays one.
CLIP = 8.0


@dataclass(frozen=True)
class Calibration:
    """What the analyzer needs to know, made by `calibration` and kept in the artifact.

    Args:
        scales: lengths of the STA windows in rows, ascending.
        thresholds: log-ratio of each scale at which it alarms.
        memories: lengths of the LTA windows, the baseline's memories, in rows, ascending.
        covariance_rows: memory of the slow covariance in rows.
        start_rows: rows that the covariance learns first, and then again the baseline before it
            is compared with.
        leak_rows: rows in which a frozen baseline rises by a factor e at the most, towards what
            it is now: motion of more energy than before lets go of a transient, a contact does not.
        floors: standard deviation of each channel's resolution, in its unit, C of them.
        autocovariance: of the changes from row to row in steady motion, [LAGS + 1][C][C]: the
            mean product of a channel's change (second index) with one `lag` rows before (third).
        alarms_per_hour: false-alarm rate that the thresholds were set for.
        level_channels: channels of each level (see `level`), L of them.
        level_thresholds: of each level, L of them; none: the levels are off, as they are in what
            was calibrated before there were any.
        level_rows: memory of a level in rows, by which it rises with motion of more energy than
            all of the calibration.
    """

    scales: tuple[int, ...]
    thresholds: tuple[float, ...]
    memories: tuple[int, ...]
    covariance_rows: int
    start_rows: int
    leak_rows: int
    floors: tuple[float, ...]
    autocovariance: tuple[tuple[tuple[float, ...], ...], ...]
    alarms_per_hour: float
    level_channels: tuple[tuple[int, ...], ...] = ()
    level_thresholds: tuple[float, ...] = ()
    level_rows: int = 1

    @property
    def statistics(self) -> int:
        """How many statistics alarm, each on its own: the scales' and the levels'."""
        return len(self.scales) + len(self.level_channels)


_NOW = np.dtype(
    [
        ("start_rows", np.int64),
        ("level_rows", np.int64),
        ("leak", np.float64),  # most that a frozen baseline rises by in a row
        ("rows", np.int64),  # seen
        ("learned", np.int64),  # rows that the baseline holds
        ("since_frozen", np.int64),
        ("score", np.float64),
        ("scale", np.int64),  # that gave the score, in rows
        ("energy_ratio", np.float64),
    ]
)
_SCALE = np.dtype(
    [
        ("rows", np.int64),
        ("energy", np.int64),  # that it is of: 0 that of the whole row, else of a level
        ("share", np.float64),  # of the recent mean in what it is held against
        ("threshold", np.float64),
        ("fast", np.float64),  # mean energy of the newest rows
        ("slow", np.float64),  # mean of `fast` over the level's memory
        ("lately", np.float64),  # mean of `fast` over the shortest memory; never freezes
        ("log_ratio", np.float64),
    ]
)


class AnalyzerState(NamedTuple):
    """The analyzer's whole state, for C channels, M memories, L rows of longest scale, E energies.

    There are S statistics: one a scale, of the energy of the whole row, and one a level.

    Of the newest row, `now` [1] holds `score`, dimensionless and 1 at the threshold, the `scale`
    (rows) that gave it, and `energy_ratio`, the row's own energy over the usual; `scales` [S] the
    statistics; `deviations` [C] the changes from the row before in usual standard deviations, 0
    where a channel has no value.
    """

    now: NDArray
    scales: NDArray
    covariance: CovarianceState
    before: Array  # the row before, [C]
    changes: Array  # the newest LAGS + 1, oldest first, [(LAGS + 1) C]
    white: Array  # the same in units of what is usual: the last C are the innovation
    deviations: Array
    memories: NDArray[np.int64]  # rows, [M]
    means: Array  # energies in each memory, [M, S]
    energies: Array  # ring of the newest, [L, E]
    filters: Array  # of the levels, [C, (LAGS + 1) C]
    levels: NDArray[np.int64]  # that each channel belongs to, [C]
    counts: NDArray[np.int64]  # of a level's channels with a change, [E - 1]
    # Energies wait here until their fast window has left them behind, so that an onset cannot
    # raise the baseline that it is compared with; NaN: not to be learned. Ring, [L, S].
    waiting: Array


def new_analyzer(calibration: Calibration) -> AnalyzerState:
    """One that has seen no row."""
    channels, scales = len(calibration.floors), calibration.statistics
    levels = len(calibration.level_channels)
    longest, stacked = max(calibration.scales), (LAGS + 1) * channels
    state = AnalyzerState(
        now=np.zeros(1, _NOW),
        scales=np.zeros(scales, _SCALE),
        covariance=new_covariance(
            calibration.covariance_rows, prior(calibration.autocovariance, calibration.floors)
        ),
        before=np.full(channels, np.nan),
        changes=np.full(stacked, np.nan),
        white=np.zeros(stacked),
        deviations=np.zeros(channels),
        memories=np.array(calibration.memories),
        means=np.zeros((len(calibration.memories), scales)),
        energies=np.zeros((longest, 1 + levels)),
        filters=np.zeros((channels, stacked)),
        levels=level_numbers(calibration.level_channels, channels),
        counts=np.zeros(levels, np.int64),
        waiting=np.full((longest, scales), np.nan),
    )
    state.now["start_rows"] = calibration.start_rows
    state.now["level_rows"] = calibration.level_rows
    state.now["leak"] = np.exp(1.0 / calibration.leak_rows)
    state.scales["rows"] = calibration.scales + (longest,) * levels
    state.scales["energy"] = (0,) * len(calibration.scales) + tuple(range(1, 1 + levels))
    state.scales["share"] = (1.0,) * len(calibration.scales) + (SHARE,) * levels
    _set_thresholds(state, calibration)
    return state


def _set_thresholds(state: AnalyzerState, calibration: Calibration) -> None:
    off = (np.inf,) * len(calibration.level_channels)
    state.scales["threshold"] = calibration.thresholds + (calibration.level_thresholds or off)
    state.filters[:] = level_filters(
        calibration.level_channels, calibration.autocovariance, calibration.floors
    )


def recalibrate(state: AnalyzerState, calibration: Calibration) -> None:
    """Take the thresholds and the covariance of another calibration; the past stays."""
    _set_thresholds(state, calibration)
    state.covariance.prior[:] = prior(calibration.autocovariance, calibration.floors)
    factorize(state.covariance)


@compiled
def ready(state):
    """Whether there is a baseline to compare with."""
    return state.now[0].learned >= state.now[0].start_rows


@compiled
def analyze(state, values, frozen):
    """Score one row [C], NaN where a channel has no value; the baseline learns unless frozen."""
    now = state.now[0]
    now.score, now.scale, now.energy_ratio = 0.0, state.scales[-1].rows, 0.0
    present = take_in(state.before, values, state.changes, state.deviations, state.covariance)
    if present == 0:  # nothing to learn from; the past stays as it is
        return
    whiten(state.covariance, state.changes, state.white)
    energy, surprise = mean_squares(state.white, len(values), present)
    recent = _usual(state.means[:, 0]) + ENERGY_FLOOR
    _push(state, energy)
    if ready(state):
        now.energy_ratio = energy / recent
        _score(state)
    if not frozen:
        trusted = now.rows <= now.start_rows or surprise <= CLIP * recent
        learn(state.covariance, state.changes, 1.0 if trusted else CLIP * recent / surprise)
    _take_over(state, frozen)


@compiled
def log_ratios(state, rows, out):
    """Score rows [n, C] of steady motion, and write their statistics to `out`, [n, S].

    Those of a row that has no value, or comes before there is a baseline, are -inf.
    """
    for i in range(len(rows)):
        before = state.now[0].rows
        analyze(state, rows[i], False)
        known = ready(state) and state.now[0].rows > before
        for s in range(len(state.scales)):
            out[i, s] = state.scales[s].log_ratio if known else -np.inf


@compiled
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
        if np.isnan(energies[scale.energy]):  # none of its channels changed: all as usual
            energies[scale.energy] = _usual(state.means[:, s])
        total = 0.0
        for back in range(scale.rows):
            total += state.energies[(newest - back) % longest, scale.energy]
        scale.fast = total / scale.rows


@compiled
def _score(state):
    now = state.now[0]
    now.score = -np.inf
    for s in range(len(state.scales)):
        scale = state.scales[s]
        mean = _usual(state.means[:, s])
        level = max(scale.slow, 1.0)
        against = (mean + ENERGY_FLOOR) ** scale.share * level ** (1.0 - scale.share)
        scale.log_ratio = np.log((scale.fast + ENERGY_FLOOR) / against)
        if scale.log_ratio / scale.threshold > now.score:
            now.score, now.scale = scale.log_ratio / scale.threshold, scale.rows


@compiled
def _usual(means):
    """The largest of the means in all memories, shortest first, as far as they reach."""
    largest = means[0]
    for m in range(1, len(means)):
        largest = max(largest, min(means[m], REACH * largest))
    return largest


@compiled
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
            scales[s].slow += (leaving - scales[s].slow) / min(now.learned, now.level_rows)
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
