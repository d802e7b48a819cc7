"""The newest raw samples of every source, at their own rate, for when something happens."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice, takewhile

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RawSamples:
    """A stretch of one source as it came: stamps int64 [n], values float64 [n, channels]."""

    source: str
    frame_id: str
    channels: tuple[str, ...]
    stamps_ns: NDArray[np.int64]
    values: NDArray[np.float64]


class OutlierBuffer:
    """Ring of one source's samples that spans `keep_s` seconds of stamps.

    Args:
        source: the source's name.
        channels: its channel names.
        lag_s: what its stamps are late by; `cut` takes times from which that is subtracted.
        keep_s: how far back samples are kept.
    """

    def __init__(self, source: str, channels: tuple[str, ...], lag_s: float, keep_s: float) -> None:
        self._source = source
        self._channels = channels
        self._lag_ns = round(lag_s * 1e9)
        self._keep_ns = round(keep_s * 1e9)
        self._samples: deque[tuple[int, NDArray[np.float64]]] = deque()

    def push(self, stamp_ns: int, values: NDArray[np.float64]) -> None:
        """Add a sample and let go of those older than `keep_s` before it."""
        self._samples.append((stamp_ns, values))
        while self._samples[0][0] < stamp_ns - self._keep_ns:
            self._samples.popleft()

    def cut(self, start_ns: int, end_ns: int, frame_id: str) -> RawSamples:
        """Copy the samples from `start_ns` to `end_ns`, both included."""
        start_ns, end_ns = start_ns + self._lag_ns, end_ns + self._lag_ns
        # From the newest backwards: at an onset only the last of seconds of samples are wanted.
        young = takewhile(lambda sample: sample[0] >= start_ns, reversed(self._samples))
        kept = [sample for sample in young if sample[0] <= end_ns][::-1]
        return RawSamples(
            self._source,
            frame_id,
            self._channels,
            np.array([stamp for stamp, _ in kept], dtype=np.int64),
            np.array([values for _, values in kept]).reshape(-1, len(self._channels)),
        )

    def newest(self, count: int) -> NDArray[np.float64]:
        """Values of the newest samples, [count or fewer, channels], the newest first."""
        values = [values for _, values in islice(reversed(self._samples), count)]
        return np.array(values).reshape(-1, len(self._channels))

    def clear(self) -> None:
        """Forget all samples."""
        self._samples.clear()
