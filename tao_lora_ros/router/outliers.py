"""Tell one bad sample of one channel (a sensor's glitch) from something physical."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.align import Row
from tao_lora_ros.signal.compiled import compiled
from tao_lora_ros.signal.source import unit_of

# In units of the channel's usual change from sample to sample. The changes of Gaussian noise pass
# 8 σ once in 10¹⁵; so false glitches come from heavier tails alone, and must also come back at
# once.
JUMP = 8.0
OTHERS = 4.0
START_SAMPLES = 100
# As the router's longest one: after a motion the filter is hard of hearing no longer than that.
MEMORY_S = 0.192
# Changes below these are under the resolution of common sensors (m/s², rad/s, N, Nm).
_RESOLUTION = {"m/s^2": 2e-3, "rad/s": 2e-4, "N": 1e-2, "Nm": 5e-4}
# Mean absolute value of a Gaussian to its standard deviation.
_GAUSSIAN = np.sqrt(np.pi / 2.0)
# What becomes of the rows that are held back.
_KEPT, _RELEASED, _MENDED = 0, 1, 2

_NOW = np.dtype(
    [
        ("memory", np.int64),  # of the usual change, in rows
        ("channel", np.int64),  # that jumped in the rows that are held back, -1: none are
        ("mended", np.int64),  # channel of the newest glitch
        ("start", np.float64),  # its sample before that glitch
        ("end", np.float64),  # and the one after
    ]
)
_CHANNEL = np.dtype(
    [
        ("floor", np.float64),
        ("usual", np.float64),  # mean absolute change from sample to sample
        ("changes", np.int64),  # that it was learned from
        ("sample", np.float64),  # the newest
        ("before", np.float64),  # the one before
        ("rows", np.int64),  # since the newest
        ("relative", np.float64),  # its change in standard deviations, 0 where there is none
        ("sigma", np.float64),
        ("instead", np.float64),  # of its value, until its next sample: after a glitch; NaN: none
        ("glitches", np.int64),
        ("jumps", np.int64),
    ]
)


def resolutions(channels: Iterable[str]) -> tuple[float, ...]:
    """Standard deviation of each channel's resolution, in its unit."""
    return tuple(_RESOLUTION[unit_of(channel)] for channel in channels)


