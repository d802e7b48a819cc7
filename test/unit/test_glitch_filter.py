"""One channel that jumps alone for one sample is a glitch; anything else passes as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tao_lora_ros.detection.glitch_filter import GlitchFilter
from tao_lora_ros.detection.glitch_rules import START_SAMPLES
from tao_lora_ros.signal.align import Aligner, Row, Rows

RATE_HZ = 500.0
CHANNELS = ("imu.accel_x", "imu.accel_y", "ft.force_x")
STD = np.array([0.05, 0.05, 0.2])


def noise(count: int = 300, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, 3)) * STD


def one(time_ns: int, values: np.ndarray, fresh: np.ndarray) -> Rows:
    return Rows(np.array([[time_ns, time_ns, 0, 0]]), values[None], fresh[None])


def again(row: Row) -> Rows:
    return one(row.time_ns, row.values, row.fresh)


def assert_same(out: Iterable[Row], expected: Iterable[Row]) -> None:
    given_out, wanted = list(out), list(expected)
    assert [row.time_ns for row in given_out] == [row.time_ns for row in wanted]
    np.testing.assert_array_equal(table(given_out), table(wanted))


def filtered(values: np.ndarray, flush: bool = True) -> tuple[GlitchFilter, list[Row]]:
    """Of a sensor as fast as the rows: each is fresh."""
    subject = GlitchFilter(CHANNELS, RATE_HZ)
    out = [row for i, v in enumerate(values) for row in subject.push(one(i, v, v))]
    return subject, [*out, *subject.flush()] if flush else out


def table(rows: list[Row]) -> np.ndarray:
    return np.array([row.values for row in rows])


def test_noise_passes_as_it_is() -> None:
    values = noise(5000)
    subject, out = filtered(values)
    assert not subject.glitches
    np.testing.assert_array_equal(table(out), values)


@pytest.mark.parametrize("every", [50, 125, 250])  # rows; the filter remembers 96
def test_samples_further_apart_than_the_memory_are_judged_too(every: int) -> None:
    samples = 2 * START_SAMPLES
    values = np.repeat(noise(samples), every, axis=0)
    values[-2 * every : -every, 2] = 100.0  # one sample, then it is back
    subject = GlitchFilter(CHANNELS, RATE_HZ)
    for i, row in enumerate(values):
        fresh = row if i % every == 0 else np.full(3, np.nan)
        subject.push(one(i, row, fresh))
    subject.flush()
    assert subject.glitches == {CHANNELS[2]: 1}


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
    values[START_SAMPLES // 2, 0] = 5.0
    subject, out = filtered(values)
    assert not subject.glitches
    np.testing.assert_array_equal(table(out), values)


def test_a_gap_is_no_glitch_and_stays_a_gap() -> None:
    values = noise()
    values[200:210, 1] = np.nan
    subject, out = filtered(values)
    assert not subject.glitches
    np.testing.assert_array_equal(table(out), values)


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("hole", [1, 30, 400])
def test_a_glitch_just_after_a_gap_is_mended_as_any_other(hole: int, after: int) -> None:
    values = noise(800)
    back = 200 + hole
    values[200:back] = np.nan
    values[back + after, 1] = 5.0
    subject, out = filtered(values)
    assert subject.glitches == {CHANNELS[1]: 1}
    assert not subject.jumps
    assert np.nanmax(np.abs(table(out)[:, 1])) <= 6 * STD[1]
    np.testing.assert_array_equal(np.isnan(table(out)), np.isnan(values))


def test_a_level_that_moved_during_a_gap_passes_and_teaches_nothing() -> None:
    values = noise(400)
    values[200:210, 1] = np.nan
    values[210:, 1] += 50 * STD[1]
    values[300, 1] += 12 * STD[1]  # still seen
    subject, out = filtered(values)
    assert subject.glitches == {CHANNELS[1]: 1}
    np.testing.assert_array_equal(table(out)[:300], values[:300])


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
    far = np.full(3, 100.0)
    assert [row.time_ns for row in subject.push(one(0, far, far))] == [0]


def test_what_passes_as_physical_is_counted_apart() -> None:
    values = noise()
    values[200:, 0] += 5.0  # lasts
    values[250, 1:] += 5.0  # is seen by two, there and back
    subject, _ = filtered(values)
    assert not subject.glitches
    assert subject.jumps == {CHANNELS[0]: 1, CHANNELS[1]: 2, CHANNELS[2]: 2}


def test_gaussian_noise_has_no_false_glitch() -> None:
    values = np.random.default_rng(1).normal(0, 1, (2_000_000, 3)) * STD
    subject = GlitchFilter(CHANNELS, RATE_HZ)
    out, settled_at = subject.run(values, values)
    assert not subject.glitches
    assert not subject.jumps
    np.testing.assert_array_equal(out, values)
    np.testing.assert_array_equal(settled_at, np.arange(len(values)))


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


# A sensor slower than the rows (accelerometer), and one as fast as they are (force).

SLOW_HZ = st.sampled_from([60.0, 125.0, 254.0, 333.0, 499.0])
BAD_S = 1.9
Samples = list[tuple[int, int, np.ndarray]]  # source, stamp (ns), values


def stream(slow_hz: float, seed: int, jitter: float = 0.0) -> Samples:
    """Noise of both sensors, by time; stamps are off by a share of the period."""
    rng = np.random.default_rng(seed)
    out: Samples = []
    for source, rate_hz in enumerate((slow_hz, RATE_HZ)):
        count = round((BAD_S + 0.2) * rate_hz)
        off = 0.5 + (jitter * rng.uniform(-0.5, 0.5, count) if source == 0 else 0.0)
        stamps = np.round((np.arange(count) + off) / rate_hz * 1e9).astype(int).tolist()
        std = STD[:2] if source == 0 else STD[2:]
        values = rng.normal(0, 1, (count, len(std))) * std
        out += [(source, stamp, v) for stamp, v in zip(stamps, values, strict=True)]
    return sorted(out, key=lambda sample: sample[1])


def aligned(samples: Samples) -> list[Row]:
    aligner = Aligner([2, 1], [0.0, 0.0], RATE_HZ, 0.05, 0.1)
    return [row for source, t, v in samples for row in aligner.push(source, t, v)]


def struck(samples: Samples, source: int, axes: list[int], size: float, count: int = 1) -> Samples:
    """The same with the first samples of a source from `BAD_S` on off by `size` on some axes."""
    hit = [i for i, (s, t, _) in enumerate(samples) if s == source and t >= BAD_S * 1e9][:count]
    out = [(s, t, v.copy()) for s, t, v in samples]
    for i in hit:
        out[i][2][axes] += size
    return out


def settled(rows: list[Row]) -> tuple[GlitchFilter, list[Row]]:
    subject = GlitchFilter(CHANNELS, RATE_HZ)
    out = [out for row in rows for out in subject.push(again(row))]
    return subject, [*out, *subject.flush()]


@given(SLOW_HZ, st.integers(0, 200), st.floats(0, 0.9), st.sampled_from([2.0, -1e6]))
def test_a_slow_sensors_bad_sample_is_mended_in_all_rows_that_it_went_into(
    slow_hz: float, seed: int, jitter: float, size: float
) -> None:
    clean = stream(slow_hz, seed, jitter)
    came = aligned(struck(clean, 0, [1], size))
    subject, out = settled(came)
    assert subject.glitches == {CHANNELS[1]: 1}
    assert not subject.jumps
    known = ~np.isnan(table(came))
    spoilt = (known & (table(came) != table(aligned(clean))))[:, 1]
    assert spoilt.any()
    np.testing.assert_array_equal(~np.isnan(table(out)), known)
    changed = known & (table(out) != table(came))
    assert not changed[:, [0, 2]].any()
    assert changed[spoilt, 1].all()
    # On from sample to sample, as everywhere: noise, and no more.
    assert np.nanmax(np.abs(table(out)[:, 1])) <= 6 * STD[1]


@given(SLOW_HZ, st.integers(0, 200), st.floats(0, 0.9))
def test_a_blow_that_two_axes_of_a_slow_sensor_see_passes_at_once(
    slow_hz: float, seed: int, jitter: float
) -> None:
    rows = aligned(struck(stream(slow_hz, seed, jitter), 0, [0, 1], 2.0))
    subject = GlitchFilter(CHANNELS, RATE_HZ)
    for row in rows:
        assert_same(subject.push(again(row)), [row])
    assert not subject.glitches


@given(st.sampled_from([60.0, 125.0, 254.0]), st.integers(0, 200))
def test_rows_are_let_go_at_once_when_another_sensor_jumps_too(slow_hz: float, seed: int) -> None:
    rows = aligned(struck(stream(slow_hz, seed), 0, [1], 2.0))
    subject = GlitchFilter(CHANNELS, RATE_HZ)
    held = next(i for i, row in enumerate(rows) if not len(subject.push(again(row))))
    following = rows[held + 1]
    assume(np.isnan(following.fresh[1]))  # the next sample is further away
    force = following.values + [0.0, 0.0, 5.0]
    seen = replace(following, values=force, fresh=np.array([np.nan, np.nan, force[2]]))
    assert_same(subject.push(again(seen)), [rows[held], seen])
    assert not subject.glitches
    assert subject.jumps == {CHANNELS[1]: 1, CHANNELS[2]: 1}


@given(SLOW_HZ, st.integers(0, 200), st.integers(2, 5))
def test_what_lasts_for_two_samples_of_a_slow_sensor_is_physical(
    slow_hz: float, seed: int, count: int
) -> None:
    rows = aligned(struck(stream(slow_hz, seed), 0, [0], 2.0, count))
    subject, out = settled(rows)
    assert not subject.glitches
    assert subject.jumps[CHANNELS[0]] >= 1
    assert_same(out, rows)


def test_after_a_motion_it_is_hard_of_hearing_no_longer_than_the_router() -> None:
    values = noise(2000)
    values[:1000] *= 20.0
    values[1450, 0] = 1.0  # 14 σ of the rest, less than 1 of the motion 0.9 s before
    subject, _ = filtered(values)
    assert subject.glitches == {CHANNELS[0]: 1}


@given(SLOW_HZ, st.integers(0, 200), st.floats(0, 0.9), st.floats(0, 0.1))
def test_many_rows_at_once_settle_as_each_alone(
    slow_hz: float, seed: int, jitter: float, share: float
) -> None:
    rng = np.random.default_rng(seed)
    samples = [
        (s, t, v + 5.0 * (rng.random(v.shape) < share / 4))
        for s, t, v in stream(slow_hz, seed, jitter)
        if rng.random() > share or (t // 10**8) % 3
    ]
    rows = aligned(samples)
    alone, at = GlitchFilter(CHANNELS, RATE_HZ), []
    out: list[Row] = []
    for i, row in enumerate(rows):
        given_out = alone.push(again(row))
        out += given_out
        at += [i] * len(given_out)
    at += [len(rows) - 1] * (len(rows) - len(at))
    out += alone.flush()
    together = GlitchFilter(CHANNELS, RATE_HZ)
    values, settled_at = together.run(table(rows), np.array([row.fresh for row in rows]))
    np.testing.assert_array_equal(values, table(out))
    np.testing.assert_array_equal(settled_at, at)
    assert (together.glitches, together.jumps) == (alone.glitches, alone.jumps)
