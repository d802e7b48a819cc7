"""One channel that jumps alone for one row is a glitch; anything else passes as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.router.outliers import START_ROWS, GlitchFilter
from tao_lora_ros.signal.align import Row

CHANNELS = ("imu.accel_x", "imu.accel_y", "ft.force_x")
STD = np.array([0.05, 0.05, 0.2])


def noise(count: int = 300, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, 3)) * STD


def filtered(values: np.ndarray, flush: bool = True) -> tuple[GlitchFilter, list[Row]]:
    subject = GlitchFilter(CHANNELS, (2e-3, 2e-3, 1e-2), memory_rows=500)
    out = [row for i, v in enumerate(values) for row in subject.push(Row(i, i, v))]
    return subject, [*out, *subject.flush()] if flush else out


def table(rows: list[Row]) -> np.ndarray:
    return np.array([row.values for row in rows])


def test_noise_passes_as_it_is() -> None:
    values = noise(5000)
    subject, out = filtered(values)
    assert not subject.glitches
    np.testing.assert_array_equal(table(out), values)


@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize("size", [20.0, -1e6])
def test_a_lone_jump_that_comes_back_is_mended_and_counted(channel: int, size: float) -> None:
    values = noise()
    values[200, channel] = size * STD[channel]
    subject, out = filtered(values)
    assert subject.glitches == {CHANNELS[channel]: 1}
    expected = values.copy()
    expected[200, channel] = (values[199, channel] + values[201, channel]) / 2
    np.testing.assert_array_equal(table(out), expected)
    assert values[200, channel] == size * STD[channel]  # the row that came is not touched


def test_the_row_is_held_back_until_the_next_and_no_longer() -> None:
    values = noise()
    values[200, 0] = 5.0
    _, out = filtered(values[:201], flush=False)
    assert [row.time_ns for row in out] == list(range(200))
    _, out = filtered(values[:202], flush=False)
    assert [row.time_ns for row in out] == list(range(202))


def test_a_jump_that_two_channels_see_passes_at_once() -> None:
    values = noise()
    values[200, :2] = 5.0
    subject, out = filtered(values[:201], flush=False)
    assert len(out) == 201
    assert not subject.glitches
    np.testing.assert_array_equal(table(out), values[:201])


def test_a_jump_that_lasts_passes_as_it_is() -> None:
    values = noise()
    values[200:, 0] += 5.0
    subject, out = filtered(values)
    assert not subject.glitches
    np.testing.assert_array_equal(table(out), values)


def test_nothing_is_mended_before_it_knows_the_noise() -> None:
    values = noise()
    values[START_ROWS // 2, 0] = 5.0
    subject, out = filtered(values)
    assert not subject.glitches
    np.testing.assert_array_equal(table(out), values)


def test_a_gap_is_no_glitch_and_stays_a_gap() -> None:
    values = noise()
    values[200:210, 1] = np.nan
    subject, out = filtered(values)
    assert not subject.glitches
    np.testing.assert_array_equal(table(out), values)


def test_a_glitch_before_a_gap_is_given_out_as_it_came() -> None:
    values = noise()
    values[200, 1] = 5.0
    values[201:205, 1] = np.nan
    subject, out = filtered(values)
    assert not subject.glitches
    np.testing.assert_array_equal(table(out), values)


def test_flush_gives_out_the_held_row_once() -> None:
    values = noise(201)
    values[200, 0] = 5.0
    subject, out = filtered(values)
    assert len(out) == 201
    assert out[-1].values[0] == 5.0
    assert list(subject.flush()) == []


def test_clear_forgets_the_signals_but_no_counts() -> None:
    values = noise()
    values[200, 0] = 5.0
    subject, _ = filtered(values)
    subject.clear()
    assert subject.glitches == {CHANNELS[0]: 1}
    assert [row.time_ns for row in subject.push(Row(0, 0, np.full(3, 100.0)))] == [0]


def test_what_passes_as_physical_is_counted_apart() -> None:
    values = noise()
    values[200:, 0] += 5.0  # lasts
    values[250, 1:] += 5.0  # is seen by two, there and back
    subject, _ = filtered(values)
    assert not subject.glitches
    assert subject.jumps == {CHANNELS[0]: 1, CHANNELS[1]: 2, CHANNELS[2]: 2}


def test_gaussian_noise_has_no_false_glitch() -> None:
    values = np.random.default_rng(1).normal(0, 1, (2_000_000, 3)) * STD
    subject = GlitchFilter(CHANNELS, (2e-3, 2e-3, 1e-2), memory_rows=500)
    out, settled_at = subject.run(values)
    assert not subject.glitches
    assert not subject.jumps
    np.testing.assert_array_equal(out, values)
    np.testing.assert_array_equal(settled_at, np.arange(len(values)))


@given(seed=st.integers(0, 500), share=st.floats(0, 0.2), cut=st.integers(0, 250))
def test_many_rows_at_once_settle_as_each_alone(seed: int, share: float, cut: int) -> None:
    rng = np.random.default_rng(seed)
    values = noise(250, seed)
    values[rng.random(values.shape) < share / 4] += 5.0
    alone, out = filtered(values, flush=False)
    together = GlitchFilter(CHANNELS, (2e-3, 2e-3, 1e-2), memory_rows=500)
    pieces = [together.run(values[:cut]), together.run(values[cut:])]
    np.testing.assert_array_equal(np.concatenate([rows for rows, _ in pieces]), table(out))
    assert (together.glitches, together.jumps) == (alone.glitches, alone.jumps)


@given(seed=st.integers(0, 500), share=st.floats(0, 0.2))
def test_every_row_comes_out_once_in_order_and_nothing_else_changes(
    seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    values = noise(250, seed)
    values[rng.random(values.shape) < share] = np.nan
    hits = rng.random(values.shape) < share / 4
    values[hits] += rng.choice([-1, 1], hits.sum()) * 5.0
    subject, out = filtered(values)
    assert [row.time_ns for row in out] == list(range(250))
    changed = (table(out) != values) & ~np.isnan(values)
    assert changed.sum() == subject.glitches.total()
    np.testing.assert_array_equal(np.isnan(table(out)), np.isnan(values))
