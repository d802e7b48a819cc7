"""What follows the rows whatever the model: the detector, the contacts, the rows that are due."""

from __future__ import annotations

from typing import NamedTuple

from tao_lora_ros.contact.contacts import Contacts
from tao_lora_ros.detection.calibration import SteadyRows
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.learning import learning_config
from tao_lora_ros.detection.router import RouterConfig
from tao_lora_ros.engine.contact_events import ContactEvents
from tao_lora_ros.engine.counts import Counts
from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.engine.schedule import HopSchedule
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.model.artifact import Artifact


def router_config(settings: Settings, rate_hz: float) -> RouterConfig:
    """The router's part of the settings, in rows."""
    return RouterConfig(
        off_score=settings.off_score,
        hold_rows=round(settings.hold_s * rate_hz),
        max_transient_rows=round(settings.max_transient_s * rate_hz),
    )


class Signals(NamedTuple):
    """What follows the rows whatever the model.

    Args:
        detector: says what is a transient.
        contacts: follows the wrenches.
        contact_events: which of their contacts are events.
        steady: the newest rows, to calibrate on.
        schedule: says which rows are due.
    """

    detector: Detector
    contacts: Contacts
    contact_events: ContactEvents
    steady: SteadyRows
    schedule: HopSchedule

    @classmethod
    def of(cls, settings: Settings, artifact: Artifact, intake: Intake, counts: Counts) -> Signals:
        """Those of a new pipeline, by the artifact's calibration."""
        rate_hz, channels = artifact.rate_hz, len(artifact.channels)
        rolls_s = settings.pre_roll_s, settings.post_roll_s
        detector = Detector(
            artifact.calibration,
            router_config(settings, rate_hz),
            learning_config(settings.learn_while_running, *rolls_s, rate_hz),
            rate_hz,
        )
        contacts = Contacts(artifact.contacts, channels, rate_hz, settings.max_contact_s)
        load_rows = 0
        if settings.contact_wrench_hz:
            load_rows = max(round(rate_hz / settings.contact_wrench_hz), 1)
        return cls(
            detector,
            contacts,
            ContactEvents(contacts, detector, intake, counts, load_rows),
            SteadyRows(rate_hz, channels),
            HopSchedule(settings.hop_steady, settings.hop_transient),
        )

    def configure(self, settings: Settings, rate_hz: float) -> None:
        """Take live parameters, between two rows."""
        self.detector.configure(router_config(settings, rate_hz))
        self.detector.learn(settings.learn_while_running)
        self.schedule.set_hops(settings.hop_steady, settings.hop_transient)

    def recalibrate(self, artifact: Artifact) -> None:
        """Go by the calibration of this artifact, which reads the same channels."""
        self.detector.recalibrate(artifact.calibration)
        self.contacts.recalibrate(artifact.contacts)

    def clear(self) -> None:
        """Forget all rows."""
        for one in (self.detector, self.contacts, self.steady, self.schedule):
            one.clear()
