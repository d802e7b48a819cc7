"""Messages of every input type, one after the other, as DDS or a bag hand them over."""

from __future__ import annotations

from itertools import count

import numpy as np
from recordings import START_NS, bare_wrench, force, imu, joint_state, wrench

from tao_lora_ros.signal.cdr import BARE_WRENCH, FORCE, IMU, JOINT_STATE, WRENCH
from tao_lora_ros.signal.source import ClockJump, FrameChange, Source, SourceConfig

PARTS = tuple(f"tao_lora_ros.signal.{name}" for name in ("cdr", "efforts", "source", "order"))
_JOINTS = ("elbow", "wrist")
_CONFIGS = (
    SourceConfig("imu", IMU),
    SourceConfig("wrench", WRENCH),
    SourceConfig("force", FORCE),
    SourceConfig("bare", BARE_WRENCH),
    SourceConfig("joints", JOINT_STATE, joints=_JOINTS),
)
_sources = [Source(config, 5.0) for config in _CONFIGS]
_taken = [0] * len(_CONFIGS)
_clock = count(START_NS, 1_000_000)


def seeds() -> list[bytes]:
    """A good message of each type in both byte orders; the first byte is the type."""
    good = []
    for order in "<>":
        good += [pack(START_NS, order=order) for pack in (imu, wrench, force)]
        good.append(bare_wrench(order=order))
        efforts = dict(zip(_JOINTS, (1.0, 2.0), strict=True))
        good.append(joint_state(START_NS, efforts, little_endian=order == "<"))
    return [bytes([i % len(_CONFIGS)]) + data for i, data in enumerate(good)]


def one(data: bytes) -> None:
    """Whatever comes is taken, held, refused or passed over, and counted once."""
    which = data[0] % len(_CONFIGS) if data else 0
    source, message = _sources[which], data[1:]
    try:
        outcomes = source.accept(message, next(_clock))
    except (ClockJump, FrameChange):  # the message comes again
        source.restart()
        outcomes = source.accept(message, next(_clock))
    for _, sample in outcomes:
        if sample is not None:
            _taken[which] += 1
            assert sample.values.shape == (len(source.config.channels),)
            assert not np.isnan(sample.values).all()
            assert np.nan_to_num(np.abs(sample.values)).max() <= 1e7
    assert source.reason.isprintable()
    assert len(source.reason) < 1000
