"""Where to put thresholds so that statistics alarm as seldom as they should: peaks over threshold.

Steady motion's largest values come in clusters, of which the router makes one event each: so the
peaks are those of clusters (declustering by runs, Coles 2001, An Introduction to Statistical
Modeling of Extreme Values, section 5.3). How far they exceed the level that as many of them reach
has an exponential tail (ibid., chapter 4, shape 0), whose mean says how much higher a threshold has
to be for a longer time to pass without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Peaks this close are one event: the route holds about that long (`hold_s`), and a blow rings on.
CLUSTER_S = 0.1
# Peaks of a tail: the root of the seconds, so that they are ever more in number and ever fewer in
# share, as they must be for the tail to become that of the largest (Coles 2001, section 4.3.1);
# of a short recording at least so many, as fewer say little of a mean, but no more than half of
# what there is.
LEAST_PEAKS = 20
# Largest peaks of which only the rank counts: so a few that do not belong hardly move a threshold.
# On clean recordings it costs nothing (test/benchmark/results/NOTES-detection.md).
CENSORED = 3
# Threshold of a statistic that cannot alarm.
NEVER = 1e9
_LEAST_EXCESS = 1e-6
_TIED = 0.05  # in log-energy, that peaks of one size differ by
_STEP = 1.0  # in log-energy, that a step is above none


class Tail(NamedTuple):
    """Peaks over a threshold.

    Args:
        level: that all peaks exceed.
        excess: by how much on average; 0 of what never varies.
        per_hour: how many peaks there are in an hour.
        known: how many of them the mean comes from.
    """

    level: float
    excess: float
    per_hour: float
    known: int

    @property
    def varies(self) -> bool:
        """Whether it is that of something that varies at all."""
        return self.excess > _LEAST_EXCESS

    def at(self, per_hour: float) -> float:
        """The return level: what so many peaks an hour exceed, by the mean as it was found."""
        return self.level + self.excess * float(np.log(self.per_hour / per_hour))

    def foreseen(self, per_hour: float) -> float:
        """The same by the predictive distribution: of that, `expected` is `per_hour`."""
        ratio = (self.per_hour / per_hour) ** (1.0 / self.known)
        return self.level + self.excess * self.known * (ratio - 1.0)

    def expected(self, value: float) -> float:
        """How many peaks an hour are to be expected above a value, the mean being uncertain.

        That is the predictive distribution, whose tail is (1 + x / known) ^ -known in mean excesses
        (Lawless 2003, Statistical Models and Methods for Lifetime Data, section 4.1): more than
        `at` aims at, the more so the fewer peaks there are.
        """
        excesses = max(value - self.level, 0.0) / self.excess
        return float(self.per_hour * (1.0 + excesses / self.known) ** -self.known)


def cluster_rows(rate_hz: float) -> int:
    """Rows that two peaks are apart at least."""
    return max(round(CLUSTER_S * rate_hz), 1)


def wanted_peaks(seconds: float) -> int:
    """How many peaks make up the tail of so long a recording."""
    return min(max(LEAST_PEAKS, int(seconds**0.5)), max(int(seconds / CLUSTER_S / 2.0), 1))


def peaks(values: Array, apart: int, count: int) -> NDArray[np.int64]:
    """Indices of the `count` largest values [n] of which no two are less than `apart` apart.

    Largest first; fewer where there are not so many, and never one of -inf.
    """
    taken = np.zeros(len(values), bool)
    found: list[int] = []
    # As many as `count` peaks could hide: none of the others can be among them.
    most = min(len(values), 2 * apart * count)
    candidates = np.argsort(-values, kind="stable")[:most]
    for i in candidates:
        if len(found) == count or values[i] == -np.inf:
            break
        if not taken[i]:
            found.append(int(i))
            taken[max(i - apart + 1, 0) : i + apart] = True
    return np.array(found, np.int64)


def tail_of(values: Array, rate_hz: float) -> Tail:
    """The tail of values [n], -inf where there is none; some of them must be finite."""
    seconds = np.count_nonzero(values > -np.inf) / rate_hz
    return tail_within(values, cluster_rows(rate_hz), seconds)


def tail_within(values: Array, apart: int, seconds: float, unseen: int = 0) -> Tail:
    """The tail of some seconds' values [n], of which all that count are there; in order.

    Its mean is that of the exponential distribution from a sample of whose largest members only the
    number is known (Epstein and Sobel 1953, Life testing; censoring of type II).

    Args:
        values: some of them finite; -inf where there is none.
        apart: how far two peaks are apart at least.
        seconds: that they come from.
        unseen: peaks that are not among them, larger than all that are.
    """
    wanted = wanted_peaks(seconds) + 1
    unseen = min(unseen, wanted // 2)
    seen = values[peaks(values, apart, wanted - unseen)]
    largest = np.concatenate((np.full(min(unseen, len(seen) - 1), seen[0]), seen))
    unseen = len(largest) - len(seen)
    level, above = float(largest[-1]), largest[:-1]
    count = len(above)
    if not count:
        return Tail(level, 0.0, 3600.0 / seconds, 1)
    censored = unseen + min(CENSORED, (count - unseen) // 3)
    known = np.minimum(above, above[censored]) - level
    mean = float(known.sum()) / (count - censored)
    return Tail(level, mean, count / seconds * 3600.0, count - censored)


def above_steps(values: Array, apart: int, seconds: float) -> Array:
    """Thresholds above a coarse sensor's steps, by log-energies [n, k]; [k], -inf: not coarse.

    Where most of the largest are alike there is no tail: they are steps of one count. Half way, in
    logarithms, to a step of two counts nothing is known to come.
    """
    least = np.full(values.shape[1], -np.inf)
    for k, column in enumerate(values.T):
        largest = column[peaks(column, apart, wanted_peaks(seconds))]
        if len(largest) and largest[0] > _STEP and largest[0] - np.median(largest) < _TIED:
            least[k] = largest[0] + np.log(2.0)
    return least


def rarity(statistics: Sequence[Array], rate_hz: float) -> tuple[list[Tail], list[Array]]:
    """How rare each row is by what is rarest in it, in units of each statistic's own tail.

    Args:
        statistics: of each recording, [n, k], -inf where a row has none.
        rate_hz: of the rows.

    Returns:
        The tails, k of them, and the rarity of each recording's rows, [n]; 0 is a tail's level.
    """
    joined = join(statistics, rate_hz)
    tails = [tail_of(column, rate_hz) for column in joined.T]
    return tails, [rarest_of(one, tails) for one in statistics]


def rarest_of(values: Array, tails: Sequence[Tail]) -> Array:
    """The rarity of rows of statistics [n, k], in units of their tails, [n]."""
    alive = [i for i, tail in enumerate(tails) if tail.varies]
    if not alive:
        return np.full(len(values), -np.inf)
    levels = np.array([tails[i].level for i in alive])
    excesses = np.array([tails[i].excess for i in alive])
    found: Array = ((values[:, alive] - levels) / excesses).max(axis=1)
    return found


def join(recordings: Sequence[Array], rate_hz: float) -> Array:
    """Values of recordings one after the other, with -inf between them for as long as a cluster."""
    apart = np.full((cluster_rows(rate_hz), *recordings[0].shape[1:]), -np.inf)
    return np.concatenate([part for one in recordings for part in (one, apart)])


def thresholds(
    statistics: Sequence[Array], rate_hz: float, alarms_per_hour: float, most: float = 0.0
) -> tuple[Array, float]:
    """Thresholds with which some statistics together alarm at a rate, each as often as the others.

    Those that alarm together are counted once: the rate is that of the rarity's own tail.

    Args:
        statistics: of each recording, [n, k], -inf where a row has none.
        rate_hz: of the rows.
        alarms_per_hour: target of all k together.
        most: that a threshold is raised by for what so short a recording cannot tell.

    Returns:
        The threshold of each, [k], `NEVER` of one that never varies; and how many alarms an hour
        are to be expected of them (see `Tail.expected`).
    """
    tails, rare = rarity(statistics, rate_hz)
    if not any(tail.varies for tail in tails):
        return np.full(len(tails), NEVER), 0.0
    together = tail_of(join(rare, rate_hz), rate_hz)
    levels = foreseen_levels(together, tails, alarms_per_hour, most)
    alike = [(x - t.level) / t.excess for x, t in zip(levels, tails, strict=True) if t.varies]
    return levels, together.expected(float(min(alike)))


def foreseen_levels(
    together: Tail, tails: Sequence[Tail], alarms_per_hour: float, most: float
) -> Array:
    """Thresholds of statistics, [k], by the tail of their rarity; `NEVER` of what never varies.

    Those of the mean as it was found, raised towards those of the predictive distribution by `most`
    at the most. Where that makes few alarms fewer, as a tail's mean excess is more than `most`, by
    so much less (squared): of a heavy tail of which little is known it would leave a robot deaf.
    """
    rarest, foreseen = together.at(alarms_per_hour), together.foreseen(alarms_per_hour)
    excesses = np.array([max(tail.excess, _LEAST_EXCESS) for tail in tails])
    raised = (foreseen - rarest) * excesses * np.minimum(most / excesses, 1.0) ** 2
    return levels_at(rarest, tails) + np.minimum(raised, most)


def levels_at(rarest: float, tails: Sequence[Tail]) -> Array:
    """What each statistic is where it is as rare as that, [k]; `NEVER` of one that never varies."""
    return np.array([tail.level + tail.excess * rarest if tail.varies else NEVER for tail in tails])
