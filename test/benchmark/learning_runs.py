"""What learning while running brings: BorealTC's terrains, a short calibration, then more of them.

Each terrain's whole runs in two halves, both ways round: the first runs of a half calibrate until
there is a minute of them, the others are learned, the other half is tested. Beside that: a robot
that rests long after its calibration, and then moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmark import borealtc
from benchmark.real_events import (
    SIZES,
    Ours,
    Rows,
    halves,
    hits,
    plant,
    poisson_interval,
    terrain_runs,
)
from tao_lora_ros.benchmarks.results import OURS, Measurement
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.learning import learning_config

LEAST_S = 60.0  # that a calibration takes
REST_S = 8 * 3600.0
_REST_SIGMA = 0.01  # of what rest measures, of the standard deviation of motion

Learned = Callable[[Ours, Sequence[Rows]], Iterator[Rows]]  # the rows that are learned


def bench_learning(data: Path, targets: Sequence[float] = (1.0, 30.0)) -> Iterator[Measurement]:
    """Alarms an hour and recall after each way to learn, over all terrains and halves."""
    runs = terrain_runs(data)
    for target in targets:
        for name, rows_of in _WAYS.items():
            yield from _measure(runs, target, name, rows_of)


def _measure(
    runs: dict[str, list[Rows]], target: float, name: str, learned: Learned
) -> Iterator[Measurement]:
    case = f"learning-{name}-at-{target:g}"
    alarms, hours = 0, 0.0
    found: dict[float, list[float]] = {size: [] for size in SIZES}
    factors = []
    for terrain in runs:
        for half, others in halves(runs[terrain]):
            ours = Ours(borealtc.CHANNELS, borealtc.RATE_HZ)
            first = _first(half)
            ours.calibrate(half if name == "calibrated-on-all" else half[:first], target)
            before = ours.thresholds
            _learn(ours, learned(ours, half[first:]))
            factors += np.exp((ours.thresholds - before) / 2.0).tolist()
            alarms += sum(ours.route(rows)[1] for rows in others)
            hours += sum(map(len, others)) / borealtc.RATE_HZ / 3600.0
            for size in SIZES:
                rng = np.random.default_rng(1)
                planted = [plant(rows, size, rng) for rows in others]
                hit = [h for one in planted for h in hits(ours.route(one.rows)[0], one.at)]
                found[size].append(float(np.mean(hit)))
    low, high = poisson_interval(alarms)
    yield Measurement(OURS, case, "alarms_per_hour", alarms / hours, "1/h")
    yield Measurement(OURS, case, "low_95", low / hours, "1/h")
    yield Measurement(OURS, case, "high_95", high / hours, "1/h")
    for size, recalls in found.items():
        yield Measurement(OURS, case, f"recall_at_{size:g}", float(np.mean(recalls)), "")
    yield Measurement(OURS, case, "least_threshold_factor", min(factors), "")
    yield Measurement(OURS, case, "largest_threshold_factor", max(factors), "")


def _first(half: Sequence[Rows]) -> int:
    seconds = np.cumsum([len(rows) for rows in half]) / borealtc.RATE_HZ
    return int(np.searchsorted(seconds, LEAST_S)) + 1


def _learn(ours: Ours, runs: Iterator[Rows]) -> None:
    """Go on from the calibration with these rows."""
    learns = learning_config(True, 0.25, 0.25, ours.rate_hz)
    detector = Detector(ours.calibration, ours.config, learns, ours.rate_hz)
    for rows in runs:
        times_ns = np.arange(len(rows)) * round(1e9 / ours.rate_hz)
        for _ in detector.run(times_ns, ours.settle(rows)):
            pass
        detector.clear()
    ours.calibration = detector.calibration


def _nothing(_: Ours, __: Sequence[Rows]) -> Iterator[Rows]:
    return iter(())


def _others(_: Ours, others: Sequence[Rows]) -> Iterator[Rows]:
    return iter(others)


def _rest(ours: Ours, others: Sequence[Rows]) -> Iterator[Rows]:
    """Hours of standing: the sensor's noise around what it measures on average."""
    moved = np.concatenate(others)
    rng, hour = np.random.default_rng(0), round(3600 * ours.rate_hz)
    for _ in range(round(REST_S / 3600.0)):
        yield moved.mean(axis=0) + rng.normal(size=(hour, 6)) * _REST_SIGMA * moved.std(axis=0)


def _rest_and_others(ours: Ours, others: Sequence[Rows]) -> Iterator[Rows]:
    yield from _rest(ours, others)
    yield from others


_WAYS: dict[str, Learned] = {
    "nothing": _nothing,
    "other-runs": _others,
    "eight-hours-at-rest": _rest,
    "rest-then-other-runs": _rest_and_others,
    "calibrated-on-all": _nothing,
}
