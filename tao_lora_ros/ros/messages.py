"""Between the engine's results and the package's messages, both ways."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Duration, Time

from tao_lora_ros.engine.results import Event, Inference, Phase
from tao_lora_ros.model.artifact import Artifact
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


class InferencePacker:
    """Makes the messages of one artifact's inferences.

    One message is filled again and again, for publishing copies it and most of it never changes.
    """

    def __init__(self, artifact: Artifact) -> None:
        self._message = InferenceMessage(
            model_id=artifact.model_id, model_version=artifact.version, labels=artifact.labels
        )

    def pack(self, result: Inference, latency_ns: int) -> InferenceMessage:
        """The message of an inference, `latency_ns` after the newest sample's arrival.

        It is valid until the next call.
        """
        message = self._message
        message.header.stamp = time_message(result.stamp_ns)
        message.header.frame_id = result.frame_id
        message.path = int(result.path)
        message.score = result.score
        message.probabilities = result.probabilities
        message.forecast_error = result.forecast_error
        message.window_start = time_message(result.window_start_ns)
        message.window_end = time_message(result.window_end_ns)
        message.latency = Duration(sec=latency_ns // _SECOND, nanosec=latency_ns % _SECOND)
        return message


def inference_from_message(message: InferenceMessage) -> Inference:
    """Undo `InferencePacker`; floats come back as FP32 holds them."""
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
