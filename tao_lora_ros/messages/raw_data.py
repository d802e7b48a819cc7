"""What was received, as it came: samples of one source, and its messages byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RawSamples:
    """A stretch of one source's samples: stamps int64 [n], values float64 [n, channels]."""

    source: str
    frame_id: str
    channels: tuple[str, ...]
    stamps_ns: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class RawMessages:
    """A stretch of one source's messages byte for byte, refused ones too, in order of arrival.

    `times_ns` int64 [n] never falls: the stamp of what was accepted, for the rest the time of what
    came next to it.
    """

    times_ns: NDArray[np.int64]
    data: tuple[bytes, ...]


def without_lags(raw: Sequence[RawSamples], lags_ns: Sequence[int]) -> tuple[RawSamples, ...]:
    """The samples of each source on the time of events: stamps less the source's lag."""
    return tuple(
        replace(samples, stamps_ns=samples.stamps_ns - lag_ns) if lag_ns else samples
        for samples, lag_ns in zip(raw, lags_ns, strict=True)
    )
