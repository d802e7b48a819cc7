"""Which sample jumps alone and is back in the next: the rules of `glitch_filter`, compiled."""

from __future__ import annotations

import numpy as np

from tao_lora_ros.signal.compiled import compiled

# In units of the channel's usual change from sample to sample. The changes of Gaussian noise pass
# 8 σ once in 10¹⁵; so false glitches come from heavier tails alone, and must also come back at
# once.
JUMP = 8.0
OTHERS = 4.0
START_SAMPLES = 100
LEAST_SAMPLES = 16  # that the usual change is a mean of
# Mean absolute value of a Gaussian to its standard deviation.
_GAUSSIAN = np.sqrt(np.pi / 2.0)
# What becomes of the rows that are held back.
KEPT, RELEASED, MENDED = 0, 1, 2

NOW = np.dtype(
    [
        ("memory", np.int64),  # of the usual change, in rows
        ("channel", np.int64),  # that jumped in the rows that are held back, -1: none are
        ("mended", np.int64),  # channel of the newest glitch
        ("start", np.float64),  # its sample before that glitch
        ("end", np.float64),  # and the one after
    ]
)
CHANNEL = np.dtype(
    [
        ("floor", np.float64),
        ("usual", np.float64),  # mean absolute change from sample to sample
        ("changes", np.int64),  # that it was learned from
        ("sample", np.float64),  # the newest
        ("before", np.float64),  # the one before
        ("rows", np.int64),  # since the newest
        ("gap", np.int64),  # whether it was absent since
        ("relative", np.float64),  # its change in standard deviations, 0 where there is none
        ("sigma", np.float64),
        ("instead", np.float64),  # of its value, until its next sample: after a glitch; NaN: none
        ("glitches", np.int64),
        ("jumps", np.int64),
    ]
)


@compiled
def follow(state, channels, values, fresh, out):
    """Take one row, and write to `out` what of it is no part of an older glitch.

    Returns:
        Whether that differs from `values`; what becomes of the rows that are held back; and whether
        this one is held back.
    """
    now = state[0]
    held = KEPT
    if now.channel >= 0:
        held = _judge(state, channels, values, fresh)
    changed = _leave_out(channels, values, fresh, out)
    largest, moved = _learn(now.memory, channels, values, fresh)
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
def _judge(state, channels, values, fresh):
    """What the next row says of those that are held back."""
    now = state[0]
    jumped = channels[now.channel]
    after = fresh[now.channel]
    if np.isnan(after):  # without a value it is a gap: nobody knows
        return _release(state, channels) if np.isnan(values[now.channel]) else KEPT
    if not abs(after - jumped.before) <= OTHERS * jumped.sigma:
        return _release(state, channels)
    jumped.glitches += 1
    jumped.sample = 0.5 * (jumped.before + after)
    jumped.instead = after
    now.mended, now.start, now.end = now.channel, jumped.before, after
    now.channel = -1
    return MENDED


@compiled
def _release(state, channels):
    """The rows that are held back pass as they are."""
    channels[state[0].channel].jumps += 1
    state[0].channel = -1
    return RELEASED


@compiled
def mend(state, rows):
    """Interpolate the newest glitch's channel in its rows [n, C]."""
    now = state[0]
    for i in range(len(rows)):
        share = (i + 1) / (len(rows) + 1)
        rows[i, now.mended] = (1.0 - share) * now.start + share * now.end


@compiled
def _leave_out(channels, values, fresh, out):
    """Copy a row, but for what is interpolated between a glitch and the sample after it."""
    changed = False
    for c in range(len(values)):
        instead = channels[c].instead
        out[c] = values[c]
        if not np.isnan(instead):
            if np.isnan(values[c]) or not (np.isnan(fresh[c]) or fresh[c] == instead):
                channels[c].instead = np.nan
            elif values[c] != instead:
                out[c] = instead
                changed = True
    return changed


@compiled
def _learn(memory, channels, values, fresh):
    """Take the fresh samples, and learn the usual changes.

    Returns:
        The channel that changed most, and how many did by more than `OTHERS`.
    """
    largest, moved = 0, 0
    for c in range(len(values)):
        channel = channels[c]
        channel.relative = 0.0
        channel.rows += 1
        if np.isnan(fresh[c]):
            channel.gap |= np.isnan(values[c])
            continue
        change = abs(fresh[c] - channel.sample)
        channel.before, channel.sample = channel.sample, fresh[c]
        rows, channel.rows = channel.rows, 0
        gap, channel.gap = channel.gap, 0
        if np.isnan(change):
            continue
        channel.changes += 1 - gap
        channel.sigma = _GAUSSIAN * channel.usual + channel.floor
        started = channel.changes > START_SAMPLES
        if not gap:  # what changed meanwhile says nothing of what is usual
            # Clipped: a jump must not raise what it is compared with.
            learned = min(change, OTHERS * channel.sigma) if started else change
            mean_of = max(memory / rows, LEAST_SAMPLES)  # of a slow sensor too: fewer say nothing
            channel.usual += (learned - channel.usual) / min(channel.changes, mean_of)
        if started:
            channel.relative = change / channel.sigma
        moved += channel.relative > OTHERS
        if channel.relative > channels[largest].relative:
            largest = c
    return largest, moved
