"""Sensor messages for a load: packed once, stamped as they are sent."""

from __future__ import annotations

import struct

import numpy as np

from tao_lora_ros.bags.writer import SourceRecording, serialised
from tao_lora_ros.messages.stamps import split
from tao_lora_ros.signal.cdr import IMU, WRENCH

# Standard deviations of noise, as of common sensors: m/s², rad/s; N, Nm.
SPREAD = {IMU: (0.05,) * 3 + (0.005,) * 3, WRENCH: (0.2,) * 3 + (0.01,) * 3}
IMPACT_EVERY_S = 1.0
_IMPACT_SIGMA = 60.0
_DECAY_S = 0.005
_RINGING = 800.0  # rad/s
_REPEAT_S = 4.0
_STAMP = struct.Struct("<iI")
_BEFORE, _AFTER = 4, 12  # where the stamp lies in the bytes


def msgtype_of(name: str) -> str:
    """An Imu where the name says so, else a wrench."""
    return IMU if name.startswith("imu") else WRENCH


class Stream:
    """Messages of one source: noise, and an impact every `IMPACT_EVERY_S` but every fourth."""

    def __init__(self, name: str, rate_hz: float) -> None:
        self.name = name
        self.msgtype = msgtype_of(name)
        count = round(_REPEAT_S * rate_hz)
        since_s = np.arange(count) / rate_hz % IMPACT_EVERY_S
        ringing = np.exp(-since_s / _DECAY_S) * np.cos(_RINGING * since_s)
        ringing[since_s == np.arange(count) / rate_hz] = 0.0  # the first stretch is calm
        noise = np.random.default_rng(sum(name.encode())).standard_normal((count, 6))
        values = np.array(SPREAD[self.msgtype]) * (noise + _IMPACT_SIGMA * ringing[:, None])
        stamps = np.zeros(count, dtype=np.int64)
        recording = SourceRecording(f"/{name}", self.msgtype, f"{name}_link", stamps, values)
        packed = serialised(recording)
        self._head = bytes(packed[0, :_BEFORE])
        self._tails = [bytes(message[_AFTER:]) for message in packed]

    def message(self, stamp_ns: int, number: int) -> bytes:
        """The bytes of message `number`, stamped."""
        stamp = _STAMP.pack(*split(stamp_ns))
        return self._head + stamp + self._tails[number % len(self._tails)]
