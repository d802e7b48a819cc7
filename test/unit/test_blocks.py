"""Messages taken in blocks of any size give what each alone gives, whatever there is among them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from recordings import PERIOD_NS, SECOND, START_NS, Message, imu, motion, wrench
from swung import handled, messages_of, swung_artifact

from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.results import Kept, Result
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact
from tao_lora_ros.model.label_filter import LabelFilter
from tao_lora_ros.signal.block import Block

SIZES = (1, 2, 3, 63, 64, 65, 1000, 100_000)
LIVE_SIZES = (4, 500)  # of a usual look, and after a node stood still


@cache
def shipped() -> Artifact:
    return load_artifact(default_artifact())


def struck(seconds: float = 4.0) -> list[Message]:
    return motion(seconds, impacts_s=(1.5, 2.2, seconds - 0.01))


def told(results: Sequence[Result], pipeline: Pipeline) -> list[str]:
    """All of it, to the last digit and byte."""
    with np.printoptions(threshold=10**9, floatmode="unique"):
        rows = [repr(result) for result in results]
    rows += [repr(result.received) for result in results if isinstance(result, Kept)]
    rows += [repr(pipeline.counts), repr(pipeline.intake.accounts), repr(pipeline.glitches)]
    sources = pipeline.intake.sources
    return [*rows, *(repr((s.notices, s.incomplete, s.frame_id)) for s in sources)]


def alone(messages: Sequence[Message], settings: Settings, artifact: Artifact) -> list[str]:
    pipeline = Pipeline(settings, artifact)
    out = [r for m in messages for r in pipeline.push(m.source, m.data, m.stamp_ns).results]
    out += pipeline.flush()
    pipeline.intake.finish()
    return told(out, pipeline)


def push_live(pipeline: Pipeline, block: Block) -> list[Result]:
    """As a node does with what it finds when it looks."""
    out, done = list[Result](), 0
    while done < len(block):
        begin = done
        done, brought = pipeline.push_some(block, begin)
        for number, pushed in brought:
            assert begin <= number < done
            out += pushed.results
    return out


def in_blocks(
    messages: Sequence[Message],
    settings: Settings,
    artifact: Artifact,
    size: int,
    push: Callable[[Pipeline, Block], list[Result]] = Pipeline.push_block,
) -> list[str]:
    pipeline, out = Pipeline(settings, artifact), list[Result]()
    for begin in range(0, len(messages), size):
        part = messages[begin : begin + size]
        out += push(pipeline, Block.of((m.source, m.stamp_ns, m.data) for m in part))
    out += pipeline.flush()
    pipeline.intake.finish()
    return told(out, pipeline)


def assert_alike(
    messages: Sequence[Message],
    sizes: Sequence[int] = (7, 100_000),
    settings: Settings | None = None,
    artifact: Artifact | None = None,
) -> None:
    settings, artifact = settings or Settings(backend="cpu"), artifact or shipped()
    expected = alone(messages, settings, artifact)
    for size in sizes:
        assert in_blocks(messages, settings, artifact, size) == expected
    for size in LIVE_SIZES:
        assert in_blocks(messages, settings, artifact, size, push_live) == expected


def test_blocks_of_every_size() -> None:
    assert_alike(struck(), SIZES)


def without(messages: Sequence[Message], source: int, from_s: float, to_s: float) -> list[Message]:
    span = START_NS + from_s * SECOND, START_NS + to_s * SECOND
    return [m for m in messages if m.source != source or not span[0] <= m.stamp_ns < span[1]]


@pytest.mark.parametrize("hole_s", [0.03, 0.08, 0.6])
def test_gaps(hole_s: float) -> None:
    assert_alike(without(struck(), 1, 1.4, 1.4 + hole_s))


def test_samples_that_overtake_each_other() -> None:
    messages, rng = struck(), random.Random(1)
    for _ in range(60):
        i = rng.randrange(len(messages) - 6)
        j = i + rng.randrange(1, 6)
        messages[i], messages[j] = messages[j], messages[i]
    assert_alike(messages)


def test_a_foot_in_the_air_bears_nothing() -> None:
    messages = [
        replace(m, data=wrench(m.stamp_ns, [0.0] * 6)) if m.source and i > 50 else m
        for i, m in enumerate(motion(0.5))
    ]
    assert_alike(messages, [100_000])
    pipeline = Pipeline(Settings(backend="cpu"), shipped())
    block = Block.of((m.source, m.stamp_ns, m.data) for m in messages)
    for number in range(100):
        pipeline.push(*block.message(number))
    _, taken = pipeline.intake.push_block(block, 100)
    assert taken > 110  # its messages need nobody to look at them


def test_a_clock_that_jumps_begins_anew() -> None:
    later = motion(2.0, impacts_s=(1.5,), start_ns=START_NS + 100 * SECOND)
    assert_alike([*struck(), *later, *struck(2.5)])


def refused(messages: Sequence[Message]) -> list[Message]:
    """Of each kind one or more among them."""
    out = list[Message]()
    for i, m in enumerate(messages):
        make = wrench if m.source else imu
        values = np.array([np.nan, 1, 9, 0, 0, 0]) if i % 2 else np.full(6, np.nan)
        odd = {
            300: m.data[:-20],
            400: m.data,  # twice
            500: make(m.stamp_ns + 1000, [1e9] * 6),
            600: make(m.stamp_ns + 1000, [1.0] * 6, "elsewhere"),
            700: make(m.stamp_ns + 300_000_000, [1.0] * 6),
            800: make(m.stamp_ns + 60 * SECOND, [1.0] * 6),
            900: make(m.stamp_ns + 1000, values),
            901: make(m.stamp_ns + 1001, values),
            1000: m.data[:4] + bytes(8) + m.data[12:],  # no stamp
            1100: make(m.stamp_ns + 1000, [1.0] * 6, order=">"),
            2950: make(m.stamp_ns + 1000, [1e9] * 6),  # in an event
        }.get(i)
        out += [m] if odd is None else [m, Message(m.source, m.stamp_ns, odd)]
    return out


def test_refused_messages_in_between() -> None:
    assert_alike(refused(struck()), (1, 7, 64, 100_000))


def test_another_frame_and_covariances_that_change() -> None:
    messages = struck()
    for i in range(2000, len(messages)):
        m = messages[i]
        if m.source:
            data = wrench(m.stamp_ns, np.frombuffer(m.data[-48:]), "tool_frame")
            messages[i] = replace(m, data=data)
        elif i > 3000:
            messages[i] = replace(m, data=imu(m.stamp_ns, [0.0, 0.1, 9.8, 0, 0, 0], gyro=False))
    assert_alike(messages)


def test_bursts_that_begin_on_the_way() -> None:
    messages = struck(5.0)
    for i, m in enumerate(messages):
        if not m.source and m.stamp_ns > START_NS + 2 * SECOND:
            came = -(-m.stamp_ns // 16_000_000) * 16_000_000 + 1000 * (i % 16)
            messages[i] = replace(m, data=imu(came, [i % 7, 0, 9.8, 0, 0, 0]))
    assert_alike(messages)


def test_glitches_within_and_across_blocks() -> None:
    messages = struck()
    for i in range(1001, len(messages), 301):
        m = messages[i]
        if m.source:
            values = np.frombuffer(m.data[-48:]).copy()
            values[i % 3] += 50.0
            messages[i] = replace(m, data=wrench(m.stamp_ns, values))
    assert_alike(messages, (1, 2, 64, 100_000))


def test_lasting_contacts_their_loads_and_learning() -> None:
    settings = Settings(backend="cpu", contact_wrench_hz=50.0)
    assert_alike(messages_of(handled()), (1, 300, 100_000), settings, swung_artifact())


def test_labels_that_hold_over_time() -> None:
    artifact = replace(shipped(), label_filter=LabelFilter(2.0, 10.0, 1.5))
    assert any(row.startswith("State(") for row in alone(struck(), Settings(), artifact))
    assert_alike(struck(), (7, 100_000), artifact=artifact)


def test_lags_that_are_taken_off() -> None:
    behind = [
        replace(m, data=wrench(m.stamp_ns - 303_700_000, np.frombuffer(m.data[-48:])))
        if m.source
        else m
        for m in struck()
    ]
    assert_alike(behind, settings=Settings(backend="cpu", auto_lags=True))
    assert_alike(behind)


def test_a_wrench_alone_slow_and_without_a_header_beside_a_fast_imu() -> None:
    out = [m for m in struck() if not m.source]
    settings = Settings(backend="cpu", wrench_types=("Wrench",))
    for at in range(START_NS, START_NS + 4 * SECOND, SECOND // 10):
        out.append(Message(1, at, bytes([0, 1, 0, 0]) + np.arange(6.0).tobytes()))
    assert_alike(sorted(out, key=lambda m: m.stamp_ns), settings=settings)


def test_a_slower_source_that_runs_ahead() -> None:
    out = [m for m in struck() if not m.source or m.stamp_ns // PERIOD_NS % 10 == 0]
    early = [replace(m, stamp_ns=m.stamp_ns - 80_000_000) if m.source else m for m in out]
    assert_alike(sorted(early, key=lambda m: m.stamp_ns))
