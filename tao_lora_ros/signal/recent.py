"""The newest stamps of a source, always in one piece."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST = 1024


class RecentStamps:
    """The newest `MOST` stamps, in the order of their arrival.

    >>> recent = RecentStamps()
    >>> recent.extend([1, 2, 3])
    >>> recent.extend(range(4, 2000))
    >>> len(recent.newest), recent.newest[-2:].tolist()
    (1024, [1998, 1999])
    """

    def __init__(self) -> None:
        self._stamps = np.zeros(4 * MOST, np.int64)  # written from the front to the end, and again
        self._end = 0

    def extend(self, stamps_ns: Sequence[int]) -> None:
        """Add stamps."""
        stamps_ns = stamps_ns[-MOST:]
        end = self._end + len(stamps_ns)
        if end > len(self._stamps):
            kept = self.newest.copy()
            self._stamps[: len(kept)] = kept
            self._end, end = len(kept), len(kept) + len(stamps_ns)
        self._stamps[self._end : end] = stamps_ns
        self._end = end

    @property
    def newest(self) -> NDArray[np.int64]:
        """Those that are kept, int64 [`MOST` at most]; a view that later ones may change."""
        return self._stamps[max(self._end - MOST, 0) : self._end]

    def __contains__(self, stamp_ns: int) -> bool:
        return bool((self.newest == stamp_ns).any())

    def clear(self) -> None:
        """Forget them."""
        self._end = 0
