"""The streaming covariance is the weighted mean of products; distances are Mahalanobis's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.signal.covariance import BLOCK_ROWS, SHRINKAGE, StreamingCovariance

FLOORS = np.array([1e-3, 1e-3, 1e-2])


def fed(rows: np.ndarray, memory: int, weights: np.ndarray | None = None) -> StreamingCovariance:
    subject = StreamingCovariance(memory, FLOORS)
    for i, row in enumerate(rows):
        subject.push(row, 1.0 if weights is None else float(weights[i]))
    return subject


@given(seed=st.integers(0, 1000), blocks=st.integers(1, 10), memory=st.integers(1, 300))
def test_blocks_are_the_row_by_row_recursion(seed: int, blocks: int, memory: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, [1.0, 10.0, 0.1], (blocks * BLOCK_ROWS, 3))
    weights = rng.uniform(0, 1, len(rows))
    expected = np.zeros((3, 3))
    for i, row in enumerate(rows):
        w = weights[i] / min(i + 1, memory)
        expected = (1 - w) * expected + w * np.outer(row, row)
    value = fed(rows, memory, weights).value
    np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


def test_at_first_every_row_has_an_equal_part() -> None:
    rows = np.random.default_rng(1).normal(0, 1, (10 * BLOCK_ROWS, 3))
    np.testing.assert_allclose(fed(rows, 1000).value, rows.T @ rows / len(rows), rtol=1e-9)


def test_rows_of_no_weight_are_ignored() -> None:
    rows = np.random.default_rng(1).normal(0, 1, (2 * BLOCK_ROWS, 3))
    weights = np.repeat([1.0, 0.0], BLOCK_ROWS)
    np.testing.assert_allclose(fed(rows, 100, weights).value, fed(rows[:BLOCK_ROWS], 100).value)


def test_the_distance_is_mahalanobis_under_the_shrunk_covariance() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(0, 1, (100 * BLOCK_ROWS, 3)) @ np.array([[1, 0.9, 0], [0, 0.3, 0], [0, 0, 5]])
    subject = fed(rows, 10_000)
    c = subject.value
    inverse = np.linalg.inv(c + SHRINKAGE * np.diag(np.diag(c)) + np.diag(FLOORS**2))
    row = np.array([1.0, -1.0, 2.0])
    assert subject.squared_distance(row) == pytest.approx(row @ inverse @ row)
    # what the first two do together is usual, what they do against each other is not
    together, against = np.array([1.0, 1.0, 0.0]), np.array([1.0, -1.0, 0.0])
    assert subject.squared_distance(against) > 10 * subject.squared_distance(together)


def test_noise_is_as_far_off_as_it_has_channels() -> None:
    rows = np.random.default_rng(3).normal(0, [1.0, 10.0, 0.1], (4000, 3))
    subject = fed(rows[:3200], 10_000)
    mean = np.mean([subject.squared_distance(row) for row in rows[3200:]])
    assert mean == pytest.approx(3.0, rel=0.1)


def test_a_missing_channel_keeps_its_variance_and_forgets_its_company() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(0, 1, (60 * BLOCK_ROWS, 1)) * [1.0, 2.0, 3.0]
    subject = fed(rows, 100)
    before = subject.value.copy()
    missing = rows.copy()
    missing[:, 1] = np.nan
    for row in missing:
        subject.push(row, 1.0)
    assert subject.value[1, 1] == pytest.approx(before[1, 1])
    assert abs(subject.value[1, 0]) < 1e-3
    np.testing.assert_allclose(subject.value[0, 2], before[0, 2], rtol=0.5)
    assert np.linalg.eigvalsh(subject.value).min() > -1e-12


def test_deviations_are_the_channels_standard_deviations() -> None:
    rows = np.random.default_rng(3).normal(0, [1.0, 10.0, 0.1], (200 * BLOCK_ROWS, 3))
    expected = np.sqrt((rows**2).mean(axis=0) + FLOORS**2)
    np.testing.assert_allclose(fed(rows, 10_000).deviations, expected, rtol=1e-6)


def test_a_silent_channel_stays_finite() -> None:
    subject = fed(np.zeros((10 * BLOCK_ROWS, 3)), 100)
    row = np.array([1e-3, 0.0, 0.0])
    assert subject.squared_distance(row) == pytest.approx(1.0)


def test_a_long_stream_keeps_its_precision() -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(0, 1.0, (100_000 // BLOCK_ROWS * BLOCK_ROWS, 3))
    rows[:50_000] *= 1e4
    recent = fed(rows[-20_000:], 500).value
    np.testing.assert_allclose(fed(rows, 500).value, recent, rtol=1e-6, atol=1e-9)


def test_clear_forgets_all() -> None:
    subject = fed(np.ones((BLOCK_ROWS + 3, 3)), 100)
    subject.clear()
    assert not subject.value.any()
    fresh = StreamingCovariance(100, FLOORS)
    row = np.ones(3)
    assert subject.squared_distance(row) == fresh.squared_distance(row)
    np.testing.assert_array_equal(subject.deviations, FLOORS)
