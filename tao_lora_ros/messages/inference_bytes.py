"""An Inference as CDR bytes: a hundred times a second the same message but for some numbers."""

from __future__ import annotations

import struct
from functools import lru_cache

from tao_lora_ros.messages.cdr_writer import ENCAPSULATION, CdrWriter
from tao_lora_ros.messages.results import Inference
from tao_lora_ros.messages.stamps import split

_STAMP_AT = len(ENCAPSULATION)
_STAMP, _PATH, _SCORE = struct.Struct("<iI"), struct.Struct("<B"), struct.Struct("<d")


class InferencePacker:
    """Makes the messages of one model's inferences, serialised.

    Args:
        model_id: name of the model.
        version: its version.
        labels: names of the probabilities.
    """

    def __init__(self, model_id: str, version: str, labels: tuple[str, ...]) -> None:
        self._texts = model_id, version
        self._labels = labels
        # probabilities and forecast_error, window_start, window_end, latency
        self._tail = struct.Struct(f"<{len(labels) + 1}f iI iI iI")
        self._template = lru_cache(self._new_template)

    def ordered(self, labels: tuple[str, ...]) -> InferencePacker:
        """One for the same model with its labels in another order."""
        return InferencePacker(*self._texts, labels)

    def _new_template(self, frame_id: str) -> tuple[bytes, int, int]:
        """The message in this frame with all numbers 0; where path and score are."""
        out = CdrWriter()
        out.time(0)
        for text in (frame_id, *self._texts):
            out.text(text)
        path_at = len(out.message)
        out.put("B", 0)
        out.put("d", 0.0)
        score_at = len(out.message) - _SCORE.size
        out.texts(self._labels)
        out.put("I", len(self._labels))
        return out.message + bytes(self._tail.size), path_at, score_at

    def pack(self, result: Inference, latency_ns: int) -> bytes:
        """The message of an inference, `latency_ns` after the newest sample's arrival."""
        template, path_at, score_at = self._template(result.frame_id)
        data = bytearray(template)
        _STAMP.pack_into(data, _STAMP_AT, *split(result.stamp_ns))
        _PATH.pack_into(data, path_at, result.path)
        _SCORE.pack_into(data, score_at, result.score)
        self._tail.pack_into(
            data,
            len(data) - self._tail.size,
            *result.probabilities,
            result.forecast_error,
            *split(result.window_start_ns),
            *split(result.window_end_ns),
            *split(latency_ns),
        )
        return bytes(data)
