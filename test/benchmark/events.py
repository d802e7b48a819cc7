"""`tao-lora bench events`: our router beside the detectors that people take instead.

Every detector is set by one rule on the same steady recordings, to one false alarm an hour, and
scored on others.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmark import kuka
from benchmark.detectors import Detector
from benchmark.drift import Adwin, PageHinkley
from benchmark.our_detector import TaoLora
from benchmark.peer_detectors import RupturesWindow, StaLta, Threshold, ZDetect
from benchmark.scenes import Scene, simulated
from benchmark.score import Outcome, detection_metrics, outcome, size_metrics, steady_metrics
from tao_lora_ros.benchmarks.results import Measurement

PACKAGES = ("numpy", "scipy", "mujoco", "obspy", "river", "ruptures")
ALARMS_PER_HOUR = 1.0
# Training used the seeds below 10000; router and peers' filters were chosen on 80000 to 239999.
_TEST_SEED, _CALIBRATION_SEED, _STEADY_SEED = 340_000, 350_000, 360_000
_SIGMAS = (0.0, 5.0, 10.0, 20.0, 50.0, float("inf"))
_SCALES = (0.0, 0.1, 0.2, 0.35, 0.5)  # 0: nothing is planted, all hits are by chance
_TIMED_ROWS, _TIMED_ROUNDS = 5000, 5

Say = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """How much to measure: recordings of a minute, copies of the baseline, of each kind."""

    contacts: int = 20
    calibration: int = 30
    steady: int = 180
    copies: int = 25


QUICK = Size(contacts=2, calibration=3, steady=12, copies=3)


def default_cache() -> Path:
    """Folder in which simulated recordings are kept."""
    return Path(tempfile.gettempdir()) / "tao-lora-bench"


def bench_events(
    size: Size, cache: Path, say: Say = print, data: Path | None = None
) -> list[Measurement]:
    """Measure all that can be measured here; what cannot is said in a line each.

    Args:
        size: how much.
        cache: folder for simulated recordings.
        say: takes lines of progress.
        data: folder of the KUKA recordings (default: `kuka.data_folder()`).
    """
    subjects = [kind for kind in _DETECTORS if _installed(kind, say)]
    rows: list[Measurement] = []
    if find_spec("mujoco") is None:
        say("cases sim-*: left out, MuJoCo is not installed; pip install mujoco")
    else:
        rows += _simulation(subjects, size, cache, say)
    data = data or kuka.data_folder()
    if not data.is_dir():
        say(f"cases kuka-*: left out, {data} does not exist; set TAO_LORA_DATA")
    else:
        rows += _kuka(subjects, size, data, say)
    return rows


_DETECTORS: tuple[Callable[[], Detector], ...] = (
    TaoLora,
    StaLta,
    ZDetect,
    Adwin,
    PageHinkley,
    RupturesWindow,
    Threshold,
)


def _installed(kind: Callable[[], Detector], say: Say) -> bool:
    detector = kind()
    missing = [package for package in detector.needs if find_spec(package) is None]
    if missing:
        say(
            f"subject {detector.name}: left out, {' and '.join(missing)} not installed; "
            "pip install -r requirements/benchmark.txt"
        )
    return not missing


def _simulation(
    subjects: Sequence[Callable[[], Detector]], size: Size, cache: Path, say: Say
) -> list[Measurement]:
    def scenes(seed: int, count: int, contacts: bool) -> Iterable[Scene]:
        return simulated(range(seed, seed + count), contacts, cache)

    say(f"simulation: {size.calibration} steady minutes to calibrate on")
    calibration = list(scenes(_CALIBRATION_SEED, size.calibration, False))
    say(f"simulation: {size.contacts} minutes with contacts")
    struck = list(scenes(_TEST_SEED, size.contacts, True))
    detectors = _calibrated(subjects, calibration, say)
    rows = _cpu_times(detectors, struck[0])
    for detector in detectors:
        outcomes = [outcome(scene, detector.detect(scene)) for scene in struck]
        rows += detection_metrics(detector.name, "sim-all", outcomes)
        for low, high in pairwise(_SIGMAS):
            case = f"sim-{low:g}+" if high == _SIGMAS[-1] else f"sim-{low:g}-{high:g}"
            rows += size_metrics(detector.name, case, outcomes, low, high)
    say(f"simulation: {size.steady} other steady minutes, for false alarms")
    steady: dict[str, list[Outcome]] = {detector.name: [] for detector in detectors}
    for scene in scenes(_STEADY_SEED, size.steady, False):
        for detector in detectors:
            steady[detector.name].append(outcome(scene, detector.detect(scene)))
    for name, outcomes in steady.items():
        rows += steady_metrics(name, "sim-steady", outcomes)
    return rows


def _kuka(
    subjects: Sequence[Callable[[], Detector]], size: Size, data: Path, say: Say
) -> list[Measurement]:
    calm, struck = kuka.baseline(data), kuka.taps(data)
    say(f"KUKA: {calm.hours * 3600:.1f} s of steady motion to calibrate on")
    detectors = _calibrated(subjects, [calm], say)
    cases = {"kuka-taps": [struck]} | {
        f"kuka-planted-{scale:.2f}": list(kuka.planted(calm, struck, scale, size.copies))
        for scale in _SCALES
    }
    return [
        row
        for case, scenes in cases.items()
        for detector in detectors
        for row in detection_metrics(
            detector.name, case, [outcome(scene, detector.detect(scene)) for scene in scenes]
        )
    ]


def _calibrated(
    subjects: Sequence[Callable[[], Detector]], steady: Sequence[Scene], say: Say
) -> list[Detector]:
    detectors = [kind() for kind in subjects]
    for detector in detectors:
        say(f"calibrating {detector.name}")
        detector.calibrate(steady, ALARMS_PER_HOUR)
    return detectors


def _cpu_times(detectors: Sequence[Detector], scene: Scene) -> list[Measurement]:
    """Median time a row of each, taken in turns: all rows at once; of ours also row by row."""
    parts = ("rows", "fresh", "times_s")
    piece = replace(scene, **{part: getattr(scene, part)[:_TIMED_ROWS] for part in parts})
    ways: dict[tuple[str, str], Callable[[Scene], object]] = {}
    for detector in detectors:
        ways[detector.name, "us_per_sample"] = detector.detect
        if isinstance(detector, TaoLora):
            ways[detector.name, "us_per_sample_row_by_row"] = detector.detect_row_by_row
    taken: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    for _ in range(_TIMED_ROUNDS):
        for way, detect in ways.items():
            start = time.process_time()
            detect(piece)
            taken[way].append(time.process_time() - start)
    return [
        Measurement(name, "sim-all", metric, median(seconds) / len(piece.rows) * 1e6, "us")
        for (name, metric), seconds in taken.items()
    ]
