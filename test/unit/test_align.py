"""Rows follow from stamps and values alone; gaps are marked, no sample of a fast source is lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tao_lora_ros.signal.align import Aligner, Row
from tao_lora_ros.signal.compiled import compiled, entry
from tao_lora_ros.signal.dejitter import dejittered, new_dejitter

MS = 1_000_000
Sample = tuple[int, int, float]  # source, stamp in ms, value


def aligner(
    sources: int = 1,
    rate_hz: float = 100.0,
    lags_s: Sequence[float] = (),
    max_gap_s: float = 0.05,
    timeout_s: float = 0.1,
    width: int = 1,
) -> Aligner:
    lags = list(lags_s) or [0.0] * sources
    return Aligner([width] * sources, lags, rate_hz, max_gap_s, timeout_s)


def rows(subject: Aligner, samples: Sequence[Sample]) -> list[Row]:
    return [
        row
        for source, stamp_ms, value in samples
        for row in subject.push(source, stamp_ms * MS, np.array([value]))
    ]


def table(given_out: Sequence[Row]) -> list[tuple[int, list[float]]]:
    """Time (ms) and values of each row, NaN as -1."""
    return [(row.time_ns // MS, np.nan_to_num(row.values, nan=-1.0).tolist()) for row in given_out]


def moved(stamps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the samples with these stamps are on a grid of 10 ms."""
    state = new_dejitter(10 * MS)
    return np.array([dejittered(state, stamp) for stamp in stamps.tolist()])


def merged(streams: Sequence[Sequence[Sample]], order: Sequence[float]) -> list[Sample]:
    """The streams interleaved as by `order`, each in its own order."""
    keys = iter(order)
    waiting = [sorted(next(keys) for _ in stream) for stream in streams]
    keyed = [pair for s, k in zip(streams, waiting, strict=True) for pair in zip(k, s, strict=True)]
    return [sample for _, sample in sorted(keyed, key=lambda pair: (pair[0], pair[1][0]))]


def test_samples_on_the_grid_come_out_as_they_are() -> None:
    given_out = rows(aligner(), [(0, 1000, 1.0), (0, 1010, 2.0), (0, 1020, 3.0)])
    assert table(given_out) == [(1000, [1.0]), (1010, [2.0]), (1020, [3.0])]
    assert [row.stamp_ns for row in given_out] == [1000 * MS, 1010 * MS, 1020 * MS]


def test_grid_times_are_whole_multiples_of_the_period() -> None:
    given_out = rows(aligner(), [(0, 1003 + 7 * i, 0.0) for i in range(20)])
    assert [row.time_ns for row in given_out] == list(range(1010 * MS, 1137 * MS, 10 * MS))


def test_a_fast_source_gives_the_mean_of_each_interval() -> None:
    samples = [(0, 1001 + i, float(i)) for i in range(30)]
    # 1001 to 1010 ms make the row at 1010 ms
    assert table(rows(aligner(), samples)) == [(1010, [4.5]), (1020, [14.5]), (1030, [24.5])]


@given(period_us=st.integers(900, 9000), count=st.integers(5, 200), seed=st.integers(0, 100))
def test_no_sample_of_a_fast_source_is_lost(period_us: int, count: int, seed: int) -> None:
    subject = aligner()
    values = np.random.default_rng(seed).normal(size=count)
    stamps = 10**12 + 1 + np.arange(count) * period_us * 1000
    times = moved(stamps)
    given_out = [
        row
        for stamp, value in zip(stamps.tolist(), values, strict=True)
        for row in subject.push(0, stamp, np.array([value]))
    ]
    for row in given_out:
        inside = (times > row.time_ns - 10 * MS) & (times <= row.time_ns)
        assert inside.any()
        assert row.values[0] == pytest.approx(values[inside].mean())
        assert row.stamp_ns == stamps[inside].max()
    assert len(given_out) == times[-1] // (10 * MS) - times[0] // (10 * MS)


def test_a_slow_source_is_interpolated() -> None:
    given_out = rows(aligner(), [(0, 1000, 0.0), (0, 1040, 4.0)])
    assert table(given_out) == [(1000 + 10 * i, [float(i)]) for i in range(5)]


def test_all_channels_of_a_source_are_interpolated_alike() -> None:
    subject = aligner(width=3)
    list(subject.push(0, 1000 * MS, np.array([0.0, 10.0, -1.0])))
    given_out = list(subject.push(0, 1020 * MS, np.array([2.0, 30.0, -1.0])))
    half, last = (row.values.tolist() for row in given_out)
    assert half == [1.0, 20.0, -1.0]
    assert last == [2.0, 30.0, -1.0]


@pytest.mark.parametrize(("hole_ms", "value"), [(50, 2.0), (51, -1.0), (400, -1.0)])
def test_a_hole_longer_than_the_limit_is_marked(hole_ms: int, value: float) -> None:
    given_out = rows(aligner(), [(0, 1000, 2.0), (0, 1000 + hole_ms, 2.0)])
    inside = [row for row in table(given_out) if 1000 < row[0] < 1000 + hole_ms]
    assert len(inside) == (hole_ms - 1) // 10
    assert {row[1][0] for row in inside} == {value}


