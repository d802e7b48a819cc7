"""What the host writes for a GPU and reads from it; a thread stands in for the GPU."""

from __future__ import annotations

import ctypes
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tao_lora_ros.runtime import pinned_mailbox
from tao_lora_ros.runtime.pinned_mailbox import (
    ENDED,
    INCOMPLETE,
    NOTHING_CAME,
    ask,
    call,
    collect,
    hand_over,
)

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
    expected = INCOMPLETE if np.isnan(values).any() else 0
    assert collect(words_of(values, number), number, results) == expected
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
    assert collect(words, 7, results) == 0
    writer.join()
    assert np.array_equal(results, values)


def test_results_that_do_not_come_are_given_up() -> None:
    values = np.zeros(2, np.float32)
    assert pinned_mailbox._SPINS > 1_000_000_000  # the call below takes about a second
    assert collect(words_of(values, 6), 7, values.copy()) == NOTHING_CAME


def test_infinity_is_a_result_and_nan_is_none() -> None:
    for value, expected in ((np.inf, 0), (-np.inf, 0), (np.nan, INCOMPLETE), (-np.nan, INCOMPLETE)):
        values = np.array([1.0, value, 2.0], np.float32)
        assert collect(words_of(values, 7), 7, np.empty_like(values)) == expected


LAUNCH = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class Device:
    """Launched as CUDA launches; a "graph" doubles its windows, on this thread or another."""

    def __init__(self, count: int, size: int, early: bool, error: int = 0, answers: bool = True):
        self.records, self.words = records_for(count, size), np.zeros(count * size, np.int64)
        self.count, self.size, self.early = count, size, early
        self.error, self.answers = error, answers
        self.launched: list[tuple[int, int]] = []
        self._launch = LAUNCH(self._launched)
        self._thread = threading.Thread(target=self._run)

    def call(self, windows: NDArray[np.float32], number: int) -> tuple[int, NDArray[np.float32]]:
        results = np.full(windows.size, np.nan, np.float32)
        address = ctypes.cast(self._launch, ctypes.c_void_p).value
        paths = np.zeros(self.count, np.int32)
        error = call(
            windows.ravel(), paths, number, self.records, LEAD, (address, 11, 22), self.early,
            self.words, results,
        )  # fmt: skip
        if self._thread.ident:
            self._thread.join()
        return error, results.reshape(windows.shape)

    def _launched(self, graph: int, stream: int) -> int:
        self.launched.append((graph, stream))
        self.ordered = bool((self.records.reshape(self.count, -1)[:, 0] >= 0).all())
        if self.answers:
            self._thread.start() if self.early else self._run()
        return self.error

    def _run(self) -> None:
        rows = self.records.reshape(self.count, -1)
        deadline = time.monotonic() + 10.0
        while (rows[:, 0] < 0).any() and time.monotonic() < deadline:  # no orders yet
            time.sleep(0.001)
        inputs = rows.view(np.float32)[:, LEAD : LEAD + self.size]
        self.words[:] = words_of((2 * inputs).ravel(), rows[0, 0] >> 32)


@pytest.mark.parametrize("early", [False, True])
def test_a_call_hands_over_replays_and_collects(early: bool) -> None:
    device = Device(count=3, size=10, early=early)
    windows = np.arange(30, dtype=np.float32).reshape(3, 10)
    error, results = device.call(windows, 5)
    assert (error, device.launched) == (0, [(11, 22)])
    assert device.ordered == (not early)
    assert np.array_equal(results, 2 * windows)


def test_what_cuda_refuses_is_not_waited_for() -> None:
    device = Device(count=1, size=4, early=False, error=700, answers=False)
    assert device.call(np.zeros((1, 4), np.float32), 5)[0] == 700


def test_a_launch_without_results_is_told_from_one_that_failed() -> None:
    device = Device(count=1, size=4, early=False, answers=False)
    assert device.call(np.zeros((1, 4), np.float32), 5)[0] == NOTHING_CAME


def test_a_kernel_that_stays_is_asked_and_its_end_is_noticed() -> None:
    window, path = np.arange(6, dtype=np.float32), np.zeros(1, np.int32)
    records, ended = records_for(1, 6), np.array([4])
    words = words_of(np.zeros(8, np.float32), 1)
    results = np.empty(8, np.float32)

    def answer() -> None:
        while records[0] >> 32 != 3:
            time.sleep(0.001)
        words[1:] = words_of(np.arange(1, 8, dtype=np.float32), 3)
        time.sleep(0.01)
        words[0] = words_of(np.full(1, -1, np.float32), 3)[0]
        ended[0] = 5  # and it ends

    def asked(number: int, launch: int) -> int:
        return ask(window, path, number, records, LEAD, words, results, ended, launch)

    assert asked(2, launch=4) == ENDED
    thread = threading.Thread(target=answer)
    thread.start()
    assert asked(3, launch=5) == 0
    thread.join()
    assert results.tolist() == [-1, 1, 2, 3, 4, 5, 6, 7]
    assert asked(3, launch=5) == 0
