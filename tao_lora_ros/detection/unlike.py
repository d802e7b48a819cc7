"""Motion that is not what was calibrated on, though nothing of it is an event yet.

The calibration knows how often each statistic of its steady motion reaches a peak that is large.
Where such peaks come `TIMES` as often between events, so do false alarms, which are peaks that are
larger still. That is told by a cumulative sum of log-likelihood ratios of the two rates (Page 1954,
Continuous Inspection Schemes; Lucas 1985, Counted Data CUSUM's), which has to go well beyond what
it came to in the calibration itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection import tail
from tao_lora_ros.detection.blocks import APART, Blocks
from tao_lora_ros.signal.compiled import inlined

MORE_ENERGY = "it has more energy than all of that"
TIMES = 10.0
_GAIN = float(np.log(TIMES))
_LEAST_PEAKS, _BEYOND = 10, 2.0  # in a row at once, at least; of the calibration's own largest sum

WATCH = np.dtype(
    [
        ("level", np.float64),  # a larger value is a large peak
        ("usual", np.float64),  # such peaks in a block
        ("limit", np.float64),
        ("sum", np.float64),
        ("apart", np.int64),  # number of the first block that may be another peak
        ("since_ns", np.int64),  # since when the sum is not 0
        ("peaks", np.int64),  # since then
        ("blocks", np.int64),
    ]
)


class Unlike(NamedTuple):
    """Motion that is not what was calibrated on.

    Args:
        since_ns: when it began.
        how: in words.
    """

    since_ns: int
    how: str


def new_watch(known: Blocks, block_s: float) -> np.ndarray:
    """What the largest blocks of a calibration say of each of its S statistics, [S] of `WATCH`.

    Args:
        known: the blocks; none: nothing is ever unlike.
        block_s: how long a block is.
    """
    watch = np.zeros(known.values.shape[1], WATCH)
    watch["level"], watch["limit"] = np.inf, np.inf
    wanted = tail.wanted_peaks(known.seconds)
    for one, values in zip(watch, known.apart.T, strict=True):
        at = tail.peaks(values, APART, wanted)
        if len(at):
            one["level"], one["usual"] = values[at[-1]], len(at) * block_s / known.seconds
    for one, values in zip(watch, known.values.T, strict=True):
        most = _largest_sum(known.numbers[values > one["level"]], one["usual"])
        one["limit"] = max(_LEAST_PEAKS * _GAIN, _BEYOND * most)
    return watch


def _largest_sum(numbers: NDArray[np.int64], usual: float) -> float:
    """What the sum comes to in the calibration, whose blocks of these numbers are large."""
    most, now, before = 0.0, 0.0, -APART
    for number in numbers.tolist():
        if number - before >= APART:
            now = max(now - (number - before) * (TIMES - 1.0) * usual, 0.0) + _GAIN
            most, before = max(most, now), number
    return most


@inlined
def follow(one, value, number, time_ns):
    """Take a block's largest value of one statistic; whether motion is unlike from here on."""
    if one.sum == 0.0:
        one.since_ns, one.peaks, one.blocks = time_ns, 0, 0
    one.blocks += 1
    if value > one.level and number >= one.apart:
        one.sum += _GAIN
        one.peaks += 1
        one.apart = number + APART
    one.sum = max(one.sum - (TIMES - 1.0) * one.usual, 0.0)
    return one.sum >= one.limit


def unlike_text(when: str, how: str, alarms_per_hour: float) -> str:
    """Words on motion whose false alarms nothing is known of."""
    return (
        f"from {when} on the robot moves unlike what was calibrated on ({how}): more false alarms "
        f"may come than the {alarms_per_hour:g} an hour aimed at; calibrate on this motion too"
    )
