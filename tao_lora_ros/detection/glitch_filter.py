"""Tell one bad sample of one channel (a sensor's glitch) from something physical."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.glitch_rules import CHANNEL, KEPT, MENDED, NOW, follow, mend
from tao_lora_ros.signal.align import Row
from tao_lora_ros.signal.compiled import compiled
from tao_lora_ros.signal.source import unit_of

# As the router's longest one: after a motion the filter is insensitive no longer than that.
MEMORY_S = 0.192
# Changes below these are under the resolution of common sensors (m/s², rad/s, N, Nm).
_RESOLUTION = {"m/s^2": 2e-3, "rad/s": 2e-4, "N": 1e-2, "Nm": 5e-4}


def resolutions(channels: Iterable[str]) -> tuple[float, ...]:
    """Standard deviation of each channel's resolution, in its unit."""
    return tuple(_RESOLUTION[unit_of(channel)] for channel in channels)


class GlitchFilter:
    """Mends one sample of one channel that jumps alone and is back in the next.

    A row to which a single channel brings a fresh sample that changed by more than `JUMP` usual
    changes, and no other by more than `OTHERS`, is held back, and so are those after it until
    the channel's next sample: one row where the sensor is as fast as the rows, several where it
    is slower, as the rows between its samples are interpolated. Where the channel is back then,
    its sample was a glitch: it is counted, and the rows that it went into are interpolated
    anew. What several channels see, be it while rows are held back, or what lasts, is physical
    and passes as it is, at once.

    Args:
        channels: channel names.
        rate_hz: of the rows.
    """

    def __init__(self, channels: tuple[str, ...], rate_hz: float) -> None:
        self._names = channels
        self._now = np.zeros(1, NOW)
        self._now["memory"] = max(1, round(MEMORY_S * rate_hz))
        self._channels = np.zeros(len(channels), CHANNEL)
        self._channels["floor"] = resolutions(channels)
        self._values = np.zeros(len(channels))
        self.mended = 0  # samples of all channels, in rows that came alone
        self.clear()
        follow(self._now, self._channels, self._values, self._values, self._values)  # compiles
        self.clear()

    def clear(self) -> None:
        """Forget the past; the counts stay."""
        self._now["channel"] = -1
        self._channels["usual"], self._channels["changes"] = 0.0, 0
        self._channels["sample"] = self._channels["instead"] = np.nan
        self._channels["gap"] = 0
        self._held: list[Row] = []

    @property
    def glitches(self) -> Counter[str]:
        """Samples that were mended, by channel."""
        return self._counts("glitches")

    @property
    def jumps(self) -> Counter[str]:
        """Samples as far off that were let through as physical, by channel."""
        return self._counts("jumps")

    def _counts(self, field: str) -> Counter[str]:
        counts = zip(self._names, self._channels[field].tolist(), strict=True)
        return Counter({name: count for name, count in counts if count})

    def push(self, row: Row) -> list[Row]:
        """Take a row; give out those that are released, oldest first."""
        changed, held, holds = follow(
            self._now, self._channels, row.values, row.fresh, self._values
        )
        if changed:
            row = replace(row, values=self._values.copy())
        released: list[Row] = []
        if held != KEPT:
            released, self._held = self._held, []
        if held == MENDED:
            self.mended += 1
            values = np.array([row.values for row in released])
            mend(self._now, values)
            released = [replace(old, values=new) for old, new in zip(released, values, strict=True)]
        (self._held if holds else released).append(row)
        return released

    def flush(self) -> list[Row]:
        """Give out the rows that are held back at the end of the input."""
        held, self._held = self._held, []
        self._now["channel"] = -1
        return held

    def run(
        self, rows: NDArray[np.float64], fresh: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Filter a whole recording, both [n, C]; also the row at which each was released, [n]."""
        self.clear()
        out, released_at = np.empty_like(rows), np.empty(len(rows), np.int64)
        _follow_all(self._now, self._channels, rows, fresh, out, released_at)
        return out, released_at


@compiled
def _follow_all(state, channels, rows, fresh, out, released_at):
    waiting = 0
    for i in range(len(rows)):
        _, held, holds = follow(state, channels, rows[i], fresh[i], out[i])
        if held == MENDED:
            mend(state, out[waiting:i])
        if held != KEPT:
            released_at[waiting:i] = i
            waiting = i
        if not holds:
            released_at[i] = i
            waiting = i + 1
    released_at[waiting:] = len(rows) - 1
