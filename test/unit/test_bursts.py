"""Samples that come out of a driver's buffer at once are spread to when they were taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import small_artifact
from numpy.typing import NDArray
from recordings import PERIOD_NS, SECOND, START_NS, Message, imu, motion, wrench

from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.results import Event, Phase
from tao_lora_ros.model.artifact import default_artifact, load_artifact
from tao_lora_ros.signal.cdr import IMU, decode_imu, decode_wrench
from tao_lora_ros.signal.source import Source, SourceConfig

MS = 1_000_000


def arrivals(taken: NDArray[np.int64], latency_ns: int, jitter_ns: int, seed: int) -> list[int]:
    """When samples come that are handed over together, once in a latency time."""
    rng = np.random.default_rng(seed)
    flush = -(-taken // latency_ns)
    late = rng.integers(0, jitter_ns + 1, flush[-1] - flush[0] + 1)
    return (flush * latency_ns + late[flush - flush[0]]).tolist()


def spread(stamps: list[int]) -> tuple[Source, NDArray[np.int64]]:
    """The stamps that a source gives out; no two messages are alike."""
    source = Source(SourceConfig("imu", IMU), jump_s=5.0)
    given_out = [
        sample.stamp_ns
        for i, stamp in enumerate(stamps)
        for _, sample in source.accept(imu(stamp, [0, 0, 9.81, 0, 0, i + 1]))
        if sample
    ]
    return source, np.array(given_out)


@given(
    period_us=st.integers(900, 5000),
    latency_ms=st.sampled_from([8, 16]),
    jitter_us=st.integers(0, 500),
    seed=st.integers(0, 100),
)
def test_bursts_are_spread_to_where_they_were_taken(
    period_us: int, latency_ms: int, jitter_us: int, seed: int
) -> None:
    taken = START_NS + np.arange(2000) * period_us * 1000
    source, out = spread(arrivals(taken, latency_ms * MS, jitter_us * 1000, seed))
    assert not source.rejected
    assert len(out) == 2000
    assert (np.diff(out) > 0)[600:].all()
    settled = (out - taken)[600:]
    period_ns = period_us * 1000
    assert np.abs(np.diff(out)[600:] - period_ns).max() < 0.25 * period_ns
    assert np.ptp(settled) < period_ns + 2 * jitter_us * 1000
    assert len(source.notices) == 1
    assert source.notices[0].startswith("stamps come in bursts of ")


@pytest.mark.parametrize("rate_hz", [50, 125, 500, 1000])
def test_clumps_of_any_size_are_spread_to_where_they_were_taken(rate_hz: int) -> None:
    """As a wireless link hands them over, 50 to 200 ms apart."""
    rng = np.random.default_rng(rate_hz)
    taken = START_NS + np.arange(9 * rate_hz) * (SECOND // rate_hz)
    ends = START_NS + np.cumsum(rng.uniform(50 * MS, 200 * MS, 400)).astype(np.int64)
    clump = np.searchsorted(ends, taken)
    within = np.arange(len(taken)) - np.searchsorted(clump, clump)
    _, out = spread((ends[clump] + within * 30_000).tolist())
    off = out[-3 * rate_hz :] - taken[-3 * rate_hz :]
    assert np.ptp(off) < max(15 * MS, 2 * SECOND // rate_hz)


@given(
    period_us=st.integers(500, 50_000),
    jitter=st.floats(0, 0.9),
    lost=st.floats(0, 0.2),
    seed=st.integers(0, 100),
)
def test_jitter_and_holes_are_no_bursts(
    period_us: int, jitter: float, lost: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    times = (np.arange(600) + jitter * rng.random(600)) * period_us * 1000
    stamps = (START_NS + times[rng.random(600) >= lost]).astype(np.int64)
    stamps[len(stamps) // 2 :] += 900 * MS  # and it pauses
    source, out = spread(stamps.tolist())
    assert out.tolist() == stamps.tolist()[: len(out)]
    assert not source.notices


def test_a_source_that_comes_to_rest_is_left_alone_again() -> None:
    taken = START_NS + np.arange(3000) * PERIOD_NS
    stamps = arrivals(taken[:1000], 16 * MS, 0, 0) + (taken[1000:] + 20 * MS).tolist()
    _, out = spread(stamps)
    assert out[-1000:].tolist() == stamps[-1000:]


def usb(messages: list[Message], step_ns: int) -> list[Message]:
    """The Imu behind a USB adapter: eight samples each 16 ms, `step_ns` apart."""
    taken = np.array([m.stamp_ns for m in messages if m.source == 0])
    stamps = iter(arrivals(taken, 16 * MS, 0, 0))
    out, at, number = [], 0, 0
    for m in messages:
        if m.source == 0:
            stamp = next(stamps)
            number = number + 1 if stamp == at else 0
            at = stamp
            stamp += number * step_ns
            m = Message(0, stamp, imu(stamp, decode_imu(m.data).values))
        out.append(m)
    return sorted(out, key=lambda m: m.stamp_ns)


@pytest.mark.parametrize("step_ns", [0, 3_000])
def test_bursts_raise_no_alarms_and_an_impact_is_found(step_ns: int) -> None:
    pipeline = Pipeline(Settings(), small_artifact())
    messages = usb(motion(12.0, [10.0], seed=3), step_ns)
    found = [r for m in messages for r in pipeline.push(m.source, m.data).results]
    onsets = {r.onset_ns for r in found if isinstance(r, Event)}
    settled = [onset for onset in onsets if onset > START_NS + 2 * SECOND]
    assert len(settled) == 1
    assert abs(settled[0] - START_NS - 10 * SECOND) < 20 * MS
    assert not pipeline.intake.rejected


def test_a_wrench_may_come_in_bursts_too() -> None:
    messages = [m for m in motion(2.0) if m.source == 1]
    stamps = arrivals(np.array([m.stamp_ns for m in messages]), 16 * MS, 0, 0)
    pipeline = Pipeline(Settings(), small_artifact())
    for i, stamp in enumerate(stamps):
        pipeline.push(1, wrench(stamp, [0, 0, i + 1.0, 0, 0, 0]))
    assert pipeline.intake.sources[1].notices


@pytest.mark.parametrize("source", [0, 1])
def test_recorded_taps_are_found_behind_a_usb_adapter_too(data_folder: Path, source: int) -> None:
    """The same four as without, and no others; a burst's samples are 30 us apart."""
    bag = data_folder / "kuka_ft_imu" / "ros2bag_2-vibrations"
    if not bag.exists():
        pytest.skip(f"{bag} does not exist")
    with BagReader(bag, source_configs(Settings())) as reader:
        messages = [Message(*message) for message in reader.messages()]
    smooth, bursts = (
        run_default(given_out) for given_out in (messages, behind_usb(messages, source))
    )
    assert len(bursts) == len(smooth) == 4
    assert max(abs(a - b) for a, b in zip(smooth, bursts, strict=True)) < 20 * MS


def behind_usb(messages: list[Message], source: int) -> list[Message]:
    decode, make = ((decode_imu, imu), (decode_wrench, wrench))[source]
    out, at, number = [], 0, 0
    for m in messages:
        if m.source == source:
            sample = decode(m.data)
            (stamp,) = arrivals(np.array([sample.stamp_ns]), 16 * MS, 0, 0)
            number = number + 1 if stamp == at else 0
            at = stamp
            stamp += number * 30_000
            absent = {} if source else {"gyro": bool(np.isfinite(sample.values[3]))}
            m = Message(source, stamp, make(stamp, sample.values, **absent))
        out.append(m)
    return sorted(out, key=lambda m: m.stamp_ns)


def run_default(messages: list[Message]) -> list[int]:
    """Onsets by the artifact that ships."""
    pipeline = Pipeline(Settings(), load_artifact(default_artifact()))
    found = [r for m in messages for r in pipeline.push(m.source, m.data, m.stamp_ns).results]
    return [r.onset_ns for r in found if isinstance(r, Event) and r.phase is Phase.ONSET]
