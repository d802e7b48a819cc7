"""All that steady recordings calibrate: the router, and the load to be expected of each wrench."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from tao_lora_ros.contact import calibration as contact_calibration
from tao_lora_ros.contact.contact_model import ContactModel
from tao_lora_ros.detection import moments
from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.calibration import calibrated
from tao_lora_ros.detection.covariance import Array
from tao_lora_ros.detection.findings import Findings


class Calibrated(NamedTuple):
    """What steady recordings gave.

    Args:
        router: its calibration.
        findings: what was found and left out.
        kept: the recordings without that, each float64 [n, C].
        contacts: what is known of the wrenches.
        contact_lines: a line about each wrench.
    """

    router: Calibration
    findings: Findings
    kept: list[Array]
    contacts: tuple[ContactModel, ...]
    contact_lines: list[str]


def calibrated_on(
    recordings: Sequence[Array],
    start: Calibration,
    channels: Sequence[str],
    rate_hz: float,
    alarms_per_hour: float,
    force: bool = False,
) -> Calibrated:
    """Calibrate on steady motion; what the router leaves out, no load is identified on.

    Args:
        recordings: each float64 [n, C].
        start: the router's calibration to start from.
        channels: their names.
        rate_hz: of the rows.
        alarms_per_hour: target of false alarms.
        force: take also what is mostly no steady motion.

    Raises:
        CalibrationError: they are too short, or no steady motion.
    """
    router, findings = calibrated(start, recordings, rate_hz, alarms_per_hour, force)
    kept = moments.without(recordings, findings.spans)
    contacts, contact_lines = contact_calibration.calibrated(
        channels, kept, rate_hz, alarms_per_hour
    )
    router = replace(router, borne_loads=_on_the_ground(router, contacts))
    return Calibrated(router, findings, kept, contacts, contact_lines)


def _on_the_ground(router: Calibration, contacts: Sequence[ContactModel]) -> tuple[float, ...]:
    """The loads that steady motion always bears, but for what hangs on a sensor: an arm's tool."""
    hanging = {model.wrench[0]: model.hanging for model in contacts}
    return tuple(
        0.0 if load / 2 <= hanging.get(force[0], 0.0) <= 2 * load else load
        for force, load in zip(router.load_channels, router.borne_loads, strict=True)
    )
