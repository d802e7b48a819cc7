"""What of a recording is no steady motion: blows, contacts, bad samples; found, to be left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.tail import cluster_rows, join, peaks, rarity, wanted_peaks

Array = NDArray[np.float64]

# That a gap as wide as one that is found comes about by chance. Of 108 recorded halves and runs of
# terrain, and 32 minutes of a simulated arm, none has one.
CHANCE = 1e-4
BEFORE_S, AFTER_S = 0.05, 0.3  # left out around a moment: its rise, and what rings on
# A recording with events in more of its time than this is none of steady motion: terrains have at
# most 1 % (a single run 2.4 %), a simulated arm none, with a contact every two seconds 4 to 6 %.
MOST = 0.03
_LEAST_EVENTS = 3
# Of `heaviness`: single runs of terrain have at most 2.6, halves of them 2.4, a simulated arm 0.9,
# and five minutes with contacts 3.2 to 3.7.
HEAVIEST = 2.9
_LEAST_BLOCKS = 200
_STEP = 1.0  # in log-energy, that a coarse step is above no change
_LEAST_BODY = 0.02  # mean excess of a body; below, most blocks are alike: those of coarse steps
_NAMED = 3  # channels of a moment, at most
_SURROUNDINGS_S = 0.25


@dataclass(frozen=True)
class Moment:
    """Something in a recording that does not belong to steady motion.

    Args:
        recording: which of the recordings.
        first: its first row; `end`: the row after its last.
        sizes: the channels that changed most, in usual changes, largest first, and by how much
            they departed from what they were around, in their units.
    """

    recording: int
    first: int
    end: int
    sizes: tuple[tuple[int, float], ...]


def outlying(largest: Array) -> int:
    """How many of some peaks [k + 1], largest first, do not belong to the others.

    Where all have one exponential tail, the gap below the m largest, m times over the mean excess
    that the k - m others alone would give (as in `tail.tail_of`), has the distribution of Fisher
    with 2 and 2 (k - m) degrees of freedom, as spacings are independent (Rényi 1953; Kimber 1982,
    Tests for many outliers in an exponential sample); its tail is (1 + x / (k - m)) ^ -(k - m).
    """
    count = len(largest) - 1
    for outside in range(count // 2, 0, -1):
        others = count - outside
        above = largest[outside:count] - largest[count]
        mean = (above.sum() + outside * above[0]) / others
        gap = outside * (largest[outside - 1] - largest[outside])
        if gap > 0 and np.log1p(gap / max(mean, 1e-12) / others) * others > -np.log(CHANCE):
            return outside
    return 0


def moments(
    statistics: Sequence[Array], recordings: Sequence[Array], rate_hz: float
) -> list[tuple[int, int, int]]:
    """Recording, first row and end of what is too rare to belong to the others, in order.

    It is looked for in each statistic by itself, as the tail of another, of a slow source say, may
    be so heavy that nothing in it is rare, and in their rarity, where several agree.

    Args:
        statistics: of each recording's rows, [n, k], -inf where a row has none.
        recordings: the rows, each [n, C].
        rate_hz: of the rows.
    """
    tails, rare = rarity(statistics, rate_hz)
    alive = [k for k, tail in enumerate(tails) if tail.varies]
    views = [rare, *([one[:, k] for one in statistics] for k in alive)]
    return merged(span for view in views for span in _outlying_spans(view, recordings, rate_hz))


def _outlying_spans(
    values: Sequence[Array], recordings: Sequence[Array], rate_hz: float
) -> list[tuple[int, int, int]]:
    """As `moments`, by the values [n] of each recording's rows."""
    joined = join(values, rate_hz)
    seconds = np.count_nonzero(joined > -np.inf) / rate_hz
    at = peaks(joined, cluster_rows(rate_hz), wanted_peaks(seconds) + 1)
    outside = outlying(joined[at]) if len(at) > 2 else 0
    at, belongs = at[:outside], joined[at[outside]] if outside else np.inf
    starts = np.cumsum([0, *(len(rows) + cluster_rows(rate_hz) for rows in recordings)])
    found = []
    for row in at:
        recording = int(np.searchsorted(starts, row, side="right")) - 1
        above = np.flatnonzero(values[recording] > belongs)
        first, end = _extent(above, int(row - starts[recording]), cluster_rows(rate_hz))
        found.append(
            (
                recording,
                max(first - round(BEFORE_S * rate_hz), 0),
                min(end + round(AFTER_S * rate_hz), len(recordings[recording])),
            )
        )
    return found


