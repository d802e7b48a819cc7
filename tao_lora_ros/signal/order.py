"""In what order a source's stamps come: what is taken, what waits for the next, what is refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from tao_lora_ros.signal.cadence import PACE, SLOWEST_NS, usual_hole_ns
from tao_lora_ros.signal.cdr import Sample
from tao_lora_ros.signal.recent import MOST, RecentStamps

# A bag that loops or a clock that was set goes back further than a message that was overtaken.
BACK_S = 0.5
# A step ahead that is no longer, or no longer than usual, needs nobody to confirm it.
STRAY_NS = 25_000_000
_FEWEST = 3  # stamps that make a pace: until then any may be usual
# A clock that was set back goes on from there. Fewer stamps, or for less, are messages that came
# late, several in a row; none comes early.
_SET_BACK, _SET_BACK_NS = 4, 100_000_000
# Samples of one stamp: more than fit a USB transfer come from a clock that stands still.
_MOST_TWINS = 64

# Messages whose fate is known, oldest first: their bytes, and the sample where it may go on.
Outcomes = tuple[tuple[bytes, Sample | None], ...]


class ClockJump(Exception):
    """The stamps of a source moved to another time (a bag that loops, a clock that was set)."""


class StampOrder:
    """Takes samples in the order of their arrival, and lets none with a stray stamp through.

    A stamp that is further ahead than the source's pace explains is held until the next sample: one
    that follows it confirms it, as after a hole; one that falls before it refuses it. One that is
    further ahead than `jump_s` is refused, and a second one beside it is a `ClockJump`; so is one
    that is further back than `BACK_S`, but others have to go on from there for `_SET_BACK_NS`, with
    none of the old time between. A sample that others have overtaken is taken as long as it is
    `wait_s` late at most.

    Args:
        name: of the source.
        jump_s: longest step ahead, in seconds.
        wait_s: how late a sample may be that others have overtaken.
        refuse: called with each sample that is refused: its kind, and the reason.

    Attributes:
        newest_ns: newest stamp that was taken; None before the first.
        held: a sample that waits to be confirmed; `held_data` is its message.
        recent: newest stamps that were taken, as they were sent, in the order of their arrival but
            for overtaken ones.
    """

    def __init__(
        self, name: str, jump_s: float, wait_s: float, refuse: Callable[[str, str], None]
    ) -> None:
        self._name = name
        self._jump_ns = round(jump_s * 1e9)
        self._back_ns = min(round(BACK_S * 1e9), self._jump_ns)
        self._wait_ns = min(round(wait_s * 1e9), self._back_ns)
        self._refuse = refuse
        self.recent = RecentStamps()
        self._overtaken: deque[int] = deque(maxlen=MOST)
        usual_hole_ns(np.zeros(1, np.int64), STRAY_NS)  # compiles, if nobody did before
        self.clear()

    def clear(self) -> None:
        """Forget the clock, and what is held."""
        self.newest_ns: int | None = None
        self.held: Sample | None = None
        self.held_data = self._newest_data = b""
        # First and newest stamp of those far away, one after the other, and how many.
        self._far: tuple[int, int, int] | None = None
        self._twins = 0
        self.recent.clear()
        self._overtaken.clear()

    def take(self, sample: Sample, data: bytes) -> Outcomes:
        """Decide on a sample and on the one that is held, if any.

        Raises:
            ClockJump: this sample confirms that the clock moved.
        """
        newest = self.newest_ns
        if newest is None:
            return self._go_on(sample, data)
        ahead_ns = sample.stamp_ns - newest
        if 0 < ahead_ns <= STRAY_NS and self.held is None:
            return self._go_on(sample, data)
        reach_ns = newest if self.held is None else self.held.stamp_ns
        if ahead_ns < -self._back_ns or sample.stamp_ns > reach_ns + self._jump_ns:
            return self._far_away(sample, data)
        self._far = None
        if ahead_ns <= 0:
            return self._behind(sample, data, ahead_ns)
        if self.held is not None:
            return self._beside_held(self.held, sample, data)
        if ahead_ns <= self._usual_ns():
            return self._go_on(sample, data)
        self.held, self.held_data = sample, data
        return ()

    def _go_on(self, sample: Sample, data: bytes) -> Outcomes:
        self.advance([sample.stamp_ns], data)
        return ((data, sample),)

    def advance(self, stamps_ns: list[int], newest_data: bytes) -> None:
        """Take samples that each follow the one before, as far as `STRAY_NS` at most."""
        self.newest_ns = stamps_ns[-1]
        self._newest_data = newest_data
        self._far = None
        self._twins = 0
        self.recent.extend(stamps_ns)

    def _usual_ns(self) -> int:
        stamps = self.recent.newest[-PACE:]
        return int(usual_hole_ns(stamps, STRAY_NS)) if len(stamps) >= _FEWEST else SLOWEST_NS

    def _beside_held(self, held: Sample, sample: Sample, data: bytes) -> Outcomes:
        """What a sample that is ahead too says of the one that is held."""
        after_ns = sample.stamp_ns - held.stamp_ns
        if after_ns == 0:
            self._refuse("duplicate", f"stamp {sample.stamp_ns} ns twice")
            return ((data, None),)
        self.held = None
        if after_ns > 0:
            return self._go_on(held, self.held_data) + self.take(sample, data)
        stray_s = (held.stamp_ns - (self.newest_ns or 0)) * 1e-9
        self._refuse("stray_stamp", f"stamp {held.stamp_ns} ns is {stray_s:.3f} s ahead, alone")
        return ((self.held_data, None), *self.take(sample, data))

    def _behind(self, sample: Sample, data: bytes, ahead_ns: int) -> Outcomes:
        stamp_ns = sample.stamp_ns
        if ahead_ns == 0 and data != self._newest_data and self._twins < _MOST_TWINS:
            # Another sample that the sender stamped at once with the one before.
            self._twins += 1
            self._newest_data = data
            self.recent.extend([stamp_ns])
            return ((data, sample),)
        seen = ahead_ns == 0 or stamp_ns in self.recent or stamp_ns in self._overtaken
        if not seen and ahead_ns >= -self._wait_ns:
            self._overtaken.append(stamp_ns)
            return ((data, sample),)
        kind = "duplicate" if seen else "out_of_order"
        self._refuse(kind, f"stamp {stamp_ns} ns after {self.newest_ns} ns")
        return ((data, None),)

    def _far_away(self, sample: Sample, data: bytes) -> Outcomes:
        """Few may be broken or late messages; those that go on are a clock that moved."""
        stamp_ns, newest_ns = sample.stamp_ns, self.newest_ns or 0
        first_ns, last_ns, count = self._far or (stamp_ns, stamp_ns, 0)
        if not -self._back_ns <= stamp_ns - last_ns <= self._jump_ns:
            first_ns, last_ns, count = stamp_ns, stamp_ns, 0
        self._far = first_ns, max(stamp_ns, last_ns), count + (stamp_ns > last_ns or not count)
        back = stamp_ns < newest_ns
        many, for_ns = (_SET_BACK, _SET_BACK_NS) if back else (2, 0)
        if self._far[2] >= many and stamp_ns - first_ns >= for_ns:
            raise ClockJump(f"{self._name}: stamps moved from {newest_ns} ns to {first_ns} ns")
        late = back and newest_ns - stamp_ns <= self._jump_ns
        kind = "out_of_order" if late else "clock_jump"
        self._refuse(kind, f"stamp {stamp_ns} ns after {newest_ns} ns")
        return ((data, None),)
