"""What the host writes for a GPU and reads from it; a thread stands in for the GPU."""

from __future__ import annotations

import threading
import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tao_lora_ros.hardware import handover
from tao_lora_ros.hardware.handover import collect, hand_over

LEAD = 16


def records_for(count: int, size: int) -> NDArray[np.int64]:
    return np.full(count * (LEAD + size + size % 2) // 2, -1, np.int64)


def words_of(values: NDArray[np.float32], number: int) -> NDArray[np.int64]:
    return (np.int64(number) << 32) | (values.view(np.int32).astype(np.int64) & 0xFFFFFFFF)


@given(
    count=st.integers(1, 5),
    size=st.integers(1, 60),
    number=st.integers(1, 2**31 - 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=50, deadline=None)
def test_every_window_lies_behind_its_order(count: int, size: int, number: int, seed: int) -> None:
    g = np.random.default_rng(seed)
    windows = g.integers(0, 2**32, (count, size), np.uint32).view(np.float32)  # NaNs of all kinds
    paths = g.integers(0, 2, count).astype(np.int32)
    records = records_for(count, size)
    hand_over(windows.ravel(), paths, number, records, LEAD)
    rows = records.reshape(count, -1)
    assert (rows[:, 0] >> 32 == number).all()
    assert (rows[:, 0] & 0xFFFFFFFF == paths).all()
    found = rows.view(np.int32)[:, LEAD : LEAD + size]
    assert np.array_equal(found, windows.view(np.int32))
    assert (rows[:, 1 : LEAD // 2] == -1).all()


@given(
    bits=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=40),
    number=st.integers(1, 2**31 - 1),
)
@settings(max_examples=50, deadline=None)
def test_every_result_is_taken_bit_by_bit(bits: list[int], number: int) -> None:
    values = np.array(bits, np.int32).view(np.float32)
    results = np.empty_like(values)
    assert collect(words_of(values, number), number, results)
    assert np.array_equal(results.view(np.int32), values.view(np.int32))


def test_results_are_waited_for_word_by_word() -> None:
    values = np.arange(8, dtype=np.float32)
    words = words_of(values - 100, 6)

    def write() -> None:
        for i in reversed(range(len(words))):
            time.sleep(0.002)
            words[i] = words_of(values[i : i + 1], 7)[0]

    writer = threading.Thread(target=write)
    writer.start()
    results = np.empty_like(values)
    assert collect(words, 7, results)
    writer.join()
    assert np.array_equal(results, values)


def test_results_that_do_not_come_are_given_up() -> None:
    values = np.zeros(2, np.float32)
    assert handover._SPINS > 1_000_000_000  # the call below takes about a second
    assert not collect(words_of(values, 6), 7, values.copy())