class GlitchFilter:
    """Mends one sample of one channel that jumps alone and is back in the next.

    A row to which a single channel has news of a change by more than `JUMP` usual ones, and no
    other by more than `OTHERS`, is held back, and so are those after it until the channel's next
    sample: one row where the sensor is as fast as the rows, several where it is slower, as the rows
    between its samples are interpolated. Where the channel is back then, its sample was a glitch:
    it is counted, and the rows that it went into are interpolated anew. What several channels see,
    be it while rows are held back, or what lasts, is physical and passes as it is, at once.

    Args:
        channels: channel names.
        rate_hz: of the rows.
    """

    def __init__(self, channels: tuple[str, ...], rate_hz: float) -> None:
        self._names = channels
        self._now = np.zeros(1, _NOW)
        self._now["memory"] = round(MEMORY_S * rate_hz)
        self._channels = np.zeros(len(channels), _CHANNEL)
        self._channels["floor"] = resolutions(channels)
        self._values = np.zeros(len(channels))
        self.clear()
        _follow(self._now, self._channels, self._values, self._values, self._values)  # compiles
        self.clear()

    def clear(self) -> None:
        """Forget the past; the counts stay."""
        self._now["channel"] = -1
        self._channels["usual"], self._channels["changes"] = 0.0, 0
        self._channels["sample"] = self._channels["instead"] = np.nan
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
        """Take a row; give out those that are settled, oldest first."""
        changed, held, holds = _follow(
            self._now, self._channels, row.values, row.news, self._values
        )
        if changed:
            row = replace(row, values=self._values.copy())
        settled: list[Row] = []
        if held != _KEPT:
            settled, self._held = self._held, []
        if held == _MENDED:
            values = np.array([row.values for row in settled])
            _mend(self._now, values)
            settled = [replace(old, values=new) for old, new in zip(settled, values, strict=True)]
        (self._held if holds else settled).append(row)
        return settled

    def flush(self) -> list[Row]:
        """Give out the rows that are held back at the end of the input."""
        held, self._held = self._held, []
        self._now["channel"] = -1
        return held

    def run(
        self, rows: NDArray[np.float64], news: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Settle a whole recording, both [n, C]; also the row at which each was settled, [n]."""
        self.clear()
        out, settled_at = np.empty_like(rows), np.empty(len(rows), np.int64)
        _follow_all(self._now, self._channels, rows, news, out, settled_at)
        return out, settled_at


@compiled
def _follow_all(state, channels, rows, news, out, settled_at):
    waiting = 0
    for i in range(len(rows)):
        _, held, holds = _follow(state, channels, rows[i], news[i], out[i])
        if held == _MENDED:
            _mend(state, out[waiting:i])
        if held != _KEPT:
            settled_at[waiting:i] = i
            waiting = i
        if not holds:
            settled_at[i] = i
            waiting = i + 1
    settled_at[waiting:] = len(rows) - 1


@compiled
def _follow(state, channels, values, news, out):
    """Take one row, and write to `out` what of it is no part of an older glitch.

    Returns:
        Whether that differs from `values`; what becomes of the rows that are held back; and whether
        this one is held back.
    """
    now = state[0]
    held = _KEPT
    if now.channel >= 0:
        held = _judge(state, channels, values, news)
    changed = _leave_out(channels, values, news, out)
    largest, moved = _learn(now.memory, channels, values, news)
    if now.channel >= 0:
        if not moved:
            return changed, held, True
        held = _release(state, channels)
    elif moved == 1 and channels[largest].relative > JUMP:
        now.channel = largest
        return changed, held, True
    for c in range(len(values)):
        channels[c].jumps += channels[c].relative > JUMP
    return changed, held, False


@compiled
def _judge(state, channels, values, news):
    """What the next row says of those that are held back."""
    now = state[0]
    jumped = channels[now.channel]
    after = news[now.channel]
    if np.isnan(after):  # without a value it is a gap: nobody knows
        return _release(state, channels) if np.isnan(values[now.channel]) else _KEPT
    if not abs(after - jumped.before) <= OTHERS * jumped.sigma:
        return _release(state, channels)
    jumped.glitches += 1
    jumped.sample = 0.5 * (jumped.before + after)
    jumped.instead = after
    now.mended, now.start, now.end = now.channel, jumped.before, after
    now.channel = -1
    return _MENDED


@compiled
def _release(state, channels):
    """The rows that are held back pass as they are."""
    channels[state[0].channel].jumps += 1
    state[0].channel = -1
    return _RELEASED


@compiled
def _mend(state, rows):
    """Interpolate the newest glitch's channel in its rows [n, C]."""
    now = state[0]
    for i in range(len(rows)):
        share = (i + 1) / (len(rows) + 1)
        rows[i, now.mended] = (1.0 - share) * now.start + share * now.end


@compiled
def _leave_out(channels, values, news, out):
    """Copy a row, but for what is interpolated between a glitch and the sample after it."""
    changed = False
    for c in range(len(values)):
        instead = channels[c].instead
        out[c] = values[c]
        if not np.isnan(instead):
            if np.isnan(values[c]) or not (np.isnan(news[c]) or news[c] == instead):
                channels[c].instead = np.nan
            elif values[c] != instead:
                out[c] = instead
                changed = True
    return changed


@compiled
def _learn(memory, channels, values, news):
    """Take the news, and learn the usual changes.

    Returns:
        The channel that changed most, and how many did by more than `OTHERS`.
    """
    largest, moved = 0, 0
    for c in range(len(values)):
        channel = channels[c]
        channel.relative = 0.0
        channel.rows += 1
        if np.isnan(news[c]):
            if np.isnan(values[c]):  # a gap: what comes after it has nothing to be compared with
                channel.sample = np.nan
            continue
        change = abs(news[c] - channel.sample)
        channel.before, channel.sample = channel.sample, news[c]
        rows, channel.rows = channel.rows, 0
        if np.isnan(change):
            continue
        channel.changes += 1
        channel.sigma = _GAUSSIAN * channel.usual + channel.floor
        started = channel.changes > START_SAMPLES
        # Clipped: a jump must not raise what it is compared with.
        learned = min(change, OTHERS * channel.sigma) if started else change
        channel.usual += (learned - channel.usual) / min(channel.changes, memory / rows)
        if started:
            channel.relative = change / channel.sigma
        moved += channel.relative > OTHERS
        if channel.relative > channels[largest].relative:
            largest = c
    return largest, moved
