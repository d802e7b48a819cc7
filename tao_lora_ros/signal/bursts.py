"""Samples that a driver stamped as they came out of a buffer, moved to where they were taken.

A USB adapter hands over what it has once in a latency time (16 ms by default for FTDI's), and a
driver that stamps on arrival gives eight samples of a 500 Hz sensor nearly one stamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from tao_lora_ros.signal.cdr import Sample
from tao_lora_ros.signal.order import Outcomes

LOOK = 64  # samples from look to look
_TINY = 0.2  # of the mean step: two samples at once
_HOLES = 2  # longest steps that say nothing, of a look's
_BEGIN, _END = 1.4, 1.2  # samples at once; of Poisson's process there are 1.2
_GAIN = 0.1  # of the error that a burst corrects: arrival jitters more than the sensor's clock


class Bursts(NamedTuple):
    """How stamps come.

    `size` of them at once on the average, by steps up to `tiny_ns`, and these bursts `apart_ns`
    apart as a rule; `period_ns` is that of the sensor behind them.
    """

    size: float
    tiny_ns: int
    apart_ns: int
    period_ns: int


def look(stamps: Sequence[int]) -> Bursts:
    """How these stamps (ns, in order of arrival, more than `_HOLES` + 1) come."""
    steps = [after - before for before, after in pairwise(stamps)]
    usual = sorted(steps)[:-_HOLES]
    tiny_ns = round(_TINY * sum(usual) / len(usual))
    first = [i for i, step in enumerate(steps, start=1) if step > tiny_ns]  # of each burst
    if len(first) < 2:
        return Bursts(0.0, tiny_ns, 0, 0)
    apart = sorted([stamps[after] - stamps[before] for before, after in pairwise(first)])
    apart_ns = apart[len(apart) // 2]
    size = (first[-1] - first[0]) / len(apart)
    return Bursts(size, tiny_ns, apart_ns, round(apart_ns / size))


class Spreader:
    """Spreads bursts evenly over the sensor's own period, as a phase-locked loop; else nothing.

    The last sample of a burst is as old as its stamp says; those before it are a period apart.

    Args:
        recent: the newest stamps of the source, as they were sent; read once in a while.
    """

    def __init__(self, recent: Sequence[int]) -> None:
        self._recent = recent
        self.clear()

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
            f"stamps come in bursts of {size:.2g}, {apart_ns * 1e-6:.1f} ms apart: "
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
        if len(self._recent) < LOOK:
            return False
        stamps, before = list(self._recent), self.bursts
        if before is None:  # to see them few will do; to measure them, all
            stamps = stamps[-LOOK:]
        found = look(stamps)
        if before is None:
            self._sent_ns = self._given_ns = self._recent[-1]
        self.bursts = found if found.size > (_END if before else _BEGIN) else None
        return before is None and self.bursts is not None

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
