"""Eight sources of eight rates go through alignment, analyzer and router together."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tao_lora_ros.detection.calibration import calibrated, uncalibrated
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.router import Change, RouterConfig
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import aligner_for, source_configs

GRID_HZ = 500.0
SETTINGS = Settings(
    imus=("i1", "i2", "i3", "i4"),
    imu_lags_s=(0.0,) * 4,
    wrenches=("w1", "w2", "w3", "w4"),
    wrench_lags_s=(0.0,) * 4,
)
CONFIGS = source_configs(SETTINGS)
CHANNELS = tuple(channel for config in CONFIGS for channel in config.channels)
RATES_HZ = (100.0, 254.0, 400.0, 1000.0, 125.0, 333.0, 698.0, 4000.0)
STD = np.array([0.05] * 3 + [0.005] * 3), np.array([0.2] * 3 + [0.01] * 3)
ROUTER = RouterConfig(off_score=0.7, hold_rows=32, max_transient_rows=1000)
CHANGED_S, STRUCK_S, END_S = 2.0, 12.5, 13.0  # a level's memory, 10 s, lies between


def rows(
    seconds: float, seed: int, later_hz: dict[int, float] | None = None, struck: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Times (ns) and aligned rows; some sources change their rate at `CHANGED_S`."""
    rng = np.random.default_rng(seed)
    messages = []
    for source, rate_hz in enumerate(RATES_HZ):
        change_s = CHANGED_S if later_hz and source in later_hz else seconds
        after_hz = (later_hz or {}).get(source, rate_hz)
        times_s = np.concatenate(
            (np.arange(0.0, change_s, 1 / rate_hz), np.arange(change_s, seconds, 1 / after_hz))
        )
        values = rng.normal(size=(len(times_s), 6))
        if struck:
            since_s = times_s - STRUCK_S
            values += 60 * ((since_s >= 0) * np.exp(-np.maximum(since_s, 0) / 0.01))[:, None]
        stamps = np.round(times_s * 1e9).astype(int).tolist()
        std = STD[source >= 4]
        messages += [(t, source, row) for t, row in zip(stamps, values * std, strict=True)]
    messages.sort(key=lambda message: message[:2])
    aligner = aligner_for(CONFIGS, SETTINGS, GRID_HZ)
    out = [row for t, source, values in messages for row in aligner.push(source, t, values)]
    return np.array([row.time_ns for row in out]), np.array([row.values for row in out])


@pytest.fixture(scope="module")
def detector() -> Detector:
    steady = [rows(12.0, seed)[1] for seed in (1, 2)]
    base = uncalibrated(CHANNELS, GRID_HZ)
    return Detector(calibrated(base, steady, GRID_HZ, alarms_per_hour=1.0)[0], ROUTER)


def onsets_s(detector: Detector, times: NDArray[np.int64], values: NDArray[np.float64]):
    detector.clear()
    return [
        transient.onset_ns * 1e-9
        for _, change, transient in detector.run(times, values)
        if change is Change.ONSET and transient
    ]


def test_every_row_has_every_channel_and_steady_motion_raises_nothing(detector: Detector) -> None:
    times, values = rows(END_S, 3)
    assert values.shape[1] == 48
    settled = times > 0.1e9  # until then the slowest have sent too little
    assert not np.isnan(values[settled]).any()
    assert (np.diff(times) == 2_000_000).all()
    assert onsets_s(detector, times, values) == []


def test_a_blow_on_all_is_one_transient_at_its_time(detector: Detector) -> None:
    found = onsets_s(detector, *rows(END_S, 4, struck=True))
    assert len(found) == 1
    # The interpolation of the slowest source reaches one of its periods back.
    assert STRUCK_S - 0.01 <= found[0] <= STRUCK_S + 0.006


@pytest.mark.parametrize(
    "later_hz",
    [{0: 400.0}, {3: 100.0}, {7: 250.0}, {1: 1000.0, 6: 125.0}],
    ids=["imu up", "imu down", "wrench down", "both"],
)
def test_a_rate_that_changes_in_mid_stream_is_got_used_to(
    detector: Detector, later_hz: dict[int, float]
) -> None:
    """Noise that comes in bursts may pass for transients, for seconds; then a blow is found."""
    times, values = rows(END_S, 5, later_hz, struck=True)
    assert (np.diff(times) == 2_000_000).all()
    assert not np.isnan(values[times > 0.1e9]).any()
    found = onsets_s(detector, times, values)
    assert STRUCK_S - 0.01 <= found[-1] <= STRUCK_S + 0.006
    assert len(found) <= 4
    assert all(CHANGED_S - 0.1 < onset < STRUCK_S - 5.0 for onset in found[:-1])