def test_after_a_hole_values_are_back_at_once() -> None:
    samples = [(0, 1000, 1.0), (0, 1200, 2.0), (0, 1210, 3.0)]
    values = dict(table(rows(aligner(), samples)))
    assert values[1190] == [-1.0]
    assert values[1200] == [2.0]
    assert values[1210] == [3.0]


def test_a_lag_is_subtracted_but_the_stamp_stays_as_sent() -> None:
    subject = aligner(lags_s=[0.005])
    (row,) = rows(subject, [(0, 1005, 1.0)])
    assert row.time_ns == 1000 * MS
    assert row.stamp_ns == 1005 * MS


def test_a_lag_moves_one_source_against_the_other() -> None:
    subject = aligner(sources=2, lags_s=[0.0, 0.010])
    samples = [(source, 1000 + 10 * i, float(i)) for i in range(4) for source in (0, 1)]
    # what source 1 stamped at 1010 ms belongs to 1000 ms
    assert table(rows(subject, samples))[1:] == [
        (1000, [0.0, 1.0]),
        (1010, [1.0, 2.0]),
        (1020, [2.0, 3.0]),
    ]


def test_a_row_waits_for_the_slower_source() -> None:
    subject = aligner(sources=2)
    assert rows(subject, [(0, 1000, 1.0), (0, 1010, 2.0), (0, 1020, 3.0)]) == []
    assert table(rows(subject, [(1, 1010, 5.0)])) == [(1000, [1.0, -1.0]), (1010, [2.0, 5.0])]


def test_the_rows_stamp_is_the_newest_that_went_in() -> None:
    subject = aligner(sources=2)
    given_out = rows(
        subject, [(0, 1000, 1.0), (1, 998, 1.0), (1, 1008, 2.0), (0, 1010, 2.0), (1, 1018, 0.0)]
    )
    assert [row.stamp_ns for row in given_out] == [1000 * MS, 1010 * MS]


def test_a_late_starter_is_waited_for_and_then_joins() -> None:
    subject = aligner(sources=2)
    early = rows(subject, [(0, 1000 + 10 * i, 1.0) for i in range(11)])
    assert early == []  # 0.1 s: it may still come
    alone = rows(subject, [(0, 1110, 1.0)])
    assert table(alone) == [(1000 + 10 * i, [1.0, -1.0]) for i in range(12)]
    assert rows(subject, [(1, 1115, 7.0)]) == []
    joined = rows(subject, [(0, 1120, 1.0), (1, 1125, 7.0)])
    assert table(joined) == [(1120, [1.0, 7.0])]


def test_a_source_that_stops_is_let_go_and_comes_back() -> None:
    subject = aligner(sources=2)
    both = [(source, 1000 + 10 * i, 1.0) for i in range(5) for source in (0, 1)]
    assert len(rows(subject, both)) == 5
    waiting = rows(subject, [(0, 1050 + 10 * i, 1.0) for i in range(10)])
    assert waiting == []  # source 1 is 0.1 s behind: still waited for
    alone = table(rows(subject, [(0, 1150, 1.0)]))
    assert alone == [(1050 + 10 * i, [1.0, -1.0]) for i in range(11)]
    assert rows(subject, [(1, 1155, 9.0)]) == []
    back = table(rows(subject, [(0, 1160, 1.0), (1, 1165, 9.0)]))
    assert back == [(1160, [1.0, 9.0])]


def test_samples_that_come_too_late_for_their_row_do_no_harm() -> None:
    subject = aligner(sources=2)
    begun = [(source, 990 + 10 * i, 1.0) for i in range(2) for source in (0, 1)]
    rows(subject, [*begun, *[(0, 1010 + 10 * i, 1.0) for i in range(20)]])
    late = table(rows(subject, [(1, 1010, 9.0), (1, 1205, 2.0), (0, 1210, 1.0), (1, 1215, 2.0)]))
    assert late == [(1210, [1.0, 2.0])]


@pytest.mark.parametrize("clump", [13, 20, 40])
def test_a_source_that_comes_in_clumps_with_good_stamps_is_waited_for(clump: int) -> None:
    subject, found = aligner(sources=2), []
    for i in range(40 * clump):
        found += rows(subject, [(0, 1000 + 10 * i, 1.0)])
        if i % clump == clump - 1:
            found += rows(subject, [(1, 1000 + 10 * k, 2.0) for k in range(i + 1 - clump, i + 1)])
    assert [row.values.tolist() for row in found[2 * clump :]] == [[1.0, 2.0]] * (38 * clump)
    behind = aligner(sources=2)  # by its stamps
    for i in range(40 * clump):
        rows(behind, [(0, 1000 + 10 * i, 1.0), (1, 1000 + 10 * (i - clump), 2.0)])
    assert (subject.tracks[1].clump_ns > 0, behind.tracks[1].clump_ns) == (True, 0)


