"""The streaming variance is numpy's, through gaps, offsets and long streams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tao_lora_ros.signal.variance import SlidingVariance


def expected(rows: NDArray[np.float64], lengths: tuple[int, ...]) -> NDArray[np.float64]:
    """Variances of the newest rows; NaN where one of them is missing."""
    out = np.full((len(lengths), rows.shape[1]), np.nan)
    for i, length in enumerate(lengths):
        if len(rows) >= length:
            out[i] = rows[-length:].var(axis=0, ddof=1)
    return out


@given(
    seed=st.integers(0, 10_000),
    lengths=st.lists(st.integers(2, 20), min_size=1, max_size=3, unique=True),
    gaps=st.floats(0, 0.2),
)
def test_equals_numpy_at_every_row(seed: int, lengths: list[int], gaps: float) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, [0.01, 1.0, 100.0], (90, 3)) + [0.0, 9.81, -50.0]
    rows[rng.random(rows.shape) < gaps] = np.nan
    variance = SlidingVariance(tuple(lengths), 3)
    for i, row in enumerate(rows):
        given_out = variance.push(row)
        for channel, std in enumerate((0.01, 1.0, 100.0)):
            np.testing.assert_allclose(
                given_out[:, channel],
                expected(rows[: i + 1], lengths)[:, channel],
                rtol=1e-11,
                atol=1e-12 * std**2,
            )


@given(seed=st.integers(0, 10_000), gaps=st.floats(0, 0.2))
def test_the_mean_is_numpys_over_the_longest_window(seed: int, gaps: float) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(5.0, 1.0, (60, 2))
    rows[rng.random(rows.shape) < gaps] = np.nan
    variance = SlidingVariance((3, 7), 2)
    for i, row in enumerate(rows):
        variance.push(row)
        mean = rows[i - 6 : i + 1].mean(axis=0) if i >= 6 else np.full(2, np.nan)
        np.testing.assert_allclose(variance.mean, mean, rtol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, -1e6])
def test_a_huge_offset_cancels_no_digits(offset: float) -> None:
    rng = np.random.default_rng(1)
    rows = offset + rng.normal(0, 1e-3, (500, 4))
    variance = SlidingVariance((4, 16, 100), 4)
    for i, row in enumerate(rows):
        given_out = variance.push(row)
        np.testing.assert_allclose(given_out, expected(rows[: i + 1], (4, 16, 100)), rtol=1e-5)


def test_an_offset_that_wanders_far_cancels_no_digits() -> None:
    rng = np.random.default_rng(2)
    rows = np.linspace(0, 1e6, 20_000)[:, None] + rng.normal(0, 1.0, (20_000, 2))
    variance = SlidingVariance((8, 64), 2)
    for i, row in enumerate(rows):
        given_out = variance.push(row)
        if i % 500 == 499:
            np.testing.assert_allclose(given_out, expected(rows[: i + 1], (8, 64)), rtol=1e-9)


def test_errors_do_not_pile_up_over_a_long_stream() -> None:
    rng = np.random.default_rng(3)
    rows = 1e4 + rng.normal(0, 1e-2, (200_000, 1))
    rows[::1000] += 1e3  # spikes leave rounding errors behind
    variance = SlidingVariance((4, 50), 1)
    for row in rows:
        given_out = variance.push(row)
    np.testing.assert_allclose(given_out, expected(rows, (4, 50)), rtol=1e-7)


def test_a_spike_is_forgotten_one_pass_after_it_left() -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(0, 1e-3, (100, 1))
    rows[40] = 1e6
    variance = SlidingVariance((4, 16), 1)
    for i, row in enumerate(rows):
        given_out = variance.push(row)
        if i >= 40 + 2 * 16:
            np.testing.assert_allclose(given_out, expected(rows[: i + 1], (4, 16)), rtol=1e-6)


def test_constant_rows_have_no_variance_and_never_a_negative_one() -> None:
    variance = SlidingVariance((2, 5), 2)
    for _ in range(100):
        given_out = variance.push(np.array([0.1, 1e6 / 3]))
        assert not (given_out < 0).any()
    np.testing.assert_array_equal(given_out, 0.0)


def test_a_gap_in_one_channel_leaves_the_others_alone() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(0, 1, (40, 2))
    whole, gappy = SlidingVariance((3, 6), 2), SlidingVariance((3, 6), 2)
    for i, row in enumerate(rows):
        expected_row = whole.push(row)
        row = row.copy()
        if i == 20:
            row[0] = np.nan
        given_out = gappy.push(row)
        np.testing.assert_array_equal(given_out[:, 1], expected_row[:, 1])
        if 20 <= i < 23:
            assert np.isnan(given_out[:, 0]).all()
        if 23 <= i < 26:
            np.testing.assert_array_equal(np.isnan(given_out[:, 0]), [False, True])


def test_clear_forgets_all() -> None:
    variance = SlidingVariance((2,), 1)
    for value in (1.0, 5.0, 9.0):
        variance.push(np.array([value]))
    variance.clear()
    assert np.isnan(variance.current).all()
    assert np.isnan(variance.push(np.array([1.0]))).all()
    assert variance.push(np.array([2.0]))[0, 0] == 0.5
