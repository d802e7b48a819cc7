"""The faster of two runtimes, found while they run: what is faster depends on the robot's pace and
on what else the machine does."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from statistics import median

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.route import Route
from tao_lora_ros.runtime.runtime import Array, Output, Runtime

_CALLS = 15  # that a median is taken of
_SHARE = 0.01  # of the time of inference that the comparison may take
_BETTER = 0.8  # of the other's time; less of a difference is no reason to change

_log = logging.getLogger(__name__)


class FasterRuntime:
    """Runs the runtime that takes less time a call, and has the other one infer now and then.

    Args:
        first: what begins, unless the other is faster at once.
        second: the other one.
        clock: seconds.
    """

    def __init__(
        self, first: Runtime, second: Runtime, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._used, self._other = _Timed(first, clock), _Timed(second, clock)
        self._unchecked_s = 0.0  # time of the calls since the other one was tried

    @property
    def name(self) -> str:
        """Of the one that infers now."""
        return self._used.runtime.name

    @property
    def comparison(self) -> str:
        """What both take, for people."""
        return f"{self._used} a call, {self._other}"

    def infer(self, window: Array, path: Route) -> Output:
        """See `Runtime`."""
        output = self._used.infer(window, path)
        self._unchecked_s += self._used.last_s
        # One slow call is no sign of the next, nor are the earlier ones once one was fast.
        cost_s = min(self._other.last_s, self._other.typical_s)
        if not self._other.known or self._unchecked_s * _SHARE >= cost_s:
            self._unchecked_s = 0.0
            self._other.infer(window, path)
            self._choose()
        return output

    def infer_batch(self, windows: Array, paths: NDArray[np.int32]) -> Output:
        """See `Runtime`; by the one that infers now."""
        return self._used.runtime.infer_batch(windows, paths)

    def _choose(self) -> None:
        both = self._used.known and self._other.known
        if both and self._other.typical_s < _BETTER * self._used.typical_s:
            self._used, self._other = self._other, self._used
            _log.info("inference goes on with %s: %s", self.name, self.comparison)


class _Timed:
    """A runtime, and how long its latest calls took."""

    def __init__(self, runtime: Runtime, clock: Callable[[], float]) -> None:
        self.runtime, self._clock = runtime, clock
        self._took_s: deque[float] = deque(maxlen=_CALLS)
        self.last_s = 0.0

    @property
    def known(self) -> bool:
        """Whether there were calls enough."""
        return len(self._took_s) == _CALLS

    @property
    def typical_s(self) -> float:
        """Median; NaN before the first call."""
        return median(self._took_s) if self._took_s else float("nan")

    def infer(self, window: Array, path: Route) -> Output:
        begun = self._clock()
        output = self.runtime.infer(window, path)
        self.last_s = self._clock() - begun
        self._took_s.append(self.last_s)
        return output

    def __str__(self) -> str:
        return f"{self.runtime.name} {1e6 * self.typical_s:.0f} µs"
