"""How often a source speaks, measured so that holes and jitter do not matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tao_lora_ros.signal.compiled import compiled

# Of a source's own periods: a hole that is no longer is its usual pace, with a sample missing.
USUAL_PERIODS = 2.5
# Who speaks less often cannot ride along: all others would have to wait for it.
SLOWEST_NS = 500_000_000
# Newest stamps that a period is measured on, and fewest: a hole may be among their steps.
PACE, LEAST_PACE = 9, 4
_IN_TURN = 16  # times, of which a rate is the median


@compiled
def period_ns(stamps):
    """Median step between stamps (ns), int64 [n]; 0 for fewer than two."""
    steps = np.sort(stamps[1:] - stamps[:-1])
    return steps[len(steps) // 2] if len(steps) else 0


def usual_rate_hz(times_ns: Sequence[int]) -> float:
    """Rate (Hz) by the median time of several in turn; 0 for fewer than two times.

    So pauses do not matter, nor bursts of times that are nearly one.
    """
    times = np.sort(np.array(times_ns, np.int64))
    in_turn = min(_IN_TURN, len(times) - 1)
    if in_turn < 1 or times[-1] == times[0]:
        return 0.0
    span_ns = float(np.median(times[in_turn:] - times[:-in_turn]))
    return in_turn * 1e9 / span_ns if span_ns else 0.0


@compiled
def usual_hole_ns(stamps, least_ns):
    """Longest hole in a source with these stamps (ns) that is its usual pace; `least_ns` at least.

    A source that is slower than `SLOWEST_NS` gets no more than the least.
    """
    period = period_ns(stamps)
    if period > SLOWEST_NS:
        return least_ns
    return max(least_ns, np.int64(np.rint(USUAL_PERIODS * period)))
