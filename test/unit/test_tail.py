"""Peaks are apart, tails are exponential, thresholds alarm as often as they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.detection.tail import (
    CENSORED,
    NEVER,
    Tail,
    above_steps,
    join,
    peaks,
    rarity,
    tail_of,
    thresholds,
    wanted_peaks,
)

RATE_HZ = 10.0  # a cluster is one row


@given(
    values=st.lists(st.integers(0, 20), min_size=1, max_size=60),
    apart=st.integers(1, 6),
    count=st.integers(1, 12),
)
def test_peaks_are_the_largest_that_are_apart(values: list[int], apart: int, count: int) -> None:
    x = np.array(values, float)
    found = peaks(x, apart, count)
    left, expected = x.copy(), []
    while len(expected) < count and (left > -np.inf).any():
        expected.append(int(left.argmax()))
        left[max(expected[-1] - apart + 1, 0) : expected[-1] + apart] = -np.inf
    assert found.tolist() == expected


def test_what_is_missing_is_no_peak() -> None:
    assert peaks(np.array([-np.inf, 1.0, -np.inf, 2.0]), 1, 9).tolist() == [3, 1]


def test_the_tail_of_exponential_values_has_their_mean_and_rate() -> None:
    rng = np.random.default_rng(1)
    found = [tail_of(rng.exponential(2.0, 40_000), RATE_HZ) for _ in range(40)]
    assert np.mean([tail.excess for tail in found]) == pytest.approx(2.0, rel=0.05)
    once_an_hour = 2.0 * np.log(3600 * RATE_HZ)
    assert np.mean([tail.at(1.0) for tail in found]) == pytest.approx(once_an_hour, rel=0.03)
    assert found[0].per_hour == pytest.approx(wanted_peaks(4000.0) * 3600 / 4000)


def test_a_few_values_that_do_not_belong_hardly_count() -> None:
    values = np.random.default_rng(2).exponential(1.0, 9000)
    clean = tail_of(values, RATE_HZ)
    values[[1000, 4000, 7000]] = 10.0, 100.0, 1e9
    spoilt = tail_of(values, RATE_HZ)
    assert spoilt.excess == pytest.approx(clean.excess, rel=0.4)
    assert spoilt.level == pytest.approx(clean.level, abs=0.5)
    assert CENSORED == 3


def test_clusters_count_once() -> None:
    rng = np.random.default_rng(3)
    single = rng.exponential(1.0, 5000)
    clustered = np.repeat(single, 5)
    assert tail_of(clustered, 5 * RATE_HZ).level == pytest.approx(
        tail_of(single, RATE_HZ).level, abs=0.2
    )


def test_statistics_share_the_alarms_and_alarm_together_once() -> None:
    rng = np.random.default_rng(4)
    target = 40.0
    for copies in (False, True):
        rates = []
        for _ in range(20):
            first, fresh = (rng.exponential(1.0, (20_000, 2)) * [1.0, 3.0] for _ in range(2))
            if copies:
                first[:, 1], fresh[:, 1] = 3 * first[:, 0], 3 * fresh[:, 0]
            levels, _ = thresholds([first], RATE_HZ, target)
            assert levels[1] / levels[0] == pytest.approx(3.0, rel=0.5)
            rates.append((fresh >= levels).any(axis=1).mean() * 3600 * RATE_HZ)
        assert np.mean(rates) == pytest.approx(target, rel=0.35)


def test_what_to_expect_above_a_level_is_more_the_fewer_peaks_there_are() -> None:
    few, many = Tail(1.0, 0.5, 100.0, 10), Tail(1.0, 0.5, 100.0, 1000)
    level = many.at(1.0)
    assert few.at(1.0) == level
    assert few.expected(level) > 2.0 > many.expected(level) > 1.0


def test_what_never_varies_never_alarms_and_takes_no_alarms() -> None:
    values = np.random.default_rng(5).exponential(1.0, (9000, 1))
    with_dead = np.hstack([values, np.full((9000, 1), -3.1)])
    levels, _ = thresholds([with_dead], RATE_HZ, 1.0)
    assert levels[1] == NEVER
    assert levels[0] == thresholds([values], RATE_HZ, 1.0)[0][0]
    assert thresholds([with_dead[:, 1:]], RATE_HZ, 1.0)[0].tolist() == [NEVER]


def test_rarity_is_that_of_the_rarest_in_units_of_its_tail() -> None:
    values = np.random.default_rng(6).exponential(1.0, (9000, 2))
    values[7] = -np.inf
    tails, (rare,) = rarity([values], RATE_HZ)
    expected = [(values[:, i] - tail.level) / tail.excess for i, tail in enumerate(tails)]
    np.testing.assert_allclose(rare, np.max(expected, axis=0))


def test_recordings_are_joined_with_nothing_between_them() -> None:
    joined = join([np.ones(3), np.full(2, 2.0)], 20.0)
    assert joined.tolist() == [1, 1, 1, -np.inf, -np.inf, 2, 2, -np.inf, -np.inf]


def test_thresholds_of_a_coarse_sensor_lie_above_one_step() -> None:
    rng = np.random.default_rng(6)
    steps = np.full(9000, -1.5)
    steps[rng.choice(9000, 200, replace=False)] = 8.8 + rng.normal(0.0, 0.005, 200)
    tail, silent = rng.exponential(1.0, 9000), np.full(9000, -3.1)
    least = above_steps(np.stack([steps, tail, silent], axis=1), 5, 9000 / RATE_HZ)
    assert least[0] == pytest.approx(8.8 + np.log(2.0), abs=0.05)
    assert (least[1:] == -np.inf).all()
