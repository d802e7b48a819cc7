"""The sliding window is the newest rows, in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.signal.window import SlidingWindow


def push(window: SlidingWindow, time_ns: int, row: np.ndarray) -> None:
    window.extend(np.array([time_ns]), row[None])


@given(length=st.integers(1, 12), channels=st.integers(1, 4), rows=st.integers(0, 60))
def test_holds_the_newest_rows_oldest_first(length: int, channels: int, rows: int) -> None:
    window = SlidingWindow(length, channels)
    pushed = np.arange(rows * channels, dtype=np.float64).reshape(rows, channels)
    for i, row in enumerate(pushed):
        push(window, 1000 + i, row)
        assert window.full == (i + 1 >= length)
        kept = min(i + 1, length)
        np.testing.assert_array_equal(window.values[length - kept :], pushed[i + 1 - kept : i + 1])
        expected = np.arange(i + 1 - kept, i + 1) + 1000
        np.testing.assert_array_equal(window.times_ns[length - kept :], expected)
    assert window.values.shape == (length, channels)


def test_before_it_is_full_the_missing_rows_are_nan() -> None:
    window = SlidingWindow(4, 2)
    push(window, 7, np.ones(2))
    assert not window.full
    np.testing.assert_array_equal(np.isnan(window.values[:, 0]), [True, True, True, False])


def test_values_are_one_contiguous_view() -> None:
    window = SlidingWindow(8, 3)
    for i in range(13):
        push(window, i, np.full(3, float(i)))
    assert window.values.flags.c_contiguous
    assert window.values.base is not None


def test_clear_forgets_all() -> None:
    window = SlidingWindow(2, 1)
    for i in range(3):
        push(window, i, np.ones(1))
    window.clear()
    assert not window.full
    assert np.isnan(window.values).all()


def test_nan_rows_are_kept_as_they_are() -> None:
    window = SlidingWindow(2, 2)
    push(window, 0, np.array([np.nan, 1.0]))
    push(window, 1, np.array([2.0, np.nan]))
    np.testing.assert_array_equal(window.values, [[np.nan, 1.0], [2.0, np.nan]])


@pytest.mark.parametrize("count", [10_000])
def test_a_long_stream_keeps_its_order(count: int) -> None:
    window = SlidingWindow(128, 1)
    for i in range(count):
        push(window, i, np.array([float(i)]))
    np.testing.assert_array_equal(window.values[:, 0], np.arange(count - 128, count))


@given(
    length=st.integers(1, 12), counts=st.lists(st.sampled_from([1, 2, 7, 500, 3000]), max_size=8)
)
def test_rows_added_together_give_every_window_that_each_alone_gives(
    length: int, counts: list[int]
) -> None:
    window, end = SlidingWindow(length, 1), 0
    rows = np.arange(sum(counts), dtype=np.float64)
    for count in counts:
        window.extend(np.arange(end, end + count), rows[end : end + count, None])
        for ago in {0, count // 2, count - 1}:
            newest = end + count - ago
            if newest >= length:
                times, values = window.ago(ago)
                np.testing.assert_array_equal(values[:, 0], rows[newest - length : newest])
                np.testing.assert_array_equal(times, np.arange(newest - length, newest))
        end += count
