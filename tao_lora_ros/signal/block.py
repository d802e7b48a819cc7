"""Messages of all sources in the order of their arrival."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

SOURCE, RECEIVED, BEGIN, END = range(4)  # in `Block.index`


@dataclass(frozen=True, slots=True)
class Block:
    """Messages in the order of their arrival.

    Args:
        index: of each its source, by its number, when it came (ns), and where in `joined` it begins
            and ends, int64 [4, n].
        data: their CDR bytes.
        joined: what holds these, uint8, not to be written to.
    """

    index: NDArray[np.int64]
    data: Sequence[bytes]
    joined: NDArray[np.uint8]

    @classmethod
    def of(cls, messages: Iterable[tuple[int, int, bytes]]) -> Block:
        """Of source, time of arrival and bytes of each."""
        sources, received_ns, data = zip(*messages, strict=True)
        edges = tuple(accumulate(map(len, data), initial=0))
        index = np.array((sources, received_ns, edges[:-1], edges[1:]), np.int64)
        return cls(index, data, np.frombuffer(b"".join(data), np.uint8))

    def __len__(self) -> int:
        return len(self.data)

    @property
    def sources(self) -> NDArray[np.int64]:
        """The source of each, int64 [n]."""
        return self.index[SOURCE]

    def received_ns(self, number: int) -> int:
        """When a message came."""
        return int(self.index[RECEIVED, number])

    def message(self, number: int) -> tuple[int, bytes, int]:
        """Source, bytes and time of arrival."""
        return int(self.index[SOURCE, number]), self.data[number], self.received_ns(number)
