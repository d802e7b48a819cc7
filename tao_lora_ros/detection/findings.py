"""What a calibration was made of, and the lines that report it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.moments import Moment
from tao_lora_ros.detection.tail import NEVER
from tao_lora_ros.messages.texts import digits
from tao_lora_ros.signal.source import unit_of

UNCALIBRATED = (
    "not calibrated, no event is found: ~/calibrate in steady motion, or "
    "tao-lora calibrate STEADY_BAG... --model MODEL --out MODEL"
)
_LONG = 5  # moments that are named at most


@dataclass(frozen=True)
class Findings:
    """What a calibration was made of.

    Args:
        statistics: of each recording's rows, [n, calibration.statistics]; -inf: none.
        moments: what did not belong to steady motion, and was left out.
        used_s: seconds that the thresholds come from.
        left_out_s: seconds of the moments.
        expected_per_hour: false alarms to be expected: the target, and the more above it the less
            there was to set thresholds on.
    """

    statistics: list[NDArray[np.float64]]
    moments: tuple[Moment, ...]
    used_s: float
    left_out_s: float
    expected_per_hour: float

    @property
    def spans(self) -> list[tuple[int, int, int]]:
        """Recording, first row and end of each moment."""
        return [(moment.recording, moment.first, moment.end) for moment in self.moments]


def report_lines(
    old: Calibration,
    new: Calibration,
    findings: Findings,
    channels: Sequence[str],
    rate_hz: float,
    names: Sequence[str] = (),
    begin_s: float = 0.0,
) -> list[str]:
    """Lines that say what a calibration changed and what it was made of.

    Args:
        old, new: the calibrations; the old one may be none yet.
        findings: of the new one.
        channels: their names.
        rate_hz: of the rows.
        names: of the recordings, where there is more than one.
        begin_s: where in its recording the first row is.
    """
    change = f"thresholds {_levels(old)} -> {_levels(new)}{_less_sensitive(old, new)}"
    lines = [change if old.has_thresholds else f"thresholds {_levels(new)}"]
    lines.append(f"{findings.used_s:.1f} s used, {findings.left_out_s:.1f} s left out")
    for moment in findings.moments[:_LONG]:
        lines.append(f"left out: {moment_text(moment, channels, rate_hz, names, begin_s)}")
    if (more := len(findings.moments) - _LONG) > 0:
        lines.append(f"left out: {more} moments more")
    for force, load in zip(new.load_channels, new.borne_loads, strict=False):
        if load:
            source = channels[force[0]].rpartition(".")[0]
            lines.append(f"touchdowns: {source} always bears {digits(load, 3)} N")
    lines.append(
        f"{new.alarms_per_hour:g} false alarms an hour aimed at, "
        f"{findings.expected_per_hour:.1f} to be expected of so short a recording"
        if findings.expected_per_hour > 1.5 * new.alarms_per_hour
        else f"{new.alarms_per_hour:g} false alarms an hour aimed at"
    )
    return lines


def moment_text(
    moment: Moment,
    channels: Sequence[str],
    rate_hz: float,
    names: Sequence[str] = (),
    begin_s: float = 0.0,
) -> str:
    """Time, length, channels and sizes of a moment."""
    where = f"{names[moment.recording]} at " if len(names) > 1 else ""
    sizes = ", ".join(
        f"{channels[channel]} {digits(size)} {unit_of(channels[channel])}"
        for channel, size in moment.sizes
    )
    length = (moment.end - moment.first) / rate_hz
    return f"{where}{begin_s + moment.first / rate_hz:.2f} s, {length:.2f} s long ({sizes})"


def _levels(calibration: Calibration) -> str:
    ratios = ", ".join(f"{threshold:.2f}" for threshold in calibration.thresholds)
    levels = ", ".join(
        "never" if threshold >= NEVER else f"{threshold:.2f}"
        for threshold in calibration.level_thresholds
    )
    return f"{ratios} and levels {levels or 'off'}"


def _less_sensitive(old: Calibration, new: Calibration) -> str:
    """A word where blows have to be larger than before to be found."""
    before, now = (max(c.thresholds[-1], 0.0) for c in (old, new))
    return ", less sensitive than before" if now > 1.05 * before else ""
