"""When to poll for messages: just after a row can have become complete, and seldom in between."""

from __future__ import annotations

_REST = 15 / 16  # of a row's period: a little early, so that polling never falls behind the rows
_RETRY = 1 / 8  # of a row's period
_LONGEST_RETRY_S = 0.001


class Pace:
    """Times the polls for messages, which cost as much as what they find.

    Waking up for every message is what costs a node the most at a kilohertz: what it runs has left
    the caches by then. Rows come a period apart, so after one there is nothing to miss for most of
    a period; what comes meanwhile is taken with the next. Where no row is complete yet, the next
    poll is soon, and then later and later, a period at most. So the polls stay in step with the
    rows, which wait for an eighth of a period or a millisecond, whichever is less.

    Args:
        period_s: of the pipeline's grid.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._first_retry_s = min(_RETRY * period_s, _LONGEST_RETRY_S)
        self._retry_s = self._first_retry_s
        self._next_s = 0.0
        self._longest_pause_s = 0.0

    def polled(self, now_s: float, found: bool) -> None:
        """A poll began at `now_s` (steady clock), and found a complete row or did not."""
        if self._next_s:
            self._longest_pause_s = max(self._longest_pause_s, now_s - self._next_s)
        if found:
            self._retry_s = self._first_retry_s
            self._next_s = now_s + _REST * self._period_s
        else:
            self._next_s = now_s + self._retry_s
            self._retry_s = min(2.0 * self._retry_s, self._period_s)

    def rest_s(self, now_s: float) -> float:
        """How long there is until the next poll."""
        return max(0.0, self._next_s - now_s)

    def longest_pause_s(self) -> float:
        """By how much a poll since the last call came too late, at most."""
        longest_s, self._longest_pause_s = self._longest_pause_s, 0.0
        return longest_s
