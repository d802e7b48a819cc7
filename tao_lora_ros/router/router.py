"""The route: steady or transient, with hysteresis, a hold and a longest freeze."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Path(IntEnum):
    """Which path of the model a window takes; the values of Inference.msg."""

    STEADY = 0
    TRANSIENT = 1


class Change(IntEnum):
    """What a row changed."""

    NONE = 0
    ONSET = 1
    END = 2
    ACCEPTED = 3  # over because it lasted so long that it is the new steady state


@dataclass(frozen=True)
class RouterConfig:
    """Hysteresis of the route.

    Args:
        off_score: a transient is over once the score stayed below this (the on-score is 1) ...
        hold_rows: ... for this many rows, at least one.
        max_transient_rows: after this many rows the new regime is accepted as steady. Without
            it a baseline frozen below a lasting change would never let go.
    """

    off_score: float
    hold_rows: int
    max_transient_rows: int


class Router:
    """Follows the score row by row; `path` is the route of the newest row."""

    def __init__(self, config: RouterConfig) -> None:
        self.config = config
        self.clear()

    def clear(self) -> None:
        """Back to steady."""
        self.path = Path.STEADY
        self._lasted = 0
        self._quiet = 0

    def update(self, score: float) -> Change:
        """Take the score of one row and say what it changed."""
        if self.path is Path.STEADY:
            if not score >= 1.0:  # a NaN is no alarm
                return Change.NONE
            self.path, self._lasted, self._quiet = Path.TRANSIENT, 0, 0
            return Change.ONSET
        self._lasted += 1
        self._quiet = self._quiet + 1 if score < self.config.off_score else 0
        if self._quiet >= max(self.config.hold_rows, 1):
            self.path = Path.STEADY
            return Change.END
        if self._lasted >= self.config.max_transient_rows:
            self.path = Path.STEADY
            return Change.ACCEPTED
        return Change.NONE
