"""Events that push a sensor once, for the tests of what is drawn of them."""

from __future__ import annotations

import numpy as np

from tao_lora_ros.contact.event_size import Span, size_of
from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Event, Phase
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.source import SourceConfig

MS = 1_000_000
STAMPS = np.arange(-60, 30, dtype=np.int64) * MS  # the onset at 0


def raw(name: str, msgtype: str, rest: tuple, push: tuple, at: int = 65) -> RawSamples:
    """A source at `rest`, its first three channels pushed once, in sample `at`."""
    values = np.tile(np.array([*rest, 0.0, 0.0, 0.0]), (len(STAMPS), 1))
    values[at, :3] += push
    return RawSamples(name, f"{name}_link", SourceConfig(name, msgtype).channels, STAMPS, values)


def event(*sources: RawSamples, phase: Phase = Phase.END) -> Event:
    end_ns = 29 * MS if phase is Phase.END else 0
    return Event(
        phase, 3, "imu_link", 0, 5 * MS, end_ns, 2.34, (), "impact", 0.876, sources,
        size=size_of(sources, Span(0, 29 * MS)),
    )  # fmt: skip


IMU_RAW = raw("imu", IMU, (0.0, 0.0, 9.81), (50.0, 0.0, 0.0))
WRENCH_RAW = raw("wrench", WRENCH, (0.0, 0.0, -20.0), (0.0, 3.0, 4.0))
