"""Detector and lasting contacts follow rows together, up to the first that changes anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.contact import level_test
from tao_lora_ros.contact.contacts import Contacts
from tao_lora_ros.detection import detector as detecting
from tao_lora_ros.detection.detector import NO_CHANGE, STEP, Detector
from tao_lora_ros.detection.router import Change
from tao_lora_ros.signal.align import TIME, Rows
from tao_lora_ros.signal.compiled import compiled, entry

_CHANGES = tuple(Change)


class Follower:
    """Has both follow rows in one compiled loop.

    Args:
        detector: follows all channels.
        contacts: follows the wrenches.
    """

    def __init__(self, detector: Detector, contacts: Contacts) -> None:
        self._detector, self._contacts = detector, contacts
        times, values = np.zeros((0, 4), np.int64), np.zeros((0, 0))
        steps = np.zeros(0, STEP)
        self._loop = entry(_follow, detector.state, contacts.state, times, values, steps)

    def follow(self, rows: Rows) -> tuple[NDArray, Change, bool, bool]:
        """Take rows until one changes the route or a contact.

        Returns:
            Scores and routes of the rows that were taken (fields `score` and `transient`), what the
            last one changed in the route, whether the contacts have followed it, and whether it
            changed these: where it changed the route they have not followed yet, as what is to be
            said of that comes first.
        """
        steps = np.empty(len(rows.times), STEP)
        taken, change, full, touched = self._loop(
            self._detector.state, self._contacts.state, rows.times, rows.values, steps
        )
        if full:
            self._detector.learn_blocks()
        return steps[:taken], _CHANGES[change], change == NO_CHANGE and not full, touched


@compiled
def _follow(detector, contacts, times, rows, steps):
    for i in range(len(rows)):
        time_ns = times[i, TIME]
        change, full = detecting.advance_one(detector, time_ns, rows[i], steps[i : i + 1])
        if change != NO_CHANGE or full:
            return i + 1, change, full, False
        if level_test.follow(contacts, time_ns, rows[i]):
            return i + 1, change, full, True
    return len(rows), NO_CHANGE, False, False
