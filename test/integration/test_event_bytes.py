"""Events packed by hand are what rclpy reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.messages.event_bytes import event_bytes, samples_bytes
from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Event, Phase, Size

serialization = pytest.importorskip("rclpy.serialization", reason="rclpy is not installed")
messages = pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
pytestmark = pytest.mark.ros
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
stamps = st.integers(0, 2**31 * 10**9 - 1)
numbers = st.floats()
singles = st.floats(0, 1, width=32)


@st.composite
def raw_samples(draw) -> RawSamples:
    channels = tuple(draw(st.lists(texts, min_size=1, max_size=3)))
    stamps_ns = np.array(draw(st.lists(stamps, max_size=5)), dtype=np.int64)
    count = len(stamps_ns) * len(channels)
    values = draw(st.lists(st.floats(allow_nan=False), min_size=count, max_size=count))
    shaped = np.array(values, np.float64).reshape(-1, len(channels))
    return RawSamples(draw(texts), draw(texts), channels, stamps_ns, shaped)


events = st.builds(
    Event,
    phase=st.sampled_from(Phase),
    sequence=st.integers(0, 2**32 - 1),
    frame_id=texts,
    onset_ns=stamps,
    peak_ns=stamps,
    end_ns=stamps,
    peak_score=st.floats(allow_nan=False),
    channels=st.lists(st.tuples(texts, singles), max_size=4).map(tuple),
    label=texts,
    probability=singles,
    raw=st.lists(raw_samples(), max_size=3).map(tuple),
    regime_change=st.booleans(),
    size=st.builds(
        Size,
        **dict.fromkeys(("duration", "peak_force", "impulse", "peak_torque"), numbers),
        **dict.fromkeys(("acceleration_change", "mean_load"), numbers),
        **dict.fromkeys(("sensor", "frame_id"), texts),
        direction=st.tuples(numbers, numbers, numbers),
    ),
)


@given(event=events)
def test_rclpy_reads_it(event: Event) -> None:
    from tao_lora_ros.messages.from_message import event_from

    types = (event_bytes, messages.TransientEvent), (samples_bytes, messages.EventSamples)
    message, samples = (
        serialization.deserialize_message(pack(event), kind) for pack, kind in types
    )
    read = event_from(message, samples)
    assert event_from(message).raw == ()
    assert (samples.header, samples.sequence) == (message.header, message.sequence)
    assert samples.phase == message.phase
    assert repr(read.size) == repr(event.size)
    for field in ("phase", "sequence", "frame_id", "onset_ns", "peak_ns", "end_ns", "peak_score"):
        assert getattr(read, field) == getattr(event, field)
    assert (read.channels, read.label) == (event.channels, event.label)
    assert (read.probability, read.regime_change) == (event.probability, event.regime_change)
    assert message.kind == event.kind
    for found, sent in zip(read.raw, event.raw, strict=True):
        assert (found.source, found.frame_id) == (sent.source, sent.frame_id)
        assert found.channels == sent.channels
        np.testing.assert_array_equal(found.stamps_ns, sent.stamps_ns)
        np.testing.assert_array_equal(found.values, sent.values)
    for found in (message, samples):
        again = serialization.serialize_message(found)  # padding may hold anything, so by content
        assert repr(serialization.deserialize_message(again, type(found))) == repr(found)
