"""How often a source speaks, measured so that holes and jitter do not matter."""

from __future__ import annotations

import numpy as np

from tao_lora_ros.signal.compiled import compiled

# Of a source's own periods: a hole that is no longer is its usual pace, with a sample missing.
USUAL_PERIODS = 2.5
# Who speaks less often cannot ride along: all others would have to wait for it.
SLOWEST_NS = 500_000_000
# Newest stamps that a period is measured on, and fewest: a hole may be among their steps.
PACE, LEAST_PACE = 9, 4


@compiled
def period_ns(stamps):
    """Median step between stamps (ns), int64 [n]; 0 for fewer than two."""
    steps = np.sort(stamps[1:] - stamps[:-1])
    return steps[len(steps) // 2] if len(steps) else 0


@compiled
def usual_hole_ns(stamps, least_ns):
    """Longest hole in a source with these stamps (ns) that is its usual pace; `least_ns` at least.

    A source that is slower than `SLOWEST_NS` gets no more than the least.
    """
    period = period_ns(stamps)
    if period > SLOWEST_NS:
        return least_ns
    return max(least_ns, np.int64(np.rint(USUAL_PERIODS * period)))
