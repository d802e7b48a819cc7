"""Tell one bad sample of one channel (a sensor's glitch) from something physical."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.align import Row

# In units of the channel's usual change from row to row. The changes of Gaussian noise pass 8 σ
# once in 10¹⁵; so false glitches come from heavier tails alone, and must also come back at once.
JUMP = 8.0
OTHERS = 4.0
START_ROWS = 100
# Mean absolute value of a Gaussian to its standard deviation.
_GAUSSIAN = np.sqrt(np.pi / 2.0)


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
        self._channels = channels
        self._floors = np.array(floors)
        self._memory = memory_rows
        self.glitches: Counter[str] = Counter()
        self.clear()

    def clear(self) -> None:
        """Forget the past; the counts stay."""
        self._usual = np.zeros(len(self._channels))
        self._rows = 0
        self._before: NDArray[np.float64] | None = None
        self._held: tuple[Row, int] | None = None

    def push(self, row: Row) -> Iterator[Row]:
        """Take a row; give out those that are settled, oldest first."""
        if self._held is not None:
            yield self._settle(row.values)
        jump = self._lone_jump(row.values)
        if jump is None:
            self._before = row.values
            yield row
        else:
            self._held = row, jump

    def flush(self) -> Iterator[Row]:
        """Give out the row that is held back at the end of the input."""
        if self._held is not None:
            row, _ = self._held
            self._held = None
            yield row

    def _settle(self, following: NDArray[np.float64]) -> Row:
        assert self._held is not None
        assert self._before is not None
        (row, channel), self._held = self._held, None
        neighbours = self._before[channel], following[channel]
        sigma = self._sigma[channel]
        if abs(neighbours[1] - neighbours[0]) <= OTHERS * sigma:
            self.glitches[self._channels[channel]] += 1
            values = row.values.copy()
            values[channel] = sum(neighbours) / 2.0
            row = replace(row, values=values)
        self._before = row.values
        return row

    def _lone_jump(self, values: NDArray[np.float64]) -> int | None:
        """Channel that alone jumps in this row, if any; learns the usual change."""
        if self._before is None:
            return None
        change = np.abs(values - self._before)
        change[np.isnan(change)] = 0.0
        sigma = self._sigma = _GAUSSIAN * self._usual + self._floors
        self._rows += 1
        weight = 1.0 / min(self._rows, self._memory)
        # Clipped: a jump must not raise what it is compared with.
        limit = np.where(self._rows <= START_ROWS, np.inf, OTHERS * sigma)
        self._usual += weight * (np.minimum(change, limit) - self._usual)
        if self._rows <= START_ROWS:
            return None
        relative = change / sigma
        largest = int(relative.argmax())
        if relative[largest] <= JUMP or np.sum(relative > OTHERS) > 1:
            return None
        return largest
