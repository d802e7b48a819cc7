"""Results out of messages: the way back from `event_bytes` and `inference_bytes`.

A message is one of rclpy or of rosbags, which have the same fields. FP32 fields come back as FP32
holds them.
"""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np

from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Event, Inference, Kind, Phase, Size
from tao_lora_ros.messages.route import Route
from tao_lora_ros.messages.stamps import stamp_of


def inference_from(message: Any) -> Inference:
    """The inference of an Inference message."""
    return Inference(
        stamp_ns=stamp_of(message.header.stamp),
        frame_id=message.header.frame_id,
        path=Route(message.path),
        score=message.score,
        probabilities=tuple(message.probabilities),
        forecast_error=message.forecast_error,
        window_start_ns=stamp_of(message.window_start),
        window_end_ns=stamp_of(message.window_end),
    )


def event_from(message: Any, samples: Any = None) -> Event:
    """The event of a TransientEvent message and, where there is one, its EventSamples message.

    Messages of earlier versions are read too: they held their samples, and sizes were not known.

    Raises:
        ValueError: its phase or kind is none, or its samples do not fit its channels.
    """
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
        raw=tuple(raw_from(raw) for raw in getattr(samples or message, "raw", ())),
        regime_change=message.regime_change,
        kind=Kind(message.kind),
        size=_size_from(message),
        reason=getattr(message, "reason", ""),
    )


def _size_from(message: Any) -> Size:
    if not hasattr(message, "sensor_frame_id"):
        return Size(mean_load=getattr(message, "mean_load", 0.0) or nan)
    direction = message.direction
    return Size(
        duration=message.duration,
        peak_force=message.peak_force,
        impulse=message.impulse,
        peak_torque=message.peak_torque,
        acceleration_change=message.acceleration_change,
        mean_load=message.mean_load,
        sensor=message.sensor,
        frame_id=message.sensor_frame_id,
        direction=(direction.x, direction.y, direction.z),
    )


def raw_from(message: Any) -> RawSamples:
    """The samples of a RawSamples message."""
    stamps_ns = [stamp_of(stamp) for stamp in message.stamps]
    values = np.array(message.values, dtype=np.float64)
    return RawSamples(
        source=message.source,
        frame_id=message.frame_id,
        channels=tuple(message.channels),
        stamps_ns=np.array(stamps_ns, dtype=np.int64),
        values=values.reshape(-1, len(message.channels)),
    )
