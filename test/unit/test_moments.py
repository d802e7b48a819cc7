"""What does not belong to steady motion is told from its own largest moments."""

from __future__ import annotations

import numpy as np
import pytest

from tao_lora_ros.detection.moments import (
    CHANCE,
    HEAVIEST,
    eventful,
    heaviness,
    measured,
    merged,
    moments,
    outlying,
    without,
)

RATE_HZ = 100.0


def exponential_peaks(count: int, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).exponential(1.0, count + 1))[::-1]


def test_peaks_of_one_tail_belong_but_by_chance() -> None:
    found = [outlying(exponential_peaks(12, seed)) for seed in range(5000)]
    assert np.count_nonzero(found) <= 5000 * 6 * CHANCE * 2  # six gaps each


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_peaks_beyond_a_wide_gap_do_not(count: int) -> None:
    found = exponential_peaks(20, 1)
    found[:count] = found[count] + 200.0 + np.arange(count)[::-1]
    assert outlying(found) == count


def test_a_gap_has_to_be_wider_than_chance_has_it() -> None:
    """Of one peak above ten others with mean excess 1: (1 + x / 10) ^ -10 is the chance."""
    others = np.linspace(1.9, 0.1, 10)
    just = 1.19 * 10.0 * (CHANCE**-0.1 - 1.0)  # their mean, were the one no higher than they: 1.19
    for factor, expected in ((0.99, 0), (1.01, 1)):
        found = np.array([others[0] + factor * just, *others, 0.0])
        assert outlying(found) == expected


def test_a_moment_reaches_as_far_as_what_is_rare_and_a_little_further() -> None:
    rare = np.random.default_rng(1).normal(-8.0, 1.0, 6000)
    rare[3000:3010] = 300.0
    statistics = [np.full((50, 1), -9.0), rare[:, None]]
    recordings = [np.zeros((50, 1)), np.zeros((6000, 1))]
    assert moments(statistics, recordings, RATE_HZ) == [(1, 2995, 3040)]


def test_a_statistic_with_a_heavy_tail_hides_nothing_in_another() -> None:
    rng = np.random.default_rng(2)
    statistics = np.stack([rng.normal(0.0, 0.1, 6000), rng.exponential(1.0, 6000) ** 2], axis=1)
    rows = np.array([1000, 2500, 4000, 5500])  # more than are censored
    statistics[rows, 0] = 3.0
    found = moments([statistics], [np.zeros((6000, 1))], RATE_HZ)
    assert [first + 5 for _, first, _ in found] == rows.tolist()


def test_what_never_varies_has_no_moments() -> None:
    statistics = np.stack([np.zeros(6000), np.full(6000, 2.0)], axis=1)
    assert moments([statistics], [np.zeros((6000, 1))], RATE_HZ) == []


def test_spans_that_touch_become_one() -> None:
    spans = [(0, 50, 60), (0, 10, 20), (0, 20, 30), (1, 25, 40), (0, 12, 15)]
    assert merged(spans) == [(0, 10, 30), (0, 50, 60), (1, 25, 40)]


def test_spans_are_left_out_of_a_copy() -> None:
    rows = np.ones((10, 2))
    (kept,) = without([rows], [(0, 3, 5)])
    assert np.isnan(kept[3:5]).all()
    assert np.isfinite(np.delete(kept, [3, 4], axis=0)).all()
    assert np.isfinite(rows).all()


def test_a_moment_tells_the_channels_that_changed_and_by_how_much() -> None:
    rows = np.random.default_rng(2).normal(0, 0.1, (1000, 3)) + [0.0, 9.81, -20.0]
    rows[500, 2] += 5.0
    rows[500, 1] -= 2.0
    moment = measured((0, 495, 530), [rows], np.array([0.14, 0.14, 0.14]), RATE_HZ)
    assert [channel for channel, _ in moment.sizes] == [2, 1, 0]
    assert moment.sizes[0][1] == pytest.approx(5.0, abs=0.4)
    assert moment.sizes[1][1] == pytest.approx(2.0, abs=0.4)


def test_steady_motion_is_not_eventful_and_many_blows_are() -> None:
    rng = np.random.default_rng(3)
    ratios = rng.exponential(0.3, (60_000, 2))
    ratios[:30] = -np.inf
    assert eventful([ratios], RATE_HZ) == 0.0
    ratios[rng.choice(60_000, 300, replace=False), 1] = rng.uniform(8.0, 20.0, 300)
    assert 0.03 < eventful([ratios], RATE_HZ) < 0.06
    assert eventful([np.full((100, 2), -np.inf)], RATE_HZ) == 0.0


def test_contacts_that_come_again_and_again_are_seen_however_long_it_is() -> None:
    """Two minutes and an hour alike; the share of the time that is eventful shrinks."""
    for rows in (12_000, 360_000):
        ratios = np.random.default_rng(3).exponential(0.3, (rows, 2))
        assert heaviness([ratios], RATE_HZ) < 1.3
        starts = np.random.default_rng(4).choice(rows, rows // 300, replace=False)
        ratios[starts, 1] = np.random.default_rng(5).uniform(4.0, 8.0, len(starts))
        assert heaviness([ratios], RATE_HZ) > HEAVIEST
    assert heaviness([ratios[:1000]], RATE_HZ) == 0.0  # too short to say
