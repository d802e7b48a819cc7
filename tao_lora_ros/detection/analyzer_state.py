"""What the analyzer knows beforehand, its calibration, and what it remembers, its state."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.bearing import force_numbers, new_bearings
from tao_lora_ros.detection.covariance import Array, CovarianceState, factorize, new_covariance
from tao_lora_ros.detection.innovation import LAGS, prior
from tao_lora_ros.detection.level import SHARE, level_filters, level_numbers

ALARMS_PER_HOUR = 1.0  # that are aimed at where nobody says otherwise


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
        alarms_per_hour: false-alarm rate that the thresholds were set for; NaN: for none yet.
        level_channels: channels of each level (see `level`), L of them.
        level_thresholds: of each level, L of them; none: the levels are off, as they are in what
            was calibrated before there were any.
        level_rows: memory of a level in rows, by which it rises with motion of more energy than
            all of the calibration.
        level_means: the most that the recent mean of each level counts, in terms of the level's
            memory, which steady motion hardly ever exceeds; none: all of it, as in what was
            calibrated before there were any.
        load_channels: channels of each force (see `bearing`).
        borne_loads: the load that each always bears in steady motion, N, 0 where there is none;
            none: touchdowns are not looked for.
        air_rows: rows in the air that make a flight.
        peaks: largest values of the statistics in steady motion, [1 + S] each: the block's number
            first (see `blocks`); none: nothing can be learned in addition.
        peaks_s: seconds that they come from.
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
    level_means: tuple[float, ...] = ()
    load_channels: tuple[tuple[int, ...], ...] = ()
    borne_loads: tuple[float, ...] = ()
    air_rows: int = 1
    peaks: tuple[tuple[float, ...], ...] = ()
    peaks_s: float = 0.0

    @property
    def has_thresholds(self) -> bool:
        """Whether its thresholds come from a recording; not before the first (`uncalibrated`)."""
        return not isnan(self.alarms_per_hour)

    @property
    def target_per_hour(self) -> float:
        """False alarms to aim at next: as before, `ALARMS_PER_HOUR` where there was no before."""
        return self.alarms_per_hour if self.has_thresholds else ALARMS_PER_HOUR

    @property
    def all_thresholds(self) -> tuple[float, ...]:
        """Of the scales, then of the levels."""
        return self.thresholds + self.level_thresholds

    @property
    def warm_rows(self) -> int:
        """Rows of steady motion before any is scored: see `start_rows`, and `AnalyzerState`."""
        return 2 * self.start_rows + max(self.scales) + LAGS + 1

    @property
    def statistics(self) -> int:
        """How many statistics alarm, each on its own: the scales' and the levels'."""
        return len(self.scales) + len(self.level_channels)


_NOW = np.dtype(
    [
        ("start_rows", np.int64),
        ("level_rows", np.int64),
        ("moving", np.int64),  # channels that changed in the calibration
        ("leak", np.float64),  # most that a frozen baseline rises by in a row
        ("rows", np.int64),  # seen
        ("learned", np.int64),  # rows that the baseline holds
        ("since_frozen", np.int64),
        ("score", np.float64),
        ("scale", np.int64),  # that gave the score, in rows
        ("energy_ratio", np.float64),
        ("lively", np.int64),  # newest rows in turn in which a level's memory exceeds `most`
        ("landed", np.bool_),  # a load that is always borne has come back
    ]
)
_SCALE = np.dtype(
    [
        ("rows", np.int64),
        ("energy", np.int64),  # that it is of: 0 that of the whole row, else of a level
        ("channels", np.int64),  # of a level, those that changed in the calibration
        ("share", np.float64),  # of the recent mean in what it is held against
        ("most", np.float64),  # that the recent mean counts
        ("threshold", np.float64),
        ("mean", np.float64),  # the recent one, in terms of the level's memory
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
    (rows) that gave it, `energy_ratio`, the row's own energy over the usual, and `landed`; `scales`
    [S] the statistics; `deviations` [C] the changes from the row before in usual standard
    deviations, 0 where a channel has no value.
    """

    now: NDArray
    scales: NDArray
    covariance: CovarianceState
    before: Array  # the row before, [C]
    still: NDArray[np.int64]  # rows for which each channel has not changed, [C]
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
    bearings: NDArray  # of each force
    forces: NDArray[np.int64]  # that each channel belongs to, [C]


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
        still=np.zeros(channels, np.int64),
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
        bearings=new_bearings(len(calibration.load_channels)),
        forces=force_numbers(calibration.load_channels, channels),
    )
    state.now["start_rows"] = calibration.start_rows
    state.now["level_rows"] = calibration.level_rows
    state.now["leak"] = np.exp(1.0 / calibration.leak_rows)
    state.scales["rows"] = calibration.scales + (longest,) * levels
    state.scales["energy"] = (0,) * len(calibration.scales) + tuple(range(1, 1 + levels))
    state.scales["share"] = (1.0,) * len(calibration.scales) + (SHARE,) * levels
    set_thresholds(state, calibration)
    return state


def set_thresholds(state: AnalyzerState, calibration: Calibration) -> None:
    """Take the thresholds of another calibration alone."""
    moving = np.diag(np.array(calibration.autocovariance[0])) > 0.0
    state.now["moving"] = np.count_nonzero(moving)
    levels = calibration.level_channels
    state.scales["channels"][len(calibration.scales) :] = [moving[list(c)].sum() for c in levels]
    off = (np.inf,) * len(calibration.level_channels)
    state.scales["threshold"] = calibration.thresholds + (calibration.level_thresholds or off)
    most = calibration.level_means or (np.inf,) * len(levels)
    state.scales["most"] = (np.inf,) * len(calibration.scales) + most
    state.bearings["load"] = calibration.borne_loads or (0.0,) * len(calibration.load_channels)
    state.bearings["air_rows"] = calibration.air_rows
    state.filters[:] = level_filters(
        calibration.level_channels, calibration.autocovariance, calibration.floors
    )


def recalibrate(state: AnalyzerState, calibration: Calibration) -> None:
    """Take the thresholds and the covariance of another calibration; the past stays."""
    set_thresholds(state, calibration)
    state.covariance.prior[:] = prior(calibration.autocovariance, calibration.floors)
    factorize(state.covariance)
