"""Samples that a driver stamped as they came out of a buffer, moved to where they were taken.

A USB adapter hands over what it has once in a latency time (16 ms by default for FTDI's), and a
driver that stamps on arrival gives eight samples of a 500 Hz sensor nearly one stamp.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.cdr import Sample
from tao_lora_ros.signal.compiled import compiled
from tao_lora_ros.signal.order import Outcomes
from tao_lora_ros.signal.recent import MOST, RecentStamps

LOOK = 64  # samples from look to look
_TINY = 0.2  # of the mean step: two samples at once
_HOLES = 2  # longest steps that say nothing, of a look's
_WHOLE = 1.5  # of the usual: there is no hole before a burst
_BEGIN, _END = 1.4, 1.2  # samples at once; of Poisson's process there are 1.2
_GAIN = 0.1  # of the error that a burst corrects: arrival jitters more than the sensor's clock


class Bursts(NamedTuple):
    """How stamps come.

    `size` of them at once on the average, by steps up to `tiny_ns`, and these bursts `apart_ns`
    apart at most, holes left out; `period_ns` is that of the sensor behind them.
    """

    size: float
    tiny_ns: int
    apart_ns: int
    period_ns: int


@compiled
def _look(stamps):
    """How these stamps (ns, in order of arrival, more than `_HOLES` + 1) come, as `Bursts`."""
    steps = stamps[1:] - stamps[:-1]
    usual = np.sort(steps)[:-_HOLES]
    tiny_ns = np.int64(np.rint(_TINY * usual.sum() / len(usual)))
    first = np.flatnonzero(steps > tiny_ns) + 1  # of each burst
    if len(first) < 2:
        return 0.0, tiny_ns, np.int64(0), np.int64(0)
    last, sizes = stamps[first - 1], first[1:] - first[:-1]
    apart = last[1:] - last[:-1]
    # Bursts may be unlike, as on a wireless link. Only a hole is long for what came after it.
    periods = apart / sizes
    whole = (periods <= _WHOLE * np.median(periods)) | (apart <= _WHOLE * np.median(apart))
    size = (first[-1] - first[0]) / len(apart)
    period_ns = apart[whole].sum() / sizes[whole].sum()
    return size, tiny_ns, apart[whole].max(), np.int64(np.rint(period_ns))


@compiled
def _begins(stamps):
    """Whether the newest stamps, `MOST` at most, come in bursts: the last ones, or all of them."""
    if len(stamps) < LOOK:
        return False
    size, tiny_ns, _, _ = _look(stamps[-LOOK:])
    if size > _BEGIN:
        return True
    newest = stamps[-MOST:]
    mean_ns = (newest[-1] - newest[0]) / (len(newest) - 1)
    return tiny_ns < _TINY**2 * mean_ns and _look(newest)[0] > _BEGIN  # all of them are of one


@compiled
def _calm(stamps, begin, until_look):
    """How many stamps from `begin` on come before a look at them sees bursts."""
    for end in range(begin + until_look, len(stamps) + 1, LOOK):
        if _begins(stamps[:end]):
            return end - 1 - begin
    return len(stamps) - begin


class Spreader:
    """Spreads bursts evenly over the sensor's own period, as a phase-locked loop; else nothing.

    The last sample of a burst is as old as its stamp says; those before it are a period apart.

    Args:
        recent: the newest stamps of the source, as they were sent; read once in a while.
    """

    def __init__(self, recent: RecentStamps) -> None:
        self._recent = recent
        self.clear()
        _begins(np.zeros(LOOK, np.int64))  # compiles, if nobody did before
        _calm(np.zeros(LOOK, np.int64), 0, 1)

    def clear(self) -> None:
        """Forget the past."""
        self.bursts: Bursts | None = None  # while there are any
        self._sent_ns = self._given_ns = 0

    @property
    def text(self) -> str:
        """The bursts in words; empty where there are none."""
        if self.bursts is None:
            return ""
        size, _, apart_ns, period_ns = self.bursts
        return (
            f"stamps come in bursts of {size:.2g}, up to {apart_ns * 1e-6:.0f} ms apart: "
            f"spread evenly, {period_ns * 1e-6:.3g} ms apart"
        )

    def spread(self, outcomes: Outcomes) -> Outcomes:
        """The samples that were taken next, at the stamps that they should have."""
        if self.bursts is None:
            return outcomes
        return tuple([(data, self._moved(self.bursts, sample)) for data, sample in outcomes])

    def _moved(self, bursts: Bursts, sample: Sample | None) -> Sample | None:
        if sample is None or sample.stamp_ns < self._sent_ns:  # refused, or overtaken
            return sample
        return sample._replace(stamp_ns=self._locked(bursts, sample.stamp_ns))

    def look(self) -> bool:
        """See, once in `LOOK` samples, whether there are bursts; whether that is new."""
        stamps = self._recent.newest
        if len(stamps) < LOOK:
            return False
        before = self.bursts
        if before is None:
            self._sent_ns = self._given_ns = int(stamps[-1])
        found = Bursts(*_look(stamps))
        goes_on = found.size > _END if before else _begins(stamps)
        self.bursts = found if goes_on else None
        return before is None and self.bursts is not None

    def calm(self, stamps: NDArray[np.int64], until_look: int) -> int:
        """How many of the stamps that come next can be taken without a change.

        Args:
            stamps: ns, int64 [n].
            until_look: from here to the one that the next look takes place at, 1 to `LOOK`.
        """
        if len(stamps) < until_look:
            return len(stamps)
        before = self._recent.newest
        return int(_calm(np.concatenate((before, stamps)), len(before), until_look))

    def _locked(self, bursts: Bursts, stamp_ns: int) -> int:
        error_ns = 0
        if stamp_ns - self._sent_ns > bursts.tiny_ns:  # the burst before is over
            error_ns = self._sent_ns - self._given_ns
        self._sent_ns = stamp_ns
        given_ns = self._given_ns + bursts.period_ns + round(_GAIN * error_ns)
        if abs(stamp_ns - given_ns) > 2 * bursts.apart_ns:  # a hole, or the start
            given_ns = stamp_ns
        self._given_ns = max(given_ns, self._given_ns + 1)
        return self._given_ns
