"""Messages as bytes, field by field: plain little-endian CDR (DDS-XTypes 1.3, section 7.4.1)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from numpy.typing import NDArray

from tao_lora_ros.messages.stamps import split

ENCAPSULATION = bytes((0, 1, 0, 0))


class CdrWriter:
    """Appends fields, each aligned to its size."""

    def __init__(self) -> None:
        self._data = bytearray()

    @property
    def message(self) -> bytes:
        """The message so far, with its encapsulation."""
        return ENCAPSULATION + bytes(self._data)

    def put(self, code: str, value: float) -> None:
        """A number, by its code in module `struct`."""
        self.align(struct.calcsize(code))
        self._data += struct.pack("<" + code, value)

    def time(self, stamp_ns: int) -> None:
        """A Time or a Duration."""
        sec, nanosec = split(stamp_ns)
        self.put("i", sec)
        self.put("I", nanosec)

    def text(self, text: str) -> None:
        """A string."""
        encoded = text.encode() + b"\0"
        self.put("I", len(encoded))
        self._data += encoded

    def texts(self, texts: Sequence[str]) -> None:
        """A sequence of strings."""
        self.put("I", len(texts))
        for text in texts:
            self.text(text)

    def array(self, values: NDArray, alignment: int) -> None:
        """A sequence of numbers, little-endian already."""
        self.put("I", len(values))
        if len(values):
            self.align(alignment)
            self._data += values.tobytes()

    def align(self, size: int) -> None:
        """Pad to a multiple of `size`."""
        self._data += bytes(-len(self._data) % size)
