"""What is drawn of a long signal: least and greatest of buckets of time, samples near events."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]
Span = tuple[float, float]


def bucket_edges(whole: Span, buckets: int, spans: Sequence[Span]) -> Seconds:
    """Bounds of buckets, ascending [n + 1]: about so many of one width, cut at those of `spans`.

    A bucket is so either within a span or outside: what one holds never comes from the other.
    """
    grid = np.linspace(*whole, buckets + 1)
    return np.unique(np.concatenate([grid, np.clip(np.ravel(spans), *whole)]))


def envelope(
    times: Seconds, values: NDArray[np.floating], edges: Seconds
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Least and greatest of each bucket [edges[i], edges[i + 1]), the last one closed.

    Args:
        times: ascending [n].
        values: [n, C]; NaN counts as none.
        edges: ascending [buckets + 1].

    Returns:
        Two of [C, buckets]; NaN where there is no value.
    """
    at = np.searchsorted(times, edges)
    at[-1] = np.searchsorted(times, edges[-1], "right")
    filled = np.flatnonzero(np.diff(at))
    found = np.full((2, values.shape[1], len(edges) - 1), np.nan, np.float32)
    if filled.size:
        # Buckets without a sample lie between none: the next filled one begins where one ends.
        inside = values[: at[-1]]
        found[0][:, filled] = np.fmin.reduceat(inside, at[filled]).T
        found[1][:, filled] = np.fmax.reduceat(inside, at[filled]).T
    return found[0], found[1]


def spans_within(wanted: Sequence[Span], most_s: float) -> tuple[list[Span], float]:
    """Those spans joined where they overlap, each cut to the longest that keeps their sum.

    Args:
        wanted: from and to.
        most_s: what they may last together.

    Returns:
        The spans in order, and the length that each was cut to.
    """
    least, most = 0.0, max((end - begin for begin, end in wanted), default=0.0)
    if _sum(_joined(wanted, most)) <= most_s:
        return _joined(wanted, most), most
    for _ in range(40):
        middle = (least + most) / 2
        fits = _sum(_joined(wanted, middle)) <= most_s
        least, most = (middle, most) if fits else (least, middle)
    return _joined(wanted, least), least


def _joined(wanted: Sequence[Span], longest: float) -> list[Span]:
    joined: list[Span] = []
    for begin, end in sorted(wanted):
        end = min(end, begin + longest)
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined


def _sum(spans: Sequence[Span]) -> float:
    return sum(end - begin for begin, end in spans)
