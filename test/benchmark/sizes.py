"""How hard: sizes of events against the true contact forces of the simulated arm.

Every mounting (tool, mount, sensor noise) is calibrated on a steady minute of its own. Events are
those of the whole pipeline. Settings were chosen on mountings 9,370,000 to 9,370,003; those here
were not looked at before. Peers are taken of the same events: what the wrench changed against its
mean before the event, or against a straight line through the medians before and after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from recordings import imu, wrench

from benchmark.presses import ALARMS_PER_HOUR
from benchmark.scenes import RATE_HZ, SCENE_S, aligned
from tao_lora_ros.benchmarks.results import OURS, Measurement
from tao_lora_ros.contact.event_size import LEAD_S
from tao_lora_ros.detection.glitch_filter import GlitchFilter
from tao_lora_ros.engine.calibration import calibrated_on
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.results import Event, Kind, Phase
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact
from tao_lora_ros.simulation.recording import Recording, SimulationConfig, simulate
from tao_lora_ros.simulation.truth import ContactInterval

Array = NDArray[np.float64]
Errors = dict[tuple[str, str, str], list[float]]  # of a subject, case and metric

PEER, LINE, UNKNOWN = "wrench-change", "wrench-line", "tao-lora-uncalibrated"
LEAST_SIGMA = 5.0
_NEAR_S = 0.05
_MOUNTING, _CALIBRATION, _STRIKES, _PRESSES = 390_000, 391_000, 392_000, 393_000  # seeds


@dataclass(frozen=True)
class Truth:
    """What an event was in truth: peak (N) and impulse (N s) of the contact force's change."""

    case: str
    peak: float
    impulse: float


def bench_sizes(mountings: int, say: Callable[[str], None]) -> Iterator[Measurement]:
    """Measure on so many mountings, a minute of strikes and one of presses each."""
    errors: Errors = defaultdict(list)
    for number in range(mountings):
        say(f"sizes: mounting {number + 1} of {mountings}")
        mounting = _MOUNTING + number
        steady = simulate(SimulationConfig(SCENE_S, _CALIBRATION + number, False, False, mounting))
        artifact = _calibrated(steady)
        for seed, presses in ((_STRIKES, False), (_PRESSES, True)):
            config = SimulationConfig(SCENE_S, seed + number, True, presses, mounting)
            _compare(simulate(config), artifact, errors)
    for (subject, case, metric), values in errors.items():
        off = np.array(values)
        yield Measurement(subject, case, "events", len(off), "")
        for share in (0.5, 0.9):
            name = f"{metric}_error_p{share * 100:.0f}"
            yield Measurement(subject, case, name, 100 * float(np.quantile(abs(off), share)), "%")
        yield Measurement(subject, case, f"{metric}_bias", 100 * float(np.median(off)), "%")


@cache
def _shipped() -> Artifact:
    """Without its network: nothing here asks for names."""
    return replace(load_artifact(default_artifact()), model=None, labels=())


def _calibrated(steady: Recording) -> Artifact:
    artifact = _shipped()
    _, rows, fresh = aligned(steady)
    rows, _ = GlitchFilter(artifact.channels, RATE_HZ).run(rows, fresh)
    made = calibrated_on([rows], artifact.calibration, artifact.channels, RATE_HZ, ALARMS_PER_HOUR)
    return replace(artifact, calibration=made.router, contacts=made.contacts)


def _events(recording: Recording, artifact: Artifact) -> list[Event]:
    """All events that the pipeline finds, over."""
    pipeline = Pipeline(Settings(), artifact)
    messages = sorted(
        (stamp_ns, source, values)
        for source, of in enumerate((recording.imu, recording.wrench))
        for stamp_ns, values in zip(of.stamps_ns.tolist(), of.values.tolist(), strict=True)
    )
    found = []
    for stamp_ns, source, values in messages:
        data = (imu, wrench)[source](stamp_ns, values)
        found += pipeline.push(source, data).results
    found += pipeline.flush()
    return [event for event in found if isinstance(event, Event) and event.phase is Phase.END]


