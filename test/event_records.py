"""Events for the store's tests."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import numpy as np
from recordings import imu, wrench

from tao_lora_ros.messages.raw_data import RawMessages, RawSamples
from tao_lora_ros.messages.results import Event, Kept, Phase, Size
from tao_lora_ros.preservation.event_record import OWN_TYPES, EventRecord, Topic
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.source import SourceConfig

MS = 1_000_000
T0 = 1_700_000_000_000_000_123
_PACK = {IMU: imu, WRENCH: wrench}
OWN = tuple(map(Topic, ("/robot/tao_lora/events", "/robot/tao_lora/event_samples"), OWN_TYPES))
SIZE = Size(0.02, 12.5, 0.125, nan, 3.5, nan, "wrench", "wrench_link", (0.0, 0.6, -0.8))
TOPICS = {"imu": Topic("/robot/imu", IMU), "wrench": Topic("/robot/ft/wrench", WRENCH)}


def raw(name: str, msgtype: str, stamps_ns: np.ndarray, seed: int = 0) -> RawSamples:
    """Samples of a source with these stamps."""
    values = np.random.default_rng(seed).normal(size=(len(stamps_ns), 6))
    channels = SourceConfig(name, msgtype).channels
    return RawSamples(name, f"{name}_link", channels, stamps_ns.astype(np.int64), values)


def messages(source: RawSamples, msgtype: str) -> RawMessages:
    """The messages that the samples are of."""
    pack = _PACK[msgtype]
    rows = zip(source.stamps_ns.tolist(), source.values.tolist(), strict=True)
    data = [pack(stamp, values, source.frame_id) for stamp, values in rows]
    return RawMessages(source.stamps_ns, tuple(data))


def event(
    sequence: int = 0,
    samples: int = 50,
    onset_ns: int = T0,
    sources: Sequence[RawSamples] | None = None,
    received: Sequence[RawMessages] | None = None,
    **changes: object,
) -> EventRecord:
    """An event of an Imu at 1 kHz and a wrench beside it, from 20 ms before its onset."""
    stamps = onset_ns - 20 * MS + np.arange(samples) * MS
    if sources is None:
        wrenches = raw("wrench", WRENCH, stamps + 137, sequence + 1)
        sources = raw("imu", IMU, stamps, sequence), wrenches
    topics = [TOPICS[source.source] for source in sources]
    if received is None:
        pairs = zip(sources, topics, strict=True)
        received = [messages(source, topic.msgtype) for source, topic in pairs]
    fields = dict(
        phase=Phase.END,
        sequence=sequence,
        frame_id="imu_link",
        onset_ns=onset_ns,
        peak_ns=onset_ns + 5 * MS,
        end_ns=onset_ns + 20 * MS,
        peak_score=3.25,
        channels=(("imu.accel_x", 0.75), ("wrench.force_z", 0.25)),
        regime_change=False,
        label="impact",
        probability=0.5,
        raw=tuple(sources),
        size=SIZE,
    )
    published = Event(**(fields | changes))
    return EventRecord.of(Kept(published, tuple(received)), topics, OWN)


def varied(sequence: int) -> EventRecord:
    """An event of 10 to 409 samples a source."""
    return event(sequence, 10 + sequence * 37 % 400)


def message_count(record: EventRecord) -> int:
    """All messages, the event's own two too."""
    return 2 + sum(len(messages.data) for _, messages in record.received)


def assert_equal(one: EventRecord, other: EventRecord) -> None:
    """Every field, every sample and every message, to the bit."""
    assert one.published == other.published
    assert_same_event(one.event, other.event)
    assert_same_messages(one, other)


def assert_same_event(one: Event, other: Event) -> None:
    """Every field and every sample, to the bit; `one` may have been a message, so FP32 in parts."""
    exact = set(vars(one)) - {"raw", "channels", "probability", "size"}
    assert repr(one.size) == repr(other.size)  # a NaN as text equals itself
    assert {n: getattr(one, n) for n in exact} == {n: getattr(other, n) for n in exact}
    assert one.probability == np.float32(other.probability)
    assert [name for name, _ in one.channels] == [name for name, _ in other.channels]
    np.testing.assert_array_equal(
        np.float32([share for _, share in one.channels]),
        np.float32([share for _, share in other.channels]),
    )
    assert len(one.raw) == len(other.raw)
    for left, right in zip(one.raw, other.raw, strict=True):
        assert (left.source, left.frame_id) == (right.source, right.frame_id)
        assert left.channels == right.channels
        np.testing.assert_array_equal(left.stamps_ns, right.stamps_ns)
        np.testing.assert_array_equal(left.values, right.values)


def assert_same_messages(one: EventRecord, other: EventRecord) -> None:
    """Topic, order, time and bytes of all that was received."""
    assert [topic for topic, _ in one.received] == [topic for topic, _ in other.received]
    for (_, left), (_, right) in zip(one.received, other.received, strict=True):
        assert left.data == right.data
        np.testing.assert_array_equal(left.times_ns, right.times_ns)
