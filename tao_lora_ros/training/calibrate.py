"""Set a trained artifact's router to a user's own steady recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.reader import WHOLE, renamed
from tao_lora_ros.bags.rows import Run, read_run
from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.calibration import uncalibrated
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.findings import Findings, moment_text, report_lines
from tao_lora_ros.detection.router import Change, RouterConfig
from tao_lora_ros.engine.calibration import calibrated_on
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.signals import router_config
from tao_lora_ros.engine.sources import WRENCH_TYPES_KEY, check_channels, source_configs
from tao_lora_ros.fleet.pool import Pool
from tao_lora_ros.messages.texts import digits
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.training.robot import fitted_to
from tao_lora_ros.training.sensitivity import smallest_blows

_FEW_EVENTS = 3  # of another robot's thresholds, that say nothing
_LARGE = {"m/s^2": 50.0, "N": 100.0, "Nm": 10.0}  # a blow that anybody sees without a detector


@dataclass(frozen=True)
class Recalibration:
    """An artifact calibrated anew.

    Args:
        artifact: with the new calibration.
        old: the calibration before.
        findings: what the new one was made of.
        contacts: what was found of the contact load of each wrench, a line each.
        recordings: the rows it was made of, each [n, C], NaN where they were left out.
        names: of the bags.
        begin_s: where in the bags the rows begin.
        robot: what there is to say of the robot's scales.
        doubts: what is wrong with the sources, a line each.
    """

    artifact: Artifact
    old: Calibration
    findings: Findings
    contacts: list[str]
    recordings: list[NDArray[np.float64]]
    names: list[str]
    begin_s: float
    robot: list[str]
    doubts: list[str]

    @property
    def left_out(self) -> list[str]:
        """What was not steady, a line each."""
        artifact = self.artifact
        return [
            moment_text(moment, artifact.channels, artifact.rate_hz, self.names, self.begin_s)
            for moment in self.findings.moments
        ]

    def lines(self, settings: Settings) -> list[str]:
        """The report, with the smallest blows that are found."""
        new, channels, rate_hz = (
            self.artifact.calibration,
            self.artifact.channels,
            self.artifact.rate_hz,
        )
        return [
            *report_lines(
                self.old, new, self.findings, channels, rate_hz, self.names, self.begin_s
            ),
            *self._doubt(router_config(settings, rate_hz)),
            *self.doubts,
            *self.contacts,
            *self.robot,
            self.sensitivity(settings),
        ]

    def sensitivity(self, settings: Settings) -> str:
        """The smallest blows that are found; takes a second or two."""
        made = self.artifact
        config = router_config(settings, made.rate_hz)
        return _sensitivity(
            smallest_blows(made.calibration, config, self.recordings, made.channels, made.rate_hz)
        )

    def _doubt(self, config: RouterConfig) -> list[str]:
        """A question where the calibration before sees events in what the new one was made of."""
        if not self.old.has_thresholds:
            return []
        detector, events = Detector(self.old, config), 0
        for rows in self.recordings:
            detector.clear()
            times_ns = np.arange(len(rows), dtype=np.int64)
            events += sum(change is Change.ONSET for _, change, _ in detector.run(times_ns, rows))
        if events <= _FEW_EVENTS:
            return []
        return [f"the thresholds before find {events} events in what was used: was it all steady?"]


def _sensitivity(sizes: Mapping[str, float]) -> str:
    """The smallest blows that are found, and what to do where these are large."""
    if not sizes:
        return "finds no blow (9 of 10): record longer, and steady motion alone"
    found = " or ".join(f"{digits(size)} {unit}" for unit, size in sizes.items())
    large = all(size > _LARGE.get(unit, np.inf) for unit, size in sizes.items())
    remedy = ": that is much, record longer and steadier motion" * large
    return f"finds blows from {found} on (9 of 10){remedy}"


def detection_only(channels: tuple[str, ...], rate_hz: float) -> Artifact:
    """An artifact without a network, that is to be calibrated yet."""
    return Artifact(
        model_id="detection",
        version="1",
        model=None,
        rate_hz=rate_hz,
        channels=channels,
        labels=(),
        calibration=uncalibrated(channels, rate_hz),
    )


def recalibrate(
    artifact: Artifact,
    bags: Sequence[Path],
    settings: Settings,
    topics: Mapping[str, str],
    alarms_per_hour: float,
    part_s: tuple[float, float] = WHOLE,
    force: bool = False,
    rescale: bool = False,
    pool: Pool | None = None,
) -> Recalibration:
    """Calibrate an artifact on steady bags.

    Args:
        artifact: to start from.
        bags: of steady motion.
        settings: the sources.
        topics: bag topic by source name, where it is not obvious.
        alarms_per_hour: target false-alarm rate.
        part_s: from when to when of each bag, in seconds.
        force: take also what is mostly no steady motion.
        rescale: fit the network to the robot's scales, too.
        pool: what reads many bags; those that fail are left out.

    Raises:
        BagError: no bag can be used.
        SettingsError: the bags' sources are not the model's.
        CalibrationError: the bags are too short, or no steady motion.
    """
    pool = pool or Pool()
    read = runs_of(artifact, bags, settings, topics, part_s, pool)
    runs = [np.asarray(run.values, np.float64) for run in read]
    good = pool.good(bags)
    names = [bag.name for bag in good]
    start, channels, rate_hz = artifact.calibration, artifact.channels, artifact.rate_hz
    made = calibrated_on(runs, start, channels, rate_hz, alarms_per_hour, force)
    provenance = artifact.provenance | {
        "calibration_runs": names,
        WRENCH_TYPES_KEY: list(settings.wrench_types),
    }
    fitted, scale_lines = fitted_to(artifact, made.kept) if rescale else (artifact, [])
    return Recalibration(
        replace(fitted, calibration=made.router, contacts=made.contacts, provenance=provenance),
        start,
        made.findings,
        made.contact_lines,
        made.kept,
        names,
        part_s[0],
        scale_lines,
        [
            *dict.fromkeys(doubt for run in read for doubt in run.doubts),
            *renamed(good, source_configs(settings), topics),
        ],
    )


def runs_of(
    artifact: Artifact,
    bags: Sequence[Path],
    settings: Settings,
    topics: Mapping[str, str],
    part_s: tuple[float, float],
    pool: Pool,
) -> list[Run]:
    """The rows of `pool.good(bags)` for an artifact.

    Raises:
        BagError: no bag can be used.
        SettingsError: the bags' sources are not the model's.
    """
    check_channels(settings, artifact)
    work = partial(
        read_run, settings=settings, rate_hz=artifact.rate_hz, topics=topics, part_s=part_s
    )
    return [run for _, run in pool.map(work, bags)]