def _compare(recording: Recording, artifact: Artifact, errors: Errors) -> None:
    blind = replace(artifact, contacts=())
    for subject, model in ((OURS, artifact), (UNKNOWN, blind)):
        for event in _events(recording, model):
            if (true := _truth(recording, event)) is None:
                continue
            said = {subject: (event.size.peak_force, event.size.impulse)}
            if subject == OURS:
                said |= {PEER: _change(event, line=False), LINE: _change(event, line=True)}
            for name, (peak, impulse) in said.items():
                errors[name, true.case, "peak"].append(peak / true.peak - 1.0)
                if isfinite(impulse):  # uncalibrated there is none
                    errors[name, true.case, "impulse"].append(impulse / true.impulse - 1.0)


def _truth(recording: Recording, event: Event) -> Truth | None:
    """What an event was; None where nothing, or little, was touched."""
    first_ns = min(recording.imu.stamps_ns[0], recording.wrench.stamps_ns[0])
    onset_s, end_s = ((ns - first_ns) * 1e-9 for ns in (event.onset_ns, event.end_ns))
    labels = ("press",) if event.kind is Kind.LASTING_CONTACT else ("impact",)
    met = [
        contact
        for contact in recording.contacts
        if contact.label in labels
        and contact.start_s - _NEAR_S <= end_s
        and contact.end_s + _NEAR_S >= onset_s
    ]
    if not met or max(contact.peak_sigma for contact in met) < LEAST_SIGMA:
        return None
    struck = labels == ("impact",) and not any(_goes_on(recording, one) for one in met)
    begin_s = min(onset_s - LEAD_S, *(contact.start_s for contact in met))
    if struck:
        end_s = max(end_s, *(contact.end_s for contact in met))
    times_s = (recording.contact_wrench.stamps_ns - first_ns) * 1e-9
    force = recording.contact_wrench.values[:, :3]
    before = (times_s >= begin_s - 0.25) & (times_s < begin_s - 0.002)
    within = (times_s >= begin_s - 0.002) & (times_s <= end_s + 0.002)
    usual = np.median(force[before], axis=0) if before.any() else np.zeros(3)
    change = force[within] - usual
    impulse = float(np.linalg.norm(np.trapezoid(change, times_s[within], axis=0)))
    peak = float(np.linalg.norm(change, axis=1).max())
    if struck:  # of the physics itself, without the sensor's mean
        peak = max(contact.peak_force_n for contact in met)
    case = "presses" if labels == ("press",) else "strikes" if struck else "touchdowns"
    return Truth(f"sizes-{case}", peak, impulse)


def _goes_on(recording: Recording, impact: ContactInterval) -> bool:
    """Whether an impact is the beginning of a contact, with the table."""
    return any(
        abs(other.start_s - impact.end_s) < 1e-3 and other.label in ("contact", "slide")
        for other in recording.contacts
    )


def _change(event: Event, line: bool) -> tuple[float, float]:
    """Peak and impulse of the wrench less its mean before, or less a line through both sides."""
    raw = next(raw for raw in event.raw if raw.source == "wrench")
    times_s, force = (raw.stamps_ns - event.onset_ns) * 1e-9, raw.values[:, :3]
    end_s = (event.end_ns - event.onset_ns) * 1e-9
    before, after = times_s < 0.0, times_s > end_s
    usual = np.broadcast_to(force[before].mean(axis=0), force.shape)
    if line and after.any():
        middles = [np.median(times_s[side]) for side in (before, after)]
        levels = np.array([np.median(force[side], axis=0) for side in (before, after)])
        usual = np.array([np.interp(times_s, middles, axis) for axis in levels.T]).T
    within = (times_s >= 0.0) & (times_s <= end_s)
    change = (force - usual)[within]
    impulse = np.trapezoid(change, times_s[within], axis=0)
    return float(np.linalg.norm(change, axis=1).max()), float(np.linalg.norm(impulse))
