"""Lasting contacts: a simulated hand presses the moving arm, with taps within; a KUKA arm at work.

Every mounting (tool, sensor noise) is calibrated on a steady minute of its own, and scored on other
motion. Settings were chosen on mountings 5000 to 5011; those here were not looked at before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmark import kuka
from benchmark.our_detector import TaoLora
from benchmark.scenes import RATE_HZ, SCENE_S, Scene, aligned, cache_folder
from tao_lora_ros.benchmarks.results import OURS, Measurement
from tao_lora_ros.contact.calibration import calibrated
from tao_lora_ros.contact.contact_model import ContactModel
from tao_lora_ros.contact.contacts import Contacts
from tao_lora_ros.detection.glitch_filter import GlitchFilter
from tao_lora_ros.detection.router import Change
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import channels_of

Rows = NDArray[np.float64]
Found = list[tuple[float, float]]  # onset or end of a contact, and when it was reported, s

FOUND_S, ENDED_S, TAP_S = 0.15, 0.3, 0.05
ALARMS_PER_HOUR = 1.0
PEER = "wrench-threshold"
CHANNELS = channels_of(Settings())
_MOUNTING, _CALIBRATION, _PRESSES, _STEADY = 370_000, 371_000, 372_000, 373_000  # seeds


@dataclass(frozen=True)
class Pressed:
    """A simulated recording of one mounting, on the grid.

    Args:
        scene: rows and times; `impacts_s` are the taps.
        contact: true force (N) and torque (Nm) of all that touches the tool, [n, 6].
        presses_s: begin and end of each press, [m, 2].
    """

    scene: Scene
    contact: Rows
    presses_s: Rows

    @property
    def held(self) -> NDArray[np.bool_]:
        """Rows within a press, [n]."""
        times_s = self.scene.times_s[:, None]
        begin_s, end_s = self.presses_s.T
        return np.asarray(((times_s >= begin_s) & (times_s <= end_s)).any(axis=1))


def recorded(mounting: int, seed: int, presses: bool, cache: Path) -> Pressed:
    """A recording of `SCENE_S`, from the cache where today's code made it before."""
    kind = "presses" if presses else "mounted"
    file = cache_folder(cache) / f"{kind}-{mounting}-{seed}-{SCENE_S:g}s.npz"
    if not file.exists():
        unfinished = file.with_suffix(".tmp.npz")
        parts: Any = _simulated(mounting, seed, presses)
        np.savez_compressed(unfinished, **parts)
        unfinished.replace(file)
    with np.load(file) as parts:
        taps, sigmas, contact, presses_s = (
            parts[name] for name in ("taps_s", "sigmas", "contact", "presses_s")
        )
        times_s, rows, fresh = (parts[name] for name in ("times_s", "rows", "fresh"))
        scene = Scene(file.stem, times_s, rows, fresh, taps, sigmas, np.empty((0, 2)))
        return Pressed(scene, contact, presses_s)


def _simulated(mounting: int, seed: int, presses: bool) -> dict[str, Rows]:
    from tao_lora_ros.simulation.recording import SimulationConfig, simulate

    config = SimulationConfig(SCENE_S, seed, presses, presses, mounting)
    recording = simulate(config)
    times_s, rows, fresh = aligned(recording)
    truth, first_ns = recording.contact_wrench, recording.wrench.stamps_ns[0]
    first_ns = min(first_ns, recording.imu.stamps_ns[0])
    true_s = (truth.stamps_ns - first_ns) * 1e-9
    taps = [contact for contact in recording.contacts if contact.label == "impact"]
    held = [contact for contact in recording.contacts if contact.label == "press"]
    return {
        "times_s": times_s,
        "rows": rows,
        "fresh": fresh,
        "taps_s": np.array([tap.start_s for tap in taps]),
        "sigmas": np.array([tap.peak_sigma for tap in taps]),
        "contact": np.array([np.interp(times_s, true_s, c) for c in truth.values.T]).T,
        "presses_s": np.array([(press.start_s, press.end_s) for press in held]).reshape(-1, 2),
    }


@dataclass(frozen=True)
class Contacted:
    """What was found in a recording; `loads` [n, 6] are the contact loads row by row."""

    onsets: Found
    ends: Found
    loads: Rows


