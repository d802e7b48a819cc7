"""The streaming covariance is the weighted mean of products; white rows are Mahalanobis's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.detection.covariance import (
    REFRESH_ROWS,
    CovarianceState,
    factorize,
    learn,
    new_covariance,
    whiten,
)
from tao_lora_ros.signal.compiled import compiled

PRIOR = np.diag([1e-6, 1e-6, 1e-4])


@compiled
def learn_all(state, rows, weights):
    for i in range(len(rows)):
        learn(state, rows[i], weights[i])


def fed(rows: np.ndarray, memory: int, weights: np.ndarray | None = None) -> CovarianceState:
    subject = new_covariance(memory, PRIOR)
    learn_all(subject, rows, np.ones(len(rows)) if weights is None else weights)
    return subject


def value(subject: CovarianceState) -> np.ndarray:
    return np.tril(subject.value) + np.tril(subject.value, -1).T


def white(subject: CovarianceState, row: np.ndarray) -> np.ndarray:
    out = np.empty(len(row))
    whiten(subject, row, out)
    return out


@given(seed=st.integers(0, 1000), count=st.integers(1, 160), memory=st.integers(1, 300))
def test_it_is_the_recursion_of_whole_matrices(seed: int, count: int, memory: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, [1.0, 10.0, 0.1], (count, 3))
    weights = rng.uniform(0, 1, len(rows))
    expected = np.zeros((3, 3))
    for i, row in enumerate(rows):
        w = weights[i] / min(i + 1, memory)
        expected = (1 - w) * expected + w * np.outer(row, row)
    np.testing.assert_allclose(value(fed(rows, memory, weights)), expected, rtol=1e-9, atol=1e-12)


def test_at_first_every_row_has_an_equal_part() -> None:
    rows = np.random.default_rng(1).normal(0, 1, (160, 3))
    np.testing.assert_allclose(value(fed(rows, 1000)), rows.T @ rows / len(rows), rtol=1e-9)


def test_rows_of_no_weight_are_ignored() -> None:
    rows = np.random.default_rng(1).normal(0, 1, (32, 3))
    weights = np.repeat([1.0, 0.0], 16)
    np.testing.assert_allclose(value(fed(rows, 100, weights)), value(fed(rows[:16], 100)))


@given(seed=st.integers(0, 1000))
def test_the_sum_of_squares_is_mahalanobis_under_covariance_and_prior(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 1, (1600, 3)) @ rng.normal(0, 1, (3, 3))
    subject = fed(rows, 10_000)
    row = rng.normal(0, 1, 3)
    squared = row @ np.linalg.inv(value(subject) + PRIOR) @ row
    assert np.sum(white(subject, row) ** 2) == pytest.approx(squared, rel=1e-6)


def test_the_last_entry_is_what_the_others_do_not_explain() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(0, 1, (16_000, 3))
    rows[:, 2] = 2.0 * rows[:, 0] - rows[:, 1] + 0.1 * rows[:, 2]
    subject = fed(rows, 100_000)
    as_ever, surprise = np.array([1.0, 1.0, 1.0]), np.array([1.0, 1.0, 2.0])
    assert white(subject, as_ever)[2] == pytest.approx(0.0, abs=0.3)
    assert white(subject, surprise)[2] == pytest.approx(10.0, rel=0.05)


def test_noise_becomes_white() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(0, [1.0, 10.0, 0.1], (4000, 3)) @ np.array(
        [[1, 0.9, 0], [0, 1, 0], [0, 0, 1]]
    )
    subject = fed(rows[:3200], 10_000)
    out = np.array([white(subject, row) for row in rows[3200:]])
    np.testing.assert_allclose(out.T @ out / len(out), np.eye(3), atol=0.15)


def test_a_missing_channel_keeps_its_variance_and_forgets_its_company() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(0, 1, (960, 1)) * [1.0, 2.0, 3.0]
    subject = fed(rows, 100)
    before = value(subject)
    missing = rows.copy()
    missing[:, 1] = np.nan
    learn_all(subject, missing, np.ones(len(missing)))
    assert value(subject)[1, 1] == pytest.approx(before[1, 1])
    assert abs(value(subject)[1, 0]) < 1e-3
    np.testing.assert_allclose(value(subject)[0, 2], before[0, 2], rtol=0.5)
    assert np.linalg.eigvalsh(value(subject)).min() > -1e-12


def test_a_silent_channel_stays_finite() -> None:
    subject = fed(np.zeros((160, 3)), 100)
    assert white(subject, np.array([1e-3, 0.0, 0.0]))[0] == pytest.approx(1.0)


def test_a_value_that_is_missing_counts_as_none() -> None:
    subject = fed(np.random.default_rng(6).normal(0, 1, (160, 3)), 100)
    np.testing.assert_array_equal(
        white(subject, np.array([np.nan, 1.0, np.nan])), white(subject, np.array([0.0, 1.0, 0.0]))
    )


def test_the_factor_is_renewed_now_and_then_and_on_demand() -> None:
    rows = np.random.default_rng(7).normal(0, 1, (2 * REFRESH_ROWS - 1, 3))
    subject = fed(rows, 100)
    at_refresh = np.linalg.cholesky(value(fed(rows[:REFRESH_ROWS], 100)) + PRIOR)
    np.testing.assert_allclose(subject.factor, at_refresh, rtol=1e-9, atol=1e-12)
    factorize(subject)
    now = np.linalg.cholesky(value(subject) + PRIOR)
    np.testing.assert_allclose(subject.factor, now, rtol=1e-9, atol=1e-12)


def test_ten_million_rows_leave_no_drift() -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(0, 1.0, (10_000_000, 3))
    rows[:5_000_000] *= 1e4  # what is long gone must leave no rounding error behind
    recent = rows[-20_000:]
    weights = np.exp(-np.arange(len(recent))[::-1] / 500)
    subject = fed(rows, 500)
    expected = (recent.T * weights) @ recent / weights.sum()
    np.testing.assert_allclose(value(subject), expected, rtol=3e-3, atol=3e-3)
    fresh = fed(recent, 500)
    np.testing.assert_allclose(value(subject), value(fresh), rtol=1e-9, atol=1e-9)
