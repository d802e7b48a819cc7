"""More steady motion sharpens: thresholds from the calibration and the steady motion seen since.

Every minute of it sets the thresholds anew, as `calibration` does: what leaves a gap among the
largest peaks is left out. Events are not looked at, though steady motion raises a few itself: of
them as many count as the target rate allows, or as are false alarms by their sizes, as peaks of
unknown size above all others. So thresholds that are too low rise and those that are too high fall,
whatever else happens.

Rest says nothing of motion. So a minute is learned only if each statistic comes up to what is large
in the calibration's motion, and time counts only as far as that happens as often as it did there: a
night at rest after a minute of motion leaves the thresholds as they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection import tail
from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.blocks import APART, Blocks, blocks_from
from tao_lora_ros.detection.calibration import LEAST_THRESHOLD, MOST_RAISED
from tao_lora_ros.detection.covariance import Array
from tao_lora_ros.detection.moments import outlying

LONGEST_S = 86_400.0  # of steady motion: then its older half is forgotten
# Most that thresholds move away from the calibration's, in amplitude: logarithms of energy move by
# twice its logarithm.
UP, DOWN = 1.5, 10.0
_ROUNDS = 8  # of looking for what does not belong


class Learner:
    """What was learned since a calibration.

    `start` is that calibration, with its peaks.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.start = calibration
        self._known = blocks_from(calibration.peaks, calibration.statistics, calibration.peaks_s)
        self._learned = Blocks(self._known.values[:0], self._known.numbers[:0], 0.0)
        self._events, self._excesses = 0.0, np.zeros(2)
        off = (tail.NEVER,) * len(calibration.level_channels)
        levels = calibration.level_thresholds or off
        self._varies = np.array(calibration.thresholds + levels) < tail.NEVER
        steps = tail.above_steps(self._known.apart, APART, self._known.seconds)
        self._varies &= steps == -np.inf
        self._large = self._known.least_large
        self._often = self._large_blocks(self._known)
        self._as_often = np.zeros_like(self._often)

    @property
    def seconds(self) -> float:
        """Of steady motion that were learned."""
        return self._learned.seconds

    @property
    def comparable_s(self) -> float:
        """In what time the calibration's motion is large as often as the learned, at least."""
        shares = self._as_often / self._often
        return min(self.seconds, self._known.seconds * float(shares.min(initial=np.inf)))

    @property
    def known(self) -> Blocks:
        """The calibration's blocks, to which more can be added; none: that is not possible."""
        return self._known

    def learn(
        self, blocks: Blocks, events: int, excesses: Array | tuple[float, float] = (0.0, 0.0)
    ) -> Calibration | None:
        """Learn of more blocks, and of events meanwhile: how many, and how far up (`take`).

        Returns:
            The calibration with the thresholds as they are to be; none where the motion was calmer
            than the calibration's, of which nothing is learned.
        """
        often = self._large_blocks(blocks)
        if not often.all():
            return None
        self._events += events
        self._excesses += excesses
        self._as_often += often
        self._learned = learned = self._learned.joined(blocks)
        target, seconds = self.start.alarms_per_hour, self._known.seconds + self.comparable_s
        allowed = round(target * self.comparable_s / 3600.0)
        unseen = max(min(round(self._events), allowed), self._false_alarms)
        for _ in range(_ROUNDS):
            together = self._known.joined(learned)._replace(seconds=seconds)
            values = together.apart
            tails = [tail.tail_within(x, APART, seconds) for x in values.T]
            rare = tail.rarest_of(values, tails)
            left_out = _numbers(learned, values[_outside(rare, seconds)])
            if not len(left_out):
                break
            learned = learned.without(left_out)
        self._keep(learned)
        rarest = tail.tail_within(rare, APART, seconds, unseen)
        levels = tail.foreseen_levels(rarest, tails, target, MOST_RAISED)
        return self._with(levels, together.largest())

    @property
    def _false_alarms(self) -> int:
        """How many of the events are, at least: as many as there are small ones more than larger.

        False alarms lie just above a threshold, contacts come in all sizes. What may be chance (two
        deviations of Poisson's) is taken for contacts.
        """
        small, larger = self._excesses.tolist()
        return max(round(small - larger - 2.0 * (small + larger) ** 0.5), 0)

    def _large_blocks(self, blocks: Blocks) -> Array:
        """How many blocks are large, by each statistic that varies."""
        return np.count_nonzero(blocks.values >= self._large, axis=0)[self._varies].astype(float)

    def _keep(self, learned: Blocks) -> None:
        if learned.seconds > LONGEST_S:
            learned = learned.newer_half
            self._events, self._excesses = self._events / 2.0, self._excesses / 2.0
            self._as_often = self._as_often / 2.0
        self._learned = learned.largest()

    def _with(self, levels: Array, together: Blocks) -> Calibration:
        start = self.start
        before = np.array(start.all_thresholds)
        levels = np.clip(levels, before - 2.0 * np.log(DOWN), before + 2.0 * np.log(UP))
        levels = np.maximum(levels, np.minimum(before, LEAST_THRESHOLD))
        levels = np.where(self._varies, levels, before)
        rounded = tuple(float(round(level, 4)) for level in levels)
        scales = len(start.scales)
        return replace(
            start,
            thresholds=rounded[:scales],
            level_thresholds=rounded[scales:],
            peaks=together.rows,
            peaks_s=together.seconds,
        )


def _outside(rare: Array, seconds: float) -> NDArray[np.int64]:
    """Which rows are peaks that do not belong to the others."""
    at = tail.peaks(rare, APART, tail.wanted_peaks(seconds) + 1)
    return at[: outlying(rare[at])] if len(at) > 2 else at[:0]


def _numbers(blocks: Blocks, values: Array) -> NDArray[np.int64]:
    """Numbers of the blocks that have some values, each [k]."""
    same = (blocks.values[:, None] == values[None]).all(axis=2).any(axis=1)
    return blocks.numbers[same]
