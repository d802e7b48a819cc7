"""What router and contacts remember comes back whole, and what is forged does not come in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recordings import motion

from tao_lora_ros.detection.snapshot import packed, restore
from tao_lora_ros.engine.checkpoints import Checkpoints
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.router_state import state_bytes, state_from
from tao_lora_ros.model.artifact import default_artifact, load_artifact

_RING = 25


@pytest.fixture(scope="module")
def used() -> Pipeline:
    """One that has seen two seconds with a blow."""
    pipeline = Pipeline(Settings(), load_artifact(default_artifact()))
    for message in motion(2.0, impacts_s=(1.5,), seed=1):
        pipeline.push(message.source, message.data)
    return pipeline


def fresh() -> Pipeline:
    return Pipeline(Settings(), load_artifact(default_artifact()))


def test_what_was_packed_is_restored_and_scores_alike(used: Pipeline) -> None:
    other, memory = fresh(), used._signals.detector.memory
    restore(other._signals.detector.memory, packed(memory), _RING)
    rows = np.random.default_rng(0).normal(size=(200, len(used.artifact.channels)))
    for at, row in enumerate(rows):
        time_ns = used._tracking.newest_ns + 2_000_000 * (at + 1)
        assert other._signals.detector.push(time_ns, row) == used._signals.detector.push(
            time_ns, row
        )


@pytest.mark.parametrize("bad", [-1, 2**63 - 1])
def test_lengths_and_places_stay_the_own_and_counters_are_possible(
    used: Pipeline, bad: int
) -> None:
    """The compiled loops check no index."""
    memory = used._signals.detector.memory
    before, refused = packed(memory), 0
    for at, array in enumerate(memory):
        for name in array.dtype.names or ():
            if array.dtype[name].kind != "i":
                continue
            forged = [part.copy() for part in memory]
            forged[at][name] = bad
            try:
                restore(memory, packed(forged), _RING)
            except ValueError:
                refused += 1
            assert packed(memory) == before
    assert refused > 10


@given(seed=st.integers(0, 2**32 - 1), zeroed=st.integers(0, 40_000))
@example(seed=0, zeroed=35_955)  # variances of 0
def test_any_bytes_leave_a_router_that_works(seed: int, zeroed: int) -> None:
    pipeline = _SHARED
    size = sum(array.nbytes for array in pipeline._signals.detector.memory)
    forged = bytearray(np.random.default_rng(seed).bytes(size))
    forged[:zeroed] = bytes(min(zeroed, size))
    try:
        restore(pipeline._signals.detector.memory, bytes(forged), _RING)
    except ValueError:
        return
    pipeline._signals.detector.push(1, np.zeros(len(pipeline.artifact.channels)))


_SHARED = fresh()


def test_other_shapes_and_other_calibrations_are_refused(used: Pipeline) -> None:
    with pytest.raises(ValueError, match="other channels"):
        restore(used._signals.detector.memory, b"too short", _RING)
    checkpoints = Checkpoints(used.artifact)
    checkpoints.take(5, used._signals.detector, used._signals.contacts)
    state = checkpoints.before(6)
    assert state is not None
    assert checkpoints.before(5) is None
    checkpoints.expect([state.data, bytes(16) + state.data[16:], b""])
    assert checkpoints.refused == ["it was stored with another model or calibration"]
    assert checkpoints.due(4) is None
    assert checkpoints.due(5) == state.data[24:]
    assert checkpoints.due(5) is None


def test_the_message_gives_the_state_back() -> None:
    assert state_from(state_bytes(b"abc")) == b"abc"
    for bad in (b"", bytes(4) + b"\1" + bytes(15)):
        with pytest.raises(ValueError, match="not a router state"):
            state_from(bad)
