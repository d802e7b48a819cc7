"""Between the engine's results and the package's messages, both ways."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time

from tao_lora_ros.engine.results import Event, Inference, Phase
from tao_lora_ros.msg import Inference as InferenceMessage
from tao_lora_ros.msg import RawSamples as RawSamplesMessage
from tao_lora_ros.msg import TransientEvent
from tao_lora_ros.preservation.outlier_buffer import RawSamples
from tao_lora_ros.router.router import Path

_SECOND = 1_000_000_000


def time_message(stamp_ns: int) -> Time:
    """Time of a stamp in ns."""
    return Time(sec=stamp_ns // _SECOND, nanosec=stamp_ns % _SECOND)


def stamp_of(time: Time) -> int:
    """Stamp in ns of a Time."""
    return int(time.sec) * _SECOND + int(time.nanosec)


def inference_from_message(message: InferenceMessage) -> Inference:
    """Undo `inference_bytes`; floats come back as FP32 holds them."""
    return Inference(
        stamp_ns=stamp_of(message.header.stamp),
        frame_id=message.header.frame_id,
        path=Path(message.path),
        score=message.score,
        probabilities=tuple(message.probabilities),
        forecast_error=message.forecast_error,
        window_start_ns=stamp_of(message.window_start),
        window_end_ns=stamp_of(message.window_end),
    )


def event_from_message(message: TransientEvent) -> Event:
    """Undo `event_bytes`; floats come back as FP32 holds them."""
    return Event(
        phase=Phase(message.phase),
        sequence=message.sequence,
        frame_id=message.header.frame_id,
        onset_ns=stamp_of(message.onset),
        peak_ns=stamp_of(message.peak),
        end_ns=stamp_of(message.end),
        peak_score=message.peak_score,
        channels=tuple(zip(message.channels, map(float, message.shares), strict=True)),
        label=message.label,
        probability=message.probability,
        raw=tuple(_raw_from_message(raw) for raw in message.raw),
        regime_change=message.regime_change,
    )


def _raw_from_message(message: RawSamplesMessage) -> RawSamples:
    values = np.array(message.values, dtype=np.float64).reshape(-1, len(message.channels))
    return RawSamples(
        source=message.source,
        frame_id=message.frame_id,
        channels=tuple(message.channels),
        stamps_ns=np.array([stamp_of(stamp) for stamp in message.stamps], dtype=np.int64),
        values=values,
    )