streams = st.lists(
    st.tuples(st.integers(1000, 1030), st.lists(st.integers(1, 25), min_size=2, max_size=25)),
    min_size=2,
    max_size=3,
)


@given(streams=streams, data=st.data())
def test_rows_do_not_depend_on_the_interleaving(streams, data) -> None:
    stamped = []
    for source, (start, steps) in enumerate(streams):
        stamps = start + np.cumsum([0, *steps])
        stamped.append([(source, int(s), float(s % 17 + source)) for s in stamps if s < 1090])
    # all within the time-out of 0.1 s, so any order is one that may be waited for
    total = sum(map(len, stamped))
    order = data.draw(st.lists(st.floats(0, 1), min_size=total, max_size=total))
    lags = [0.0, 0.004, -0.003][: len(stamped)]
    by_stamp = sorted((sample for stream in stamped for sample in stream), key=lambda s: s[1])
    expected = rows(aligner(len(stamped), lags_s=lags), by_stamp)
    shuffled = rows(aligner(len(stamped), lags_s=lags), merged(stamped, order))
    assert [row.stamp_ns for row in expected] == [row.stamp_ns for row in shuffled]
    assert table(expected) == table(shuffled)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_long_streams_with_bounded_delays_give_the_same_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples, arrivals = [], []
    for source, period in enumerate((4, 10, 23)):
        stamps = 1000 + rng.integers(0, 5) + np.arange(0, 1500, period)
        delays = np.maximum.accumulate(stamps + rng.uniform(0, 70, len(stamps)))
        samples += [(source, int(s), float(rng.normal())) for s in stamps]
        arrivals += delays.tolist()
    in_time = sorted(samples, key=lambda sample: sample[1])
    as_arrived = [samples[i] for i in np.argsort(arrivals, kind="stable")]
    first, second = (rows(aligner(3), order) for order in (in_time, as_arrived))
    assert len(first) > 140
    assert table(first) == table(second)
    assert [row.stamp_ns for row in first] == [row.stamp_ns for row in second]


@given(
    period_us=st.integers(300, 26_000),
    jitter=st.floats(0, 0.9),
    count=st.integers(5, 100),
    seed=st.integers(0, 100),
)
def test_every_sample_is_news_once_in_the_first_row_that_it_goes_into(
    period_us: int, jitter: float, count: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    subject = aligner()
    times_us = (np.arange(count) + jitter * rng.random(count)) * period_us
    stamps = 10**12 + (times_us * 1000).astype(int)
    values = rng.normal(size=count)
    given_out = [
        row
        for stamp, value in zip(stamps.tolist(), values, strict=True)
        for row in subject.push(0, stamp, np.array([value]))
    ]
    told, times = 0, moved(stamps)
    for row in given_out:
        passed = int((times <= row.time_ns).sum())
        own = (times[:passed] > row.time_ns - 10 * MS).any()
        held = passed if own else passed + 1  # interpolated towards the next one
        new = slice(max(told, int((times <= row.time_ns - 10 * MS).sum())), held)
        told = held
        if new.start < held:
            assert row.fresh[0] == pytest.approx(values[new].mean(), rel=1e-9, abs=1e-12)
        else:
            assert np.isnan(row.fresh[0])


def test_without_a_value_there_are_no_news() -> None:
    given_out = rows(aligner(), [(0, 1000, 1.0), (0, 1200, 2.0)])
    assert [np.isnan(row.fresh[0]) for row in given_out] == [False] + [True] * 19 + [False]


def test_arrays_of_other_kinds_and_not_in_one_piece_give_the_same_rows() -> None:
    generator = np.random.default_rng(0)
    sources = np.tile([0, 1], 50)
    stamps_ns = 5 * MS * np.arange(100)
    values = generator.normal(size=(100, 3))
    expected = aligner(2, width=3).push_block(sources, stamps_ns, values)
    wide = np.repeat(stamps_ns, 2)
    given = aligner(2, width=3).push_block(
        sources.astype(np.int32), wide[::2], np.asfortranarray(values)
    )
    assert len(expected) > 20
    np.testing.assert_array_equal(given.times, expected.times)
    np.testing.assert_array_equal(given.values, expected.values)


def test_a_loop_that_is_entered_with_other_arrays_raises_in_tests() -> None:
    @compiled
    def total(values):
        found = 0.0
        for row in values:
            found += row[0]
        return found

    loop = entry(total, np.zeros((2, 2)))
    assert loop(np.array([[1.0, 5.0], [2.0, 5.0]])) == 3.0
    for other in (np.ones((2, 2), order="F"), np.ones((4, 2))[::2], np.ones((2, 2), np.float32)):
        with pytest.raises(TypeError, match="No matching definition"):
            loop(other)
