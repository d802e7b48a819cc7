"""An Inference as CDR bytes: a hundred times a second the same message but for some numbers."""

from __future__ import annotations

import struct
from functools import lru_cache

from tao_lora_ros.engine.results import Inference
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.signal.cdr_writer import ENCAPSULATION, CdrWriter

_SECOND = 1_000_000_000
_STAMP_AT = len(ENCAPSULATION)
_STAMP, _PATH, _SCORE = struct.Struct("<iI"), struct.Struct("<B"), struct.Struct("<d")


class InferencePacker:
    """Makes the messages of one artifact's inferences, serialised."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        # probabilities and forecast_error, window_start, window_end, latency
        self._tail = struct.Struct(f"<{len(artifact.labels) + 1}f iI iI iI")
        self._template = lru_cache(self._new_template)

    def _new_template(self, frame_id: str) -> tuple[bytes, int, int]:
        """The message in this frame with all numbers 0; where path and score are."""
        artifact, out = self._artifact, CdrWriter()
        out.time(0)
        for text in (frame_id, artifact.model_id, artifact.version):
            out.text(text)
        path_at = len(out.message)
        out.put("B", 0)
        out.put("d", 0.0)
        score_at = len(out.message) - _SCORE.size
        out.texts(artifact.labels)
        out.put("I", len(artifact.labels))
        return out.message + bytes(self._tail.size), path_at, score_at

    def pack(self, result: Inference, latency_ns: int) -> bytes:
        """The message of an inference, `latency_ns` after the newest sample's arrival."""
        template, path_at, score_at = self._template(result.frame_id)
        data = bytearray(template)
        _STAMP.pack_into(data, _STAMP_AT, *divmod(result.stamp_ns, _SECOND))
        _PATH.pack_into(data, path_at, result.path)
        _SCORE.pack_into(data, score_at, result.score)
        self._tail.pack_into(
            data,
            len(data) - self._tail.size,
            *result.probabilities,
            result.forecast_error,
            *divmod(result.window_start_ns, _SECOND),
            *divmod(result.window_end_ns, _SECOND),
            *divmod(latency_ns, _SECOND),
        )
        return bytes(data)