def _extent(above: NDArray[np.int64], peak: int, apart: int) -> tuple[int, int]:
    """First and end of those rows around a peak that have no longer pause than `apart`."""
    breaks = np.flatnonzero(np.diff(above) > apart)
    number = int(np.searchsorted(above[breaks], peak, side="left"))
    bounds = np.concatenate(([0], breaks + 1, [len(above)]))
    return int(above[bounds[number]]), int(above[bounds[number + 1] - 1]) + 1


def merged(spans: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """The same spans in order, those that touch made one."""
    out: list[tuple[int, int, int]] = []
    for recording, first, end in sorted(spans):
        if out and out[-1][0] == recording and first <= out[-1][2]:
            out[-1] = recording, out[-1][1], max(end, out[-1][2])
        else:
            out.append((recording, first, end))
    return out


def without(recordings: Sequence[Array], spans: Iterable[tuple[int, int, int]]) -> list[Array]:
    """The recordings with no value in the spans."""
    kept = [rows.copy() for rows in recordings]
    for recording, first, end in spans:
        kept[recording][first:end] = np.nan
    return kept


def measured(
    span: tuple[int, int, int], recordings: Sequence[Array], usual: Array, rate_hz: float
) -> Moment:
    """What a span was; `usual` [C] are the channels' usual changes."""
    recording, first, end = span
    around = round(_SURROUNDINGS_S * rate_hz)
    rows = recordings[recording]
    surroundings = rows[max(first - around, 0) : end + around]
    inside = rows[first:end]
    with np.errstate(invalid="ignore"):
        departures = np.nan_to_num(np.abs(inside - _medians(surroundings)))
    largest = departures.max(axis=0)
    changes = np.nan_to_num(np.abs(np.diff(inside, axis=0))).max(axis=0, initial=0.0)
    order = np.argsort(-changes / np.maximum(usual, 1e-12), kind="stable")[:_NAMED]
    return Moment(recording, first, end, tuple((int(c), float(largest[c])) for c in order))


def _medians(rows: Array) -> Array:
    return np.array([np.median(known) if len(known := c[~np.isnan(c)]) else 0.0 for c in rows.T])


def eventful(ratios: Sequence[Array], rate_hz: float) -> float:
    """Share of the time in which something happens, 0 where it is too little to say.

    What happens is what would not once in ten such recordings, were the tail of the body's kind:
    exponential, as steep as from the median to the 80 % quantile of short blocks' maxima. So blows
    are seen where there are too many for a gap.

    Args:
        ratios: to the recent past, of each recording's rows, [n, S], -inf where there is none.
        rate_hz: of the rows.
    """
    maxima = _block_maxima(ratios, rate_hz)
    if not len(maxima):
        return 0.0
    low, excess = _body(maxima)
    level = low + excess * np.log(0.5 * len(maxima) / 0.1)
    events = int((maxima > level).sum(axis=0).max())
    return events / len(maxima) if events >= _LEAST_EVENTS else 0.0


def heaviness(ratios: Sequence[Array], rate_hz: float) -> float:
    """How far out the largest hundredth of short blocks is, 1 for a tail of the body's kind.

    So contacts that come again and again are seen however long the recording is: they leave no gap,
    and are the tail. 0 where there are too few blocks to say, infinite where most are alike and
    the largest are not: a coarse sensor, whose steps are as far out as blows.

    Args:
        ratios: as of `eventful`.
        rate_hz: of the rows.
    """
    maxima = _block_maxima(ratios, rate_hz)
    if len(maxima) < _LEAST_BLOCKS:
        return 0.0
    low, excess = _body(maxima)
    far = np.quantile(maxima, 0.99, axis=0) - low
    alike = np.where(far > _STEP, np.inf, 0.0)
    far = np.where(excess > _LEAST_BODY, far / np.maximum(excess, _LEAST_BODY), alike)
    return float(far.max() / np.log(0.5 / 0.01))


def _block_maxima(ratios: Sequence[Array], rate_hz: float) -> Array:
    """Of all recordings' blocks that have values, [n, S]."""
    length = cluster_rows(rate_hz)
    blocks = [
        one[: len(one) // length * length].reshape(-1, length, one.shape[1]).max(axis=1)
        for one in ratios
    ]
    known = [maxima[maxima[:, 0] > -np.inf] for maxima in blocks]
    return np.concatenate(known) if known else np.empty((0, 1))


def _body(maxima: Array) -> tuple[Array, Array]:
    """Median, and mean excess above it as from there to the 80 % quantile, [S] each."""
    low, high = np.quantile(maxima, (0.5, 0.8), axis=0)
    return low, (high - low) / np.log(0.5 / 0.2)