class Subject(Protocol):
    """What finds contacts."""

    def contacts(self, scene: Scene) -> Contacted:
        """All of a scene."""


class Ours:
    """Calibrated on a steady recording; contacts and blows as the pipeline finds them."""

    def __init__(self, steady: Scene) -> None:
        rows, _ = self._settled(steady)
        self.models, self.lines = calibrated(CHANNELS, [rows], RATE_HZ, ALARMS_PER_HOUR)
        self.blows = TaoLora()
        self.blows.calibrate([steady], ALARMS_PER_HOUR)

    @property
    def model(self) -> ContactModel:
        """Of the wrench."""
        return self.models[0]

    def contacts(self, scene: Scene) -> Contacted:
        rows, settled_at = self._settled(scene)
        contacts = Contacts(self.models, len(CHANNELS), RATE_HZ, Settings.max_contact_s)
        onsets: Found = []
        ends: Found = []
        loads = np.full((len(rows), 6), np.nan)
        times_ns = np.round(scene.times_s * 1e9).astype(np.int64).tolist()
        delay = round(contacts.load_delay_ns * 1e-9 * RATE_HZ)  # a load is stamped back by so much
        for i, (time_ns, row) in enumerate(zip(times_ns, rows, strict=True)):
            for change, contact in contacts.push(time_ns, row):
                at_ns = contact.onset_ns if change is Change.ONSET else contact.end_ns
                reported_s = scene.times_s[settled_at[i]]
                (onsets if change is Change.ONSET else ends).append((at_ns * 1e-9, reported_s))
            loads[max(i - delay, 0)] = contacts.load(0)
        return Contacted(onsets, ends, loads)

    def _settled(self, scene: Scene) -> tuple[Rows, NDArray[np.int64]]:
        return GlitchFilter(CHANNELS, RATE_HZ).run(scene.rows, scene.fresh)


class WrenchThreshold:
    """What people take: a threshold of the force less its mean, at 1.1 times its calibration's."""

    def __init__(self, steady: Scene) -> None:
        force = steady.rows[:, 6:9]
        self._mean = np.nanmean(force, axis=0)
        self._threshold = 1.1 * np.nanmax(np.linalg.norm(force - self._mean, axis=1))

    def contacts(self, scene: Scene) -> Contacted:
        loads = np.pad(scene.rows[:, 6:9] - self._mean, ((0, 0), (0, 3)))
        above = np.linalg.norm(loads, axis=1) > self._threshold
        edges = np.flatnonzero(np.diff(above, prepend=False, append=False))
        times_s = np.append(scene.times_s, scene.times_s[-1])[edges]
        pairs = [(time_s, time_s) for time_s in times_s.tolist()]
        return Contacted(pairs[::2], pairs[1::2], loads)


def bench_presses(
    mountings: int, cache: Path, data: Path | None, say: Callable[[str], None]
) -> Iterator[Measurement]:
    """Measure on so many mountings, two minutes with presses and five steady ones of each."""
    pressed: dict[str, list[tuple[Pressed, Contacted]]] = {OURS: [], PEER: []}
    calm: dict[str, list[Contacted]] = {OURS: [], PEER: []}
    blows: list[bool] = []
    for number in range(mountings):
        say(f"presses: mounting {number + 1} of {mountings}")
        mounting = _MOUNTING + number
        steady = recorded(mounting, _CALIBRATION + number, False, cache).scene
        ours = Ours(steady)
        subjects: dict[str, Subject] = {OURS: ours, PEER: WrenchThreshold(steady)}
        for seed in (2 * number, 2 * number + 1):
            one = recorded(mounting, _PRESSES + seed, True, cache)
            for name, subject in subjects.items():
                pressed[name].append((one, subject.contacts(one.scene)))
            blows += _taps_found(one, ours.blows)
        for seed in range(5 * number, 5 * number + 5):
            one = recorded(mounting, _STEADY + seed, False, cache)
            for name, subject in subjects.items():
                calm[name].append(subject.contacts(one.scene))
    for name, found in pressed.items():
        yield from _scores(name, found)
        count = sum(len(contacted.onsets) for contacted in calm[name])
        hours = len(calm[name]) * SCENE_S / 3600.0
        yield Measurement(name, "presses-steady", "hours", hours, "h")
        yield Measurement(name, "presses-steady", "contacts", count, "")
    yield Measurement(OURS, "presses", "taps_within", len(blows), "")
    yield Measurement(OURS, "presses", "taps_within_recall", float(np.mean(blows)), "")
    if data and data.is_dir():
        yield from _kuka(data)


