"""More steady motion sharpens: thresholds from the calibration and the steady rows seen since.

What is collected are the largest values of blocks (see `blocks`), never those of a transient or of
the time around it, nor those around a fault. Every minute of them sets the thresholds anew, as
`calibration` does: what leaves a gap among the largest peaks is left out. Events are not looked at,
though steady motion raises a few itself: of them as many count as the target rate allows, as peaks
of unknown size above all others. So thresholds that are too low rise and those that are too high
fall, whatever else happens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection import tail
from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.blocks import APART, Blocks, blocks_from
from tao_lora_ros.detection.calibration import LEAST_THRESHOLD
from tao_lora_ros.detection.covariance import Array
from tao_lora_ros.detection.moments import outlying
from tao_lora_ros.signal.compiled import compiled

MINUTE_S = 60.0  # of steady motion, after which the thresholds are set anew
LONGEST_S = 86_400.0  # of steady motion: then enough is known
AROUND_S = 1.0  # of a transient, on either side: nothing is learned where contacts are frequent
# Most that thresholds move away from the calibration's, in amplitude: logarithms of energy move by
# twice its logarithm.
UP, DOWN = 1.5, 10.0
_ROUNDS = 8  # of looking for what does not belong


@dataclass(frozen=True)
class LearningConfig:
    """What is learned of.

    Args:
        on: whether anything is.
        before_rows: that are not, before an onset.
        after_rows: that are not, after a transient or a fault.
    """

    on: bool = False
    before_rows: int = 0
    after_rows: int = 0


NOTHING = LearningConfig()

_NOW = np.dtype(
    [
        ("on", np.bool_),
        ("after_rows", np.int64),
        ("block_rows", np.int64),
        ("waiting", np.int64),  # blocks that an onset would drop
        ("calm", np.int64),  # newest rows in turn without a transient or a fault
        ("rows", np.int64),  # of the block that is being filled
        ("count", np.int64),  # blocks that are full
        ("number", np.int64),  # of the next one
        ("values", np.int64),  # that the row before had
        ("events", np.int64),
    ]
)


class Collected(NamedTuple):
    """Blocks of steady rows that are to be learned, of S statistics."""

    now: NDArray  # [1]
    block: Array  # that is being filled, [S]
    blocks: Array  # [N, S]
    numbers: NDArray[np.int64]  # [N]


def learning_config(on: bool, before_s: float, after_s: float, rate_hz: float) -> LearningConfig:
    """Of rows; at least `AROUND_S` before an onset and after an end is not learned."""
    before_s, after_s = max(before_s, AROUND_S), max(after_s, AROUND_S)
    return LearningConfig(on, round(before_s * rate_hz), round(after_s * rate_hz))


def new_collected(config: LearningConfig, statistics: int, rate_hz: float) -> Collected:
    """Nothing yet."""
    rows = tail.cluster_rows(rate_hz)
    waiting = -(-config.before_rows // rows) + 1
    length = round(MINUTE_S * rate_hz / rows) + waiting
    collected = Collected(
        np.zeros(1, _NOW),
        np.full(statistics, -np.inf),
        np.empty((length, statistics)),
        np.zeros(length, np.int64),
    )
    collected.now["on"] = config.on
    collected.now["after_rows"], collected.now["block_rows"] = config.after_rows, rows
    collected.now["waiting"] = waiting
    return collected


@compiled
def interrupt(collected):
    """Nothing of the last while is steady, nor is what comes next."""
    now = collected.now[0]
    if now.calm > 0 or now.rows > 0:
        now.count = max(now.count - now.waiting, 0)
        now.number += APART
    now.calm, now.rows = 0, 0


@compiled
def collect(collected, scales, values, known, transient, onset):
    """Take a row's statistics; `known`: it has some; whether the blocks are full."""
    now = collected.now[0]
    if not now.on:
        return False
    present = 0
    for c in range(len(values)):
        present += not np.isnan(values[c])
    changed, now.values = present != now.values, present
    now.events += onset
    if transient or changed or not known:
        interrupt(collected)
        return False
    now.calm += 1
    if now.calm <= now.after_rows:
        return False
    for s in range(len(scales)):
        before = collected.block[s] if now.rows else -np.inf
        collected.block[s] = max(before, scales[s].log_ratio)
    now.rows += 1
    if now.rows < now.block_rows:
        return False
    collected.blocks[now.count] = collected.block
    collected.numbers[now.count] = now.number
    now.count, now.number, now.rows = now.count + 1, now.number + 1, 0
    return now.count == len(collected.blocks)


def take(collected: Collected, rate_hz: float) -> Blocks:
    """Take the blocks out that are to be learned for good; those that wait stay."""
    now = collected.now[0]
    waiting = int(now["waiting"])
    count = len(collected.blocks) - waiting
    taken = Blocks(
        collected.blocks[:count].copy(),
        collected.numbers[:count].copy(),
        count * int(now["block_rows"]) / rate_hz,
    )
    collected.blocks[:waiting] = collected.blocks[count:].copy()
    collected.numbers[:waiting] = collected.numbers[count:].copy()
    now["count"] = waiting
    return taken


class Learner:
    """What was learned since a calibration.

    `start` is that calibration, with its peaks.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.start = calibration
        self._known = blocks_from(calibration.peaks, calibration.statistics, calibration.peaks_s)
        self._learned = Blocks(self._known.values[:0], self._known.numbers[:0], 0.0)

    @property
    def seconds(self) -> float:
        """Of steady motion that were learned."""
        return self._learned.seconds

    @property
    def done(self) -> bool:
        """Whether nothing more is to be learned, or there is nothing to add it to."""
        return not self.start.peaks or self.seconds >= LONGEST_S

    def learn(self, blocks: Blocks, events: int) -> Calibration:
        """Learn of more blocks; `events` are all since the start.

        Returns:
            The calibration with the thresholds as they are to be.
        """
        learned = self._learned.joined(blocks)
        target = self.start.alarms_per_hour
        unseen = min(events, round(target * learned.seconds / 3600.0))
        for _ in range(_ROUNDS):
            together = self._known.joined(learned)
            values = together.apart
            tails = [tail.tail_within(x, APART, together.seconds) for x in values.T]
            rare = tail.rarest_of(values, tails)
            left_out = _numbers(learned, values[_outside(rare, together.seconds)])
            if not len(left_out):
                break
            learned = learned.without(left_out)
        self._learned = learned.largest()
        rarest = tail.tail_within(rare, APART, together.seconds, unseen).at(target)
        return self._with(tail.levels_at(rarest, tails), together.largest())

    def _with(self, levels: Array, together: Blocks) -> Calibration:
        start = self.start
        before = np.array(start.all_thresholds)
        levels = np.clip(levels, before - 2.0 * np.log(DOWN), before + 2.0 * np.log(UP))
        levels = np.maximum(levels, np.minimum(before, LEAST_THRESHOLD))
        levels = np.where(before < tail.NEVER, levels, before)
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
