"""When to infer: a slow hop in steady motion, a fast one in a transient, at once on an onset."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.detector import STEP
from tao_lora_ros.signal.align import EMPTY, FLAGS
from tao_lora_ros.signal.compiled import compiled, entry

_DUE = np.dtype([("row", np.int64), ("missed", np.int64)])


class HopSchedule:
    """Counts rows since the last inference; deterministic, at most one inference a hop.

    Args:
        hop_steady: rows between inferences in steady motion.
        hop_transient: rows between inferences in a transient.
    """

    def __init__(self, hop_steady: int, hop_transient: int) -> None:
        self._hops = np.array([hop_steady, hop_transient], np.int64)  # by `Route`
        self._now = np.zeros(2, np.int64)  # rows since the last inference; those without a value
        times, steps, found = np.zeros((0, 4), np.int64), np.zeros(0, STEP), np.zeros(0, _DUE)
        self._loop = entry(_due, self._hops, self._now, times, steps, 0, False, found)
        self.clear()

    def set_hops(self, hop_steady: int, hop_transient: int) -> None:
        """Take other hops, between two rows."""
        self._hops[:] = hop_steady, hop_transient

    def clear(self) -> None:
        """The next row is due."""
        self._now[:] = np.iinfo(np.int64).max // 2, 0

    def due(
        self, times: NDArray[np.int64], steps: NDArray, full: int, onset: bool
    ) -> tuple[int, list[tuple[int, int]]]:
        """Which rows are to be inferred on; called once with each row.

        Args:
            times: of the rows, see `Rows`; one without any value has no window.
            steps: their routes.
            full: the first row whose window is full.
            onset: the last one begins a transient.

        Returns:
            How many rows have a window; of each that is due its number, and how many rows without
            any value there were since the one before.
        """
        found = np.empty(len(times), _DUE)
        windows, count = self._loop(self._hops, self._now, times, steps, full, onset, found)
        return windows, found[:count].tolist()


@compiled
def _due(hops, now, times, steps, full, onset, found):
    windows, count = 0, 0
    for i in range(len(times)):
        if times[i, FLAGS] & EMPTY:
            now[1] += 1
        elif i >= full:
            windows += 1
            now[0] += 1
            if now[0] >= hops[int(steps[i].transient)] or (onset and i == len(times) - 1):
                found[count].row, found[count].missed = i, now[1]
                count += 1
                now[:] = 0
    return windows, count
