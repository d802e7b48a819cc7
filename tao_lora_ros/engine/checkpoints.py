"""What router and contacts remember, kept with each event, so that a replay finds it again.

The past of an event that is stored is too short for what goes by minutes: thresholds that were
learned, levels, events shortly before. So every quarter of a second what router and contacts
remember is copied (a few microseconds), and the newest copy from before the onset goes with the
event. A replay takes it on at the same row, and from there on all is as it was.
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from collections.abc import Iterable

from tao_lora_ros.contact.contacts import Contacts
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.snapshot import packed, restore
from tao_lora_ros.messages.results import RouterState
from tao_lora_ros.model.artifact import Artifact

_STEP_NS = 250_000_000
_COPIES = 16  # an onset is known within a second
_HEAD = struct.Struct("<16sq")  # digest of the calibration, time of the row


class Checkpoints:
    """Copies of the newest while, and those that a replay is to take on.

    Args:
        artifact: whose calibration router and contacts go by; states of others do not fit.

    Attributes:
        refused: why states of the input were not taken on, each reason once.
    """

    def __init__(self, artifact: Artifact) -> None:
        known = artifact.channels, artifact.rate_hz, artifact.calibration, artifact.contacts
        self._digest = hashlib.sha256(repr(known).encode()).digest()[:16]
        self._copies: deque[RouterState] = deque(maxlen=_COPIES)
        self._coming: deque[tuple[int, bytes]] = deque()
        self.refused: list[str] = []

    def clear(self) -> None:
        """Forget all copies: a new time begins."""
        self._copies.clear()

    @property
    def due_ns(self) -> int:
        """Time from which on the next row is to be copied, or a state taken on after it."""
        next_ns = (self._copies[-1].time_ns // _STEP_NS + 1) * _STEP_NS if self._copies else 0
        return min(next_ns, self._coming[0][0]) if self._coming else next_ns

    def take(self, time_ns: int, detector: Detector, contacts: Contacts) -> None:
        """Copy what both remember after the row of this time, where that is due."""
        if self._copies and time_ns // _STEP_NS == self._copies[-1].time_ns // _STEP_NS:
            return
        state = packed([*detector.memory, *contacts.memory])
        self._copies.append(RouterState(time_ns, _HEAD.pack(self._digest, time_ns) + state))

    def before(self, onset_ns: int) -> RouterState | None:
        """The newest copy from before an onset."""
        older = (copy for copy in reversed(self._copies) if copy.time_ns < onset_ns)
        return next(older, None)

    def expect(self, states: Iterable[bytes]) -> None:
        """Have the states of a stored event taken on when their rows come."""
        coming = []
        for state in states:
            if len(state) < _HEAD.size or state[:16] != self._digest:
                self._refuse("it was stored with another model or calibration")
                continue
            coming.append((_HEAD.unpack_from(state)[1], state[_HEAD.size :]))
        self._coming = deque(sorted(coming))

    def due(self, time_ns: int) -> bytes | None:
        """The state to take on after the row of this time; once."""
        state = None
        while self._coming and self._coming[0][0] <= time_ns:
            at_ns, state = self._coming.popleft()
            state = state if at_ns == time_ns else None
        return state

    def restore(self, state: bytes, detector: Detector, contacts: Contacts) -> bool:
        """Write a state into what router and contacts remember; False where it does not fit."""
        ring_rows = contacts.memory[-1].shape[1]
        try:
            restore([*detector.memory, *contacts.memory], state, ring_rows)
        except ValueError as error:
            self._refuse(str(error))
            return False
        return True

    def _refuse(self, reason: str) -> None:
        if reason not in self.refused:
            self.refused.append(reason)
