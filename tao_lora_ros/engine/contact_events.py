"""Lasting contacts that are events, which a walking foot's are not, and the published loads."""

from __future__ import annotations

from collections.abc import Iterator

from tao_lora_ros.contact.contacts import Changes, Contact, Contacts
from tao_lora_ros.contact.level_test import MOST_ROWS
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.router import Change
from tao_lora_ros.engine.counts import Counts
from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.messages.results import ContactLoad

STEPS = 2


class ContactEvents:
    """What a row changes in the lasting contacts.

    Args:
        contacts: follows the wrenches.
        detector: knows which of them walk.
        intake: knows the wrenches' sources.
        counts: of the rows; contacts are counted here.
        load_rows: from one published contact load to the next; 0: none are.
    """

    def __init__(
        self, contacts: Contacts, detector: Detector, intake: Intake, counts: Counts, load_rows: int
    ) -> None:
        self._contacts, self._detector, self._intake = contacts, detector, intake
        self._counts, self._load_rows = counts, load_rows

    def among(self, changes: Changes) -> Iterator[tuple[Change, Contact]]:
        """Of the contacts that begin or end with the newest row, those that are events."""
        for change, contact in changes:
            if change is Change.ONSET and self._is_of_walking(contact):
                self._contacts.drop(contact.wrench)
                self._counts.contacts_of_walking += 1
                continue
            self._counts.contacts += change is Change.ONSET
            yield change, contact

    def end_those_of_walking(self) -> Iterator[Contact]:
        """Contacts that began before it was known that the robot walks."""
        for contact in filter(self._is_of_walking, self._contacts.going_on):
            self._contacts.drop(contact.wrench)
            yield contact

    @property
    def due_rows(self) -> int:
        """Rows up to the next one whose loads are due."""
        if not self._load_rows or not self._contacts.models:
            return MOST_ROWS
        return self._load_rows - self._counts.rows % self._load_rows

    def loads(self, time_ns: int) -> list[ContactLoad]:
        """The contact loads of the newest row, where they are due."""
        if not self._load_rows or self._counts.rows % self._load_rows:
            return []
        return [self._load(wrench, time_ns) for wrench in range(len(self._contacts.models))]

    def _load(self, wrench: int, time_ns: int) -> ContactLoad:
        source = self._intake.source_of(self._contacts.models[wrench].wrench[0])
        lag_ns = round(source.config.lag_s * 1e9)  # in the sensor's time, as raw samples are
        stamp_ns = time_ns + lag_ns - self._contacts.load_delay_ns
        values = self._contacts.load(wrench)
        return ContactLoad(stamp_ns, source.frame_id, source.config.name, values)

    def _is_of_walking(self, contact: Contact) -> bool:
        """Whether its wrench is a foot's: of a robot that walks, and what it bears does not hang.

        A hand lifts an arm's tool once where a robot takes steps. What weighs more by an IMU than
        is ever borne does not hang on an arm: there one step is enough.
        """
        model = self._contacts.models[contact.wrench]
        borne, flights = self._detector.flights(model.wrench[0])
        if borne / 2 <= model.weight <= 2 * borne:
            return False
        return flights >= (1 if model.weight > borne else STEPS)
