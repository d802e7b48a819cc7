"""How often a source speaks, measured so that holes and jitter do not matter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

# Of a source's own periods: a hole that is no longer is its usual pace, with a sample missing.
USUAL_PERIODS = 2.5
# Who speaks less often cannot ride along: all others would have to wait for it.
SLOWEST_NS = 500_000_000
# Newest stamps that a period is measured on, and fewest: a hole may be among their steps.
PACE, LEAST_PACE = 9, 4


def period_ns(stamps: Sequence[int]) -> int:
    """Median step between stamps (ns); 0 for fewer than two."""
    steps = sorted([after - before for before, after in pairwise(stamps)])
    return steps[len(steps) // 2] if steps else 0


def usual_hole_ns(stamps: Sequence[int], least_ns: int) -> int:
    """Longest hole in a source with these stamps (ns) that is its usual pace; `least_ns` at least.

    A source that is slower than `SLOWEST_NS` gets no more than the least.
    """
    period = period_ns(stamps)
    return max(least_ns, round(USUAL_PERIODS * period)) if period <= SLOWEST_NS else least_ns
