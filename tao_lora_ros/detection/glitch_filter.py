"""Tell one bad sample of one channel (a sensor's glitch) from something physical."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.glitch_rules import CHANNEL, KEPT, MENDED, NOW, follow, mend
from tao_lora_ros.signal.align import AFTER_GLITCH, FLAGS, MESSAGE, Rows, joined
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
        self.clear()
        self.push(Rows(np.zeros((1, 4), np.int64), *np.zeros((2, 1, len(channels)))))  # compiles
        self.clear()

    def clear(self) -> None:
        """Forget the past; the counts stay."""
        self._now["channel"] = -1
        self._channels["usual"], self._channels["changes"] = 0.0, 0
        self._channels["sample"] = self._channels["instead"] = np.nan
        self._channels["gap"] = 0
        self._held = Rows(np.zeros((0, 4), np.int64), *np.zeros((2, 0, len(self._names))))

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

    def push(self, rows: Rows) -> Rows:
        """Take rows; give out those that are released, oldest first, by what released each."""
        if not len(rows):
            return rows
        held, count = len(self._held), len(self._held) + len(rows)
        rows = joined([self._held, rows]) if held else rows
        values = rows.values.copy()
        released = _settle(
            self._now, self._channels, rows.times, rows.values, rows.fresh, values, held
        )
        settled = Rows(rows.times, values, rows.fresh)
        if held or released < count:
            self._held = settled.part(released, count)
        return settled.part(0, released)

    def flush(self) -> Rows:
        """Give out the rows that are held back at the end of the input."""
        held, self._held = self._held, self._held.part(0, 0)
        self._now["channel"] = -1
        return held

    def run(
        self, rows: NDArray[np.float64], fresh: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Filter a whole recording, both [n, C]; also the row at which each was released, [n]."""
        self.clear()
        times = np.zeros((len(rows), 4), np.int64)
        times[:, MESSAGE] = np.arange(len(rows))
        released, held = self.push(Rows(times, rows, fresh)), self.flush()
        held.times[:, MESSAGE] = len(rows) - 1
        settled = joined([released, held])
        return settled.values, settled.times[:, MESSAGE]


@compiled
def _settle(state, channels, times, rows, fresh, out, held):
    """Take rows but for the first `held`, which are held back; how many are not in the end."""
    released = 0
    for i in range(held, len(rows)):
        _, fate, holds = follow(state, channels, rows[i], fresh[i], out[i])
        if fate == MENDED:
            mend(state, out[released:i])
            times[released, FLAGS] |= AFTER_GLITCH
        end = i if holds else i + 1
        if fate != KEPT or not holds:
            times[released:end, MESSAGE] = times[i, MESSAGE]
            released = end
    return released
