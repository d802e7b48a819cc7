"""What is learned of while running: the largest values of blocks (see `blocks`) of steady rows.

Never those of a transient or of the time around it, nor those around a fault. The same blocks say
whether motion is unlike what was calibrated on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection import tail, unlike
from tao_lora_ros.detection.blocks import APART, Blocks
from tao_lora_ros.detection.covariance import Array
from tao_lora_ros.detection.unlike import Unlike
from tao_lora_ros.signal.compiled import compiled, inlined

MINUTE_S = 60.0  # of steady motion, after which the thresholds are set anew
# In log-energy above a threshold: false alarms hardly go further, as steady motion's tail is steep.
SMALL = 2.0
AROUND_S = 1.0  # of a transient, on either side: nothing is learned where contacts are frequent


@dataclass(frozen=True)
class LearningConfig:
    """What is learned of.

    Args:
        on: whether anything is; without it motion is looked at all the same (see `unlike`).
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
        ("watched", np.int64),  # blocks of those that are full
        ("unlike", np.int64),  # statistic by which motion is unlike; -1: by none
        ("events", np.int64),  # since the last blocks were taken
        ("excess", np.float64),  # of the event that goes on, how far above a threshold it came
        ("excesses", np.int64, 2),  # of those, how many came up to `SMALL`, and to twice that
    ]
)


class Collected(NamedTuple):
    """Blocks of steady rows that are to be learned, of S statistics."""

    now: NDArray  # [1]
    block: Array  # that is being filled, [S]
    blocks: Array  # [N, S]
    numbers: NDArray[np.int64]  # [N]
    watch: NDArray  # whether motion is unlike, [S]


def learning_config(on: bool, before_s: float, after_s: float, rate_hz: float) -> LearningConfig:
    """Of rows; at least `AROUND_S` before an onset and after an end is not learned."""
    before_s, after_s = max(before_s, AROUND_S), max(after_s, AROUND_S)
    return LearningConfig(on, round(before_s * rate_hz), round(after_s * rate_hz))


def new_collected(config: LearningConfig, known: Blocks, rate_hz: float) -> Collected:
    """Nothing yet; `known` are the calibration's blocks, without which there is nothing to do."""
    rows, statistics = tail.cluster_rows(rate_hz), known.values.shape[1]
    waiting = -(-config.before_rows // rows) + 1
    length = round(MINUTE_S * rate_hz / rows) + waiting
    collected = Collected(
        np.zeros(1, _NOW),
        np.full(statistics, -np.inf),
        np.empty((length, statistics)),
        np.zeros(length, np.int64),
        unlike.new_watch(known, rows / rate_hz),
    )
    collected.now["on"], collected.now["unlike"] = len(known.values) > 0, -1
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


def forget(collected: Collected) -> None:
    """Nothing of what was collected is to be learned."""
    now = collected.now
    now["count"], now["watched"], now["events"], now["excesses"] = 0, 0, 0, 0


@inlined
def _watch(collected, time_ns):
    """Look at the blocks that no onset can drop any more."""
    now = collected.now[0]
    while now.watched < now.count - now.waiting:
        values, number = collected.blocks[now.watched], collected.numbers[now.watched]
        for s in range(len(values)):
            if now.unlike < 0 and unlike.follow(collected.watch[s], values[s], number, time_ns):
                now.unlike = s
        now.watched += 1


@inlined
def _size_event(now, scales, transient):
    if not transient:
        if 0.0 < now.excess < 2.0 * SMALL:
            now.excesses[int(now.excess / SMALL)] += 1
        now.excess = 0.0
        return
    for s in range(len(scales)):
        now.excess = max(now.excess, scales[s].log_ratio - scales[s].threshold)


@inlined
def collect(collected, time_ns, scales, values, known, transient, onset):
    """Take a row's statistics; `known`: it has some; whether the blocks are full."""
    now = collected.now[0]
    if not now.on:
        return False
    present = 0
    for c in range(len(values)):
        present += not np.isnan(values[c])
    changed, now.values = present != now.values, present
    now.events += onset
    _size_event(now, scales, transient)
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
    _watch(collected, time_ns)
    return now.count == len(collected.blocks)


def take(collected: Collected, rate_hz: float) -> tuple[Blocks, int, Array]:
    """Take the blocks out that are to be learned for good.

    Blocks that wait stay.

    Returns:
        The blocks; how many events there were; and how many of them came up to `SMALL` above a
        threshold, and between that and twice that, [2].
    """
    now = collected.now[0]
    waiting, events = int(now["waiting"]), int(now["events"])
    excesses = now["excesses"].astype(float)
    count = len(collected.blocks) - waiting
    taken = Blocks(
        collected.blocks[:count].copy(),
        collected.numbers[:count] - collected.numbers[0],
        count * int(now["block_rows"]) / rate_hz,
    )
    collected.blocks[:waiting] = collected.blocks[count:].copy()
    collected.numbers[:waiting] = collected.numbers[count:].copy()
    forget(collected)
    now["count"] = waiting
    return taken, events, excesses


def unlike_in(collected: Collected, rate_hz: float) -> Unlike | None:
    """What the blocks say of motion that is unlike the calibration's, if it is."""
    now = collected.now[0]
    if now["unlike"] < 0:
        return None
    one, block_s = collected.watch[now["unlike"]], int(now["block_rows"]) / rate_hz
    seconds, usual = one["blocks"] * block_s, one["blocks"] * one["usual"]
    how = f"{one['peaks']} large peaks within {seconds:.0f} s between events, {usual:.1f} are usual"
    return Unlike(int(one["since_ns"]), how)