def _scores(name: str, found: Iterable[tuple[Pressed, Contacted]]) -> Iterator[Measurement]:
    onset_s: list[float] = []
    reported_s: list[float] = []
    end_s: list[float] = []
    squares: list[Rows] = []
    others = 0
    for one, contacted in found:
        matched = 0
        for begin_s, over_s in one.presses_s:
            onset = min(contacted.onsets, key=lambda o: abs(o[0] - begin_s), default=None)
            missed = onset is None or abs(onset[0] - begin_s) > FOUND_S
            onset_s.append(np.inf if onset is None or missed else onset[0] - begin_s)
            reported_s.append(np.inf if onset is None or missed else onset[1] - begin_s)
            matched += not missed
            end = min(contacted.ends, key=lambda e: abs(e[0] - over_s), default=(np.inf, np.inf))
            early = end[0] < over_s - ENDED_S
            end_s.append(np.inf if missed or early else end[1] - over_s)
        others += len(contacted.onsets) - matched
        off = (contacted.loads - one.contact)[one.held, :3]
        squares.append((off[np.isfinite(off).all(axis=1)] ** 2).sum(axis=1))
    values = {
        ("presses", ""): len(onset_s),
        ("found_within_150_ms", ""): float(np.mean(np.array(reported_s) <= FOUND_S)),
        ("ends_within_300_ms", ""): float(np.mean(np.array(end_s) <= ENDED_S)),
        ("onset_delay_p50", "ms"): _of_found(onset_s, 0.5),
        ("reported_after_p50", "ms"): _of_found(reported_s, 0.5),
        ("reported_after_p95", "ms"): _of_found(reported_s, 0.95),
        ("end_reported_after_p50", "ms"): _of_found(end_s, 0.5),
        ("other_contacts", ""): others,
        ("force_error_rms", "N"): float(np.sqrt(np.concatenate(squares).mean())),
    }
    for (metric, unit), value in values.items():
        if np.isfinite(value):
            yield Measurement(name, "presses", metric, value, unit)


def _of_found(seconds: list[float], share: float) -> float:
    """A quantile of the delays of what was found, in ms; NaN where nothing was."""
    found = [one for one in seconds if np.isfinite(one)]
    return 1e3 * float(np.quantile(found, share)) if found else np.nan


def _taps_found(one: Pressed, detector: TaoLora) -> list[bool]:
    """Whether each tap of 5 sigma and more within a press has an onset of its own."""
    events_s = detector.detect(one.scene).events_s
    begin_s, end_s = one.presses_s.T
    return [
        bool((np.abs(events_s - tap_s) <= TAP_S).any())
        for tap_s, sigma in zip(one.scene.impacts_s, one.scene.sigmas, strict=True)
        if sigma >= 5.0 and ((begin_s < tap_s) & (tap_s < end_s)).any()
    ]


def _kuka(data: Path) -> Iterator[Measurement]:
    """What is left of a KUKA arm's wrench, calibrated on the motion without taps."""
    calm, struck = kuka.baseline(data), kuka.taps(data)
    ours = Ours(calm)
    yield Measurement(OURS, "presses-kuka", "threshold", ours.model.thresholds[0], "N")
    yield Measurement(OURS, "presses-kuka", "unexplained", ours.model.noise[0], "N")
    for scene in (calm, replace(struck, impacts_s=np.empty(0))):
        case, found = f"presses-kuka-{scene.name}", ours.contacts(scene)
        force = np.linalg.norm(found.loads[:, :3], axis=1)
        rms = float(np.sqrt(np.nanmean(force**2)))
        yield Measurement(OURS, case, "contacts", len(found.onsets), "")
        yield Measurement(OURS, case, "contact_load_rms", rms, "N")
