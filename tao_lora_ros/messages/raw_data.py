"""What was received, as it came: samples of one source, and its messages byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RawSamples:
    """A stretch of one source's samples: stamps int64 [n], values float64 [n, channels].

    `lag_ns` is how much later than the others the source stamps the same instant; events are on the
    time of stamps less that. No message has it, but the bag of a stored event does.
    """

    source: str
    frame_id: str
    channels: tuple[str, ...]
    stamps_ns: NDArray[np.int64]
    values: NDArray[np.float64]
    lag_ns: int = 0


@dataclass(frozen=True)
class RawMessages:
    """A stretch of one source's messages byte for byte, refused ones too, in order of arrival.

    `times_ns` int64 [n] never falls: the stamp of what was accepted, for the rest the time of what
    came next to it.
    """

    times_ns: NDArray[np.int64]
    data: tuple[bytes, ...]


def without_lags(raw: Sequence[RawSamples]) -> tuple[RawSamples, ...]:
    """The samples of each source on the time of events: stamps less the source's lag."""
    return tuple(
        replace(s, stamps_ns=s.stamps_ns - s.lag_ns, lag_ns=0) if s.lag_ns else s for s in raw
    )
