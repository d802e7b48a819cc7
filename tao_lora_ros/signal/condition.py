"""What the newest samples say of a sensor: axes that are stuck, clipped or missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

LOOK = 256  # newest samples that are looked at
_STUCK = 32  # of them equal
_CLIPPED = 13  # of them, a twentieth, at their largest or smallest value
_CROWDED = 4.0  # times as many as share any other value


def missing(channels: Sequence[str], newest: NDArray[np.float64]) -> list[str]:
    """Channels that the newest samples do not report.

    Args:
        channels: their names.
        newest: samples, [n, channels], the newest first; a NaN is not reported.
    """
    if len(newest) < _STUCK:
        return []
    return _named(channels, [bool(np.isnan(values).all()) for values in newest[:_STUCK].T])


def faults(channels: Sequence[str], newest: NDArray[np.float64]) -> Iterator[str]:
    """What is wrong with the sensor, in words; arguments as for `missing`."""
    if len(newest) >= _STUCK:
        still = [bool(np.ptp(values) == 0.0) for values in newest[:_STUCK].T]  # a NaN is not 0
        if any(still):
            yield f"never changes: {', '.join(_named(channels, still))}"
    if len(newest) >= LOOK:
        clipped = [_is_clipped(values) for values in newest[:LOOK].T]
        if any(clipped):
            yield f"stays at its largest value: {', '.join(_named(channels, clipped))}"


def _is_clipped(values: NDArray[np.float64]) -> bool:
    """Whether the extremes are crowded as those of no distribution are that was not cut off.

    Coarse steps make equal values too, but then all are.
    """
    counts = np.unique(values[np.isfinite(values)], return_counts=True)[1]
    if len(counts) < 3:
        return False
    crowd = max(counts[0], counts[-1])
    return bool(crowd >= max(_CLIPPED, _CROWDED * np.median(counts), 2 * counts[1:-1].max()))


def _named(channels: Sequence[str], chosen: Sequence[bool]) -> list[str]:
    return [name for name, is_chosen in zip(channels, chosen, strict=True) if is_chosen]
