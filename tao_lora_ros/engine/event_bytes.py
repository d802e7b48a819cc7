"""A TransientEvent as CDR bytes.

An event carries the raw samples of all sources, thousands of numbers. As Python message objects
these take milliseconds to make and to serialise, just when something happened; as arrays they are
copied. Plain little-endian CDR (DDS-XTypes 1.3, section 7.4.1), as in `signal.cdr`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.engine.results import Event
from tao_lora_ros.preservation.outlier_buffer import RawSamples

_ENCAPSULATION = bytes((0, 1, 0, 0))
_SECOND = 1_000_000_000
_STAMPS = np.dtype([("sec", "<i4"), ("nanosec", "<u4")])


class _Writer:
    """Appends fields, each aligned to its size."""

    def __init__(self) -> None:
        self.data = bytearray()

    def put(self, code: str, value: float) -> None:
        self._align(struct.calcsize(code))
        self.data += struct.pack("<" + code, value)

    def time(self, stamp_ns: int) -> None:
        self.put("i", stamp_ns // _SECOND)
        self.put("I", stamp_ns % _SECOND)

    def text(self, text: str) -> None:
        encoded = text.encode() + b"\0"
        self.put("I", len(encoded))
        self.data += encoded

    def texts(self, texts: Sequence[str]) -> None:
        self.put("I", len(texts))
        for text in texts:
            self.text(text)

    def array(self, values: NDArray, alignment: int) -> None:
        self.put("I", len(values))
        if len(values):
            self._align(alignment)
            self.data += values.tobytes()

    def _align(self, size: int) -> None:
        self.data += bytes(-len(self.data) % size)


def event_bytes(event: Event) -> bytes:
    """The message of an event, serialised."""
    out = _Writer()
    out.time(event.onset_ns)
    out.text(event.frame_id)
    out.put("I", event.sequence)
    out.put("B", event.phase)
    for stamp_ns in (event.onset_ns, event.peak_ns, event.end_ns):
        out.time(stamp_ns)
    out.put("d", event.peak_score)
    out.texts([name for name, _ in event.channels])
    out.array(np.array([share for _, share in event.channels], "<f4"), 4)
    out.put("B", event.kind)
    out.put("?", event.regime_change)
    out.text(event.label)
    out.put("f", event.probability)
    out.put("I", len(event.raw))
    for raw in event.raw:
        _put_raw(out, raw)
    return _ENCAPSULATION + bytes(out.data)


def _put_raw(out: _Writer, raw: RawSamples) -> None:
    stamps = np.empty(len(raw.stamps_ns), _STAMPS)
    stamps["sec"], stamps["nanosec"] = np.divmod(raw.stamps_ns, _SECOND)
    out.text(raw.source)
    out.text(raw.frame_id)
    out.texts(raw.channels)
    out.array(stamps, 4)
    out.array(raw.values.astype("<f8", copy=False).ravel(), 8)
