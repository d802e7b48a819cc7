"""Events for the store's tests."""

from __future__ import annotations

import numpy as np

from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.outlier_buffer import RawSamples
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.source import SourceConfig

MS = 1_000_000
T0 = 1_700_000_000_000_000_123


def raw(name: str, msgtype: str, stamps_ns: np.ndarray, seed: int = 0) -> RawSamples:
    """Samples of a source with these stamps."""
    values = np.random.default_rng(seed).normal(size=(len(stamps_ns), 6))
    channels = SourceConfig(name, msgtype).channels
    return RawSamples(name, f"{name}_link", channels, stamps_ns.astype(np.int64), values)


def event(
    sequence: int = 0, samples: int = 50, onset_ns: int = T0, **changes: object
) -> EventRecord:
    """An event of an Imu at 1 kHz and a wrench beside it, from 20 ms before its onset."""
    stamps = onset_ns - 20 * MS + np.arange(samples) * MS
    fields = dict(
        sequence=sequence,
        frame_id="imu_link",
        onset_ns=onset_ns,
        peak_ns=onset_ns + 5 * MS,
        end_ns=onset_ns + 20 * MS,
        peak_score=3.25,
        channels=(("imu.accel_x", 0.75), ("wrench.force_z", 0.25)),
        kind=1,
        regime_change=False,
        label="impact",
        probability=0.5,
        raw=(raw("imu", IMU, stamps, sequence), raw("wrench", WRENCH, stamps + 137, sequence + 1)),
    )
    return EventRecord(**(fields | changes))


def varied(sequence: int) -> EventRecord:
    """An event of 10 to 409 samples a source."""
    return event(sequence, 10 + sequence * 37 % 400)


def assert_equal(one: EventRecord, other: EventRecord) -> None:
    """Every field and every sample, to the bit."""
    exact = set(vars(one)) - {"raw", "channels", "probability"}
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
