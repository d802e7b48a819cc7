"""Stamps that jitter about the grid: every row has one sample, whatever their phase and drift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tao_lora_ros.signal.align import Aligner
from tao_lora_ros.signal.dejitter import NEWEST, dejittered, forget, new_dejitter

PERIOD_NS = 10_000_000
Times = NDArray[np.int64]


def stamps_of(
    count: int, phase: float = 0.0, jitter: float = 0.0, drift: float = 0.0, every: float = 1.0
) -> Times:
    """Of a sensor: phase and jitter (standard deviation) in rows, drift in rows a row."""
    rows = phase + np.arange(count) * every * (1 + drift)
    noise = jitter * np.random.default_rng(1).standard_normal(count)
    return 10**18 + np.round((rows + noise) * PERIOD_NS).astype(np.int64)


def moved(stamps: Times) -> Times:
    state = new_dejitter(PERIOD_NS)
    return np.array([dejittered(state, stamp) for stamp in stamps.tolist()])


def share_of_mixed_rows(stamps: Times) -> float:
    """Rows that are not exactly one sample, the next one each time."""
    subject = Aligner([1], [0.0], 1e9 / PERIOD_NS, 0.05, 0.1)
    values = [
        row.values[0]
        for number, stamp in enumerate(stamps.tolist())
        for row in subject.push(0, stamp, np.array([float(number)]))
    ]
    return float((np.abs(np.diff(values) - 1.0) > 1e-9).mean())


@pytest.mark.parametrize("jitter", [1e-5, 0.01, 0.05, 0.1])
@pytest.mark.parametrize(("phase", "drift"), [(0.0, 0.0), (0.9, 5e-5), (0.97, 2e-5), (0.05, -5e-5)])
def test_jitter_about_the_border_of_a_row_mixes_none(
    jitter: float, phase: float, drift: float
) -> None:
    assert share_of_mixed_rows(stamps_of(4000, phase, jitter, drift)) < 0.02


def test_a_lattice_that_passes_the_border_costs_a_sample_each_time() -> None:
    stamps = stamps_of(4000, 0.5, 0.05, 0.003)  # passes twelve times
    assert share_of_mixed_rows(stamps) < 0.02


@given(
    phase=st.floats(0, 1),
    jitter=st.floats(0, 0.6),
    every=st.floats(0.05, 5.0),
    count=st.integers(2, 120),
)
def test_times_rise_and_stay_near_their_stamps(
    phase: float, jitter: float, every: float, count: int
) -> None:
    stamps = np.sort(stamps_of(count, phase, jitter, every=every))
    stamps += np.arange(count)  # none twice
    times = moved(stamps)
    assert (np.diff(times) > 0).all()
    # A sample that comes right after one that was moved ahead may have to give way to it.
    assert (np.abs(times - stamps) <= 0.63 * PERIOD_NS + count).all()


@pytest.mark.parametrize("every", [0.125, 0.25, 0.5, 1.0, 2.0, 3.0, 1.967, 0.7])
@pytest.mark.parametrize("phase", [0.0, 0.4375])
def test_regular_stamps_are_left_as_they_are(every: float, phase: float) -> None:
    stamps = stamps_of(300, phase * min(every, 1.0), every=every)
    if every in (1.967, 0.7):  # has no phase on this grid
        assert (moved(stamps)[NEWEST:] == stamps[NEWEST:]).all()
    else:
        assert (moved(stamps) == stamps).all()


def test_who_begins_later_has_the_same_times_soon() -> None:
    stamps = stamps_of(200, 0.3, 0.05)
    assert (moved(stamps)[100 + NEWEST :] == moved(stamps[100:])[NEWEST:]).all()


def test_after_a_clock_jump_nothing_is_remembered() -> None:
    state = new_dejitter(PERIOD_NS)
    for stamp in stamps_of(100, 0.3, 0.05).tolist():
        dejittered(state, stamp)
    forget(state)
    assert dejittered(state, 5) == 5


def test_several_samples_a_row_stay_as_many() -> None:
    stamps = stamps_of(2000, 0.0, 0.01, every=0.25)
    per_row = np.bincount(-(-(moved(stamps) - stamps[0]) // PERIOD_NS))
    assert (per_row[20:-1] == 4).all()


def test_bursts_are_on_no_lattice() -> None:
    """Eight samples at once, every eight rows: another place spreads them."""
    stamps = np.concatenate([10**18 + (8 * k) * PERIOD_NS + 3000 * np.arange(8) for k in range(40)])
    assert (moved(stamps) == stamps).all()
