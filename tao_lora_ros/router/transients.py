"""When a transient began, when it was strongest, and which channels drove it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.router.analyzer import Analysis

ONSET_LIVELINESS = 4.0
NOISE = 3.0


@dataclass
class Transient:
    """One transient as far as it is known.

    Times are grid times in ns; `shares` is float64 [C], non-negative, sum 1; `end_ns` is the last
    row whose score was not yet quiet, 0 while it goes on.
    """

    sequence: int
    onset_ns: int
    peak_ns: int
    peak_score: float
    shares: NDArray[np.float64]
    end_ns: int = 0


class TransientTracker:
    """Follows analyses row by row and describes the transient that the router reports.

    Onset: an alarm comes some rows late, so it is dated back to the first row of the alarming
    window that is more than `ONSET_LIVELINESS` times livelier than usual; to the alarm's row itself
    where there is none. Peak: the liveliest row. Shares: how far each channel changed, row by row,
    beyond what noise explains (`NOISE` of its usual standard deviations), summed.
    """

    def __init__(self, longest_scale: int) -> None:
        self._past: deque[tuple[int, Analysis]] = deque(maxlen=longest_scale)
        self._sequence = 0
        self.clear()

    def clear(self) -> None:
        """Forget the past; sequence numbers go on."""
        self._past.clear()
        self.current: Transient | None = None
        self._peak_liveliness = 0.0
        self._last_loud_ns = 0

    def observe(self, time_ns: int, analysis: Analysis, off_score: float) -> None:
        """Take one row, before the router's change for it is handled."""
        self._past.append((time_ns, analysis))
        transient = self.current
        if transient is None:
            return
        if analysis.score >= off_score:
            self._last_loud_ns = time_ns
        if analysis.liveliness > self._peak_liveliness:
            self._peak_liveliness, transient.peak_ns = analysis.liveliness, time_ns
        self._changes += _beyond_noise(analysis)
        transient.shares = self._changes / self._changes.sum()
        transient.peak_score = max(transient.peak_score, analysis.score)

    def begin(self, time_ns: int, analysis: Analysis) -> Transient:
        """The router alarmed at this row."""
        window = list(self._past)[-analysis.scale :]
        lively = [row_ns for row_ns, row in window if row.liveliness > ONSET_LIVELINESS]
        onset_ns = lively[0] if lively else time_ns
        peak_ns, peak = max(window, key=lambda row: row[1].liveliness)
        self._peak_liveliness = peak.liveliness
        self._last_loud_ns = time_ns
        # The liveliest row counts in full, so that there is always something to share.
        self._changes = peak.deviations + sum(_beyond_noise(row) for _, row in window)
        shares = self._changes / self._changes.sum()
        self.current = Transient(
            self._sequence, onset_ns, max(peak_ns, onset_ns), analysis.score, shares
        )
        self._sequence += 1
        return self.current

    def end(self) -> Transient:
        """The router says that it is over."""
        transient = self.current
        assert transient is not None, "end() without begin()"
        transient.end_ns = max(self._last_loud_ns, transient.peak_ns)
        self.current = None
        return transient


def _beyond_noise(analysis: Analysis) -> NDArray[np.float64]:
    return np.maximum(analysis.deviations - NOISE, 0.0)
