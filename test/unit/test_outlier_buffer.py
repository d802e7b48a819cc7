"""The newest raw samples, at their own stamps."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.preservation.outlier_buffer import OutlierBuffer

CHANNELS = ("imu.accel_x", "imu.accel_y")
MS = 1_000_000


def buffer(stamps_ms: list[int], lag_s: float = 0.0, keep_s: float = 1.0) -> OutlierBuffer:
    subject = OutlierBuffer("imu", CHANNELS, lag_s, keep_s)
    for stamp in stamps_ms:
        subject.push(stamp * MS, np.array([float(stamp), -float(stamp)]))
    return subject


def test_cut_includes_both_ends_and_carries_the_names() -> None:
    raw = buffer([0, 10, 20, 30, 40]).cut(10 * MS, 30 * MS, "imu_link")
    assert (raw.source, raw.frame_id, raw.channels) == ("imu", "imu_link", CHANNELS)
    assert raw.stamps_ns.tolist() == [10 * MS, 20 * MS, 30 * MS]
    assert raw.values.tolist() == [[10.0, -10.0], [20.0, -20.0], [30.0, -30.0]]
    assert (raw.stamps_ns.dtype, raw.values.dtype) == (np.int64, np.float64)


def test_cut_takes_times_without_the_lag_and_gives_stamps_as_sent() -> None:
    raw = buffer([0, 10, 20, 30], lag_s=0.010).cut(0, 10 * MS, "")
    assert raw.stamps_ns.tolist() == [10 * MS, 20 * MS]


def test_a_cut_without_samples_keeps_its_shape() -> None:
    raw = buffer([0, 10]).cut(100 * MS, 200 * MS, "")
    assert raw.stamps_ns.shape == (0,)
    assert raw.values.shape == (0, 2)


def test_clear_forgets_all() -> None:
    subject = buffer([0, 10])
    subject.clear()
    assert not subject.cut(0, 10**12, "").stamps_ns.size


@given(steps=st.lists(st.integers(1, 400), min_size=1, max_size=60))
def test_keeps_exactly_what_is_young_enough(steps: list[int]) -> None:
    stamps = np.cumsum(steps).tolist()
    kept = buffer(stamps).cut(0, 10**15, "").stamps_ns // MS
    assert kept.tolist() == [stamp for stamp in stamps if stamp >= stamps[-1] - 1000]
