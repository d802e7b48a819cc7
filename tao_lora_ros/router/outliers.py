"""Tell one bad sample of one channel (a sensor's glitch) from something physical."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.align import Row
from tao_lora_ros.signal.compiled import compiled

# In units of the channel's usual change from row to row. The changes of Gaussian noise pass 8 σ
# once in 10¹⁵; so false glitches come from heavier tails alone, and must also come back at once.
JUMP = 8.0
OTHERS = 4.0
START_ROWS = 100
# Mean absolute value of a Gaussian to its standard deviation.
_GAUSSIAN = np.sqrt(np.pi / 2.0)

_NOW = np.dtype(
    [
        ("memory_rows", np.int64),
        ("rows", np.int64),  # since the start
        ("held", np.int64),  # channel that jumped in the row that is held back, -1: none is
        ("mended", np.int64),  # whether the last row that had been held back was a glitch
    ]
)
_CHANNEL = np.dtype(
    [
        ("floor", np.float64),
        ("usual", np.float64),  # mean absolute change from row to row
        ("before", np.float64),  # value in the last row that was let through
        ("held", np.float64),  # value in the row that is held back
        ("relative", np.float64),  # the newest change in standard deviations
        ("sigma", np.float64),
        ("glitches", np.int64),
        ("jumps", np.int64),
    ]
)


class GlitchFilter:
    """Mends rows in which one channel jumps alone and is back in the next row.

    A row in which a single channel changes by more than `JUMP` usual changes, and no other by more
    than `OTHERS`, is held back until the next row comes. Where the channel is back, its value was a
    glitch: it is counted and replaced by the mean of its neighbours. What several channels see, or
    what lasts, is physical and passes as it is, at once.

    Args:
        channels: channel names.
        floors: resolution of each channel in its unit, [C].
        memory_rows: memory of the usual change.
    """

    def __init__(
        self, channels: tuple[str, ...], floors: tuple[float, ...], memory_rows: int
    ) -> None:
        self._names = channels
        self._now = np.zeros(1, _NOW)
        self._now["memory_rows"] = memory_rows
        self._channels = np.zeros(len(channels), _CHANNEL)
        self._channels["floor"] = floors
        self._out = np.zeros((2, len(channels)))
        self.clear()
        _settle(
            self._now, self._channels, self._out[0], self._out
        )  # compiles, if nobody did before
        self.clear()

    def clear(self) -> None:
        """Forget the past; the counts stay."""
        self._now["rows"], self._now["held"] = 0, -1
        self._channels["usual"] = 0.0
        self._held: Row | None = None

    @property
    def glitches(self) -> Counter[str]:
        """Values that were mended, by channel."""
        return self._counts("glitches")

    @property
    def jumps(self) -> Counter[str]:
        """Values as far off that were let through as physical, by channel."""
        return self._counts("jumps")

    def _counts(self, field: str) -> Counter[str]:
        counts = zip(self._names, self._channels[field].tolist(), strict=True)
        return Counter({name: count for name, count in counts if count})

    def push(self, row: Row) -> list[Row]:
        """Take a row; give out those that are settled, oldest first."""
        count = _settle(self._now, self._channels, row.values, self._out)
        settled, self._held = self._held, row if self._now[0]["held"] >= 0 else None
        if settled is None:
            return [row] if count else []
        if self._now[0]["mended"]:
            settled = replace(settled, values=self._out[0].copy())
        return [settled, row] if count == 2 else [settled]

    def flush(self) -> list[Row]:
        """Give out the row that is held back at the end of the input."""
        held, self._held = self._held, None
        self._now["held"] = -1
        return [] if held is None else [held]

    def run(self, rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Take many rows [n, C]; their settled form, and the row at which each was settled."""
        out, at = np.empty_like(rows, shape=(len(rows) + 1, rows.shape[1])), np.empty(len(rows) + 1)
        count = _settle_all(self._now, self._channels, rows, out, at)
        return out[:count], at[:count].astype(np.int64)


@compiled
def _settle_all(state, channels, rows, out, at):
    count = 0
    for i in range(len(rows)):
        more = _settle(state, channels, rows[i], out[count : count + 2])
        at[count : count + more] = i
        count += more
    return count


@compiled
def _settle(state, channels, values, out):
    """Write the settled rows, two at the most, to `out`; how many."""
    now = state[0]
    count = 0
    if now.held >= 0:
        _release(state, channels, values, out[0])
        count = 1
    if _lone_jump(state, channels, values):
        for c in range(len(values)):
            channels[c].held = values[c]
        return count
    for c in range(len(values)):
        channels[c].before = values[c]
        out[count, c] = values[c]
    return count + 1


@compiled
def _release(state, channels, following, out):
    """Give out the row that is held back, mended where the channel is back in the row after it."""
    jumped = channels[state[0].held]
    before, after = jumped.before, following[state[0].held]
    state[0].mended = abs(after - before) <= OTHERS * jumped.sigma
    if state[0].mended:
        jumped.glitches += 1
        jumped.held = 0.5 * (before + after)
    else:
        jumped.jumps += 1
    for c in range(len(out)):
        channels[c].before = channels[c].held
        out[c] = channels[c].held
    state[0].held = -1


@compiled
def _lone_jump(state, channels, values):
    """Whether one channel alone jumps in this row, then `held`; learns the usual change."""
    now = state[0]
    now.rows += 1
    if now.rows == 1:
        return False
    started = now.rows > START_ROWS + 1
    weight = 1.0 / min(now.rows - 1, now.memory_rows)
    largest, moved = 0, 0
    for c in range(len(values)):
        channel = channels[c]
        change = abs(values[c] - channel.before)
        if np.isnan(change):
            change = 0.0
        channel.sigma = _GAUSSIAN * channel.usual + channel.floor
        channel.relative = change / channel.sigma
        # Clipped: a jump must not raise what it is compared with.
        learned = min(change, OTHERS * channel.sigma) if started else change
        channel.usual += weight * (learned - channel.usual)
        moved += channel.relative > OTHERS
        if channel.relative > channels[largest].relative:
            largest = c
    if not started or channels[largest].relative <= JUMP:
        return False
    if moved == 1:
        now.held = largest
        return True
    for c in range(len(values)):
        channels[c].jumps += channels[c].relative > JUMP
    return False
