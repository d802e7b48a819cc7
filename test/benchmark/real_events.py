"""Detection on real recordings: planted bursts, false alarms, spoilt calibrations.

BorealTC's terrains (100 Hz, whole runs calibrate or test, both ways round) and a KUKA arm's motion
(500 Hz), read in place from $TAO_LORA_DATA or beside the checkout.

Peers get the thresholds with which they alarm as often as we do in the very runs that the bursts
are planted into: they are told what we have to foresee. Beside that they foresee it themselves
(`-foreseen`), by our rule, from the runs that we calibrate on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import borealtc, kuka
from benchmark.our_detector import TaoLora
from tao_lora_ros.benchmarks.results import OURS, Measurement
from tao_lora_ros.detection import tail
from tao_lora_ros.detection.calibration import calibrated, uncalibrated
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.findings import Findings
from tao_lora_ros.detection.glitch_filter import GlitchFilter
from tao_lora_ros.detection.router import Change
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.signals import router_config

Rows = NDArray[np.float64]

SIZES = (10.0, 30.0, 100.0)  # m/s^2
SHAPE = np.array([1.0, -0.6, 0.3, -0.1])  # rows of a burst
APART = 500  # rows from one burst to the next, on average
HIT_ROWS = 7  # from a burst's first row on
TARGETS = (1.0, 30.0, 300.0)  # false alarms an hour
START_ROWS = 60  # in which nobody is ready
SPLITS = 5  # into halves, of each terrain's runs
HOLD_ROWS = 7  # alarms this close are one, as they are for our route


@dataclass(frozen=True)
class Planted:
    """A run with bursts; `at` are their first rows."""

    rows: Rows
    at: NDArray[np.int64]


def plant(rows: Rows, size: float, rng: np.random.Generator) -> Planted:
    """Add bursts of random directions to the accelerometer, the first three channels."""
    rows, at = rows.copy(), []
    row = START_ROWS + int(rng.integers(APART))
    while row < len(rows) - 2 * HIT_ROWS:
        direction = rng.normal(size=3)
        direction *= size / np.linalg.norm(direction)
        rows[row : row + len(SHAPE), :3] += SHAPE[:, None] * direction
        at.append(row)
        row += int(rng.integers(APART // 2, 3 * APART // 2))
    return Planted(rows, np.array(at, np.int64))


class Ours:
    """The router with default settings on recordings of some channels."""

    def __init__(self, channels: Sequence[str], rate_hz: float) -> None:
        self.channels, self.rate_hz = tuple(channels), rate_hz
        self.calibration = uncalibrated(channels, rate_hz)
        self.config = router_config(Settings(), rate_hz)

    def calibrate(self, runs: Sequence[Rows], alarms_per_hour: float) -> Findings:
        """Set the thresholds, and say of what."""
        rows = [self.settle(run) for run in runs]
        self.calibration, found = calibrated(self.calibration, rows, self.rate_hz, alarms_per_hour)
        return found

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """All of them, [k]."""
        return np.array(self.calibration.thresholds + self.calibration.level_thresholds)

    def route(self, rows: Rows) -> tuple[NDArray[np.bool_], int]:
        """Whether each row is in a transient, and how many begin."""
        times_ns = np.arange(len(rows)) * round(1e9 / self.rate_hz)
        found, onsets = [np.empty(0, bool)], 0
        detector = Detector(self.calibration, self.config)
        for steps, change, _ in detector.run(times_ns, self.settle(rows)):
            found.append(steps["transient"].copy())
            onsets += change is Change.ONSET
        return np.concatenate(found), onsets

    def settle(self, rows: Rows) -> Rows:
        return GlitchFilter(self.channels, self.rate_hz).run(rows, rows)[0]


# A peer is a statistic of rows [n, 6] at 100 Hz, [n]; it alarms above a threshold.
Peer = Callable[[Rows], Rows]


def jerk(rows: Rows) -> Rows:
    """Length of the accelerometer's change from row to row."""
    return np.linalg.norm(np.diff(rows[:, :3], axis=0, prepend=rows[:1, :3]), axis=1)


def sta_lta(short: int, long: int, rate_hz: float = borealtc.RATE_HZ) -> Peer:
    """ObsPy's `recursive_sta_lta` of every channel, high-passed at 20 Hz; the largest ratio."""

    def statistic(rows: Rows) -> Rows:
        signal = import_module("scipy.signal")
        highpass = signal.butter(2, 20.0, "highpass", fs=rate_hz, output="sos")
        energies = signal.sosfilt(highpass, rows - rows[0], axis=0) ** 2
        averages = [
            signal.lfilter([1 / n], [1, 1 / n - 1], energies, axis=0) for n in (short, long)
        ]
        return np.asarray((averages[0] / (averages[1] + 1e-12)).max(axis=1))

    return statistic


def ruptures_window(rows: Rows) -> Rows:
    """ruptures' sliding window for shifts of the mean, of the logarithm of the jerk."""
    import ruptures

    half = 4
    search = ruptures.Window(width=2 * half, model="l2", jump=1)
    search.fit(np.log(jerk(rows) + 1e-2))
    gains = np.zeros(len(rows))
    gains[np.minimum(search.inds + half, len(rows) - 1)] = search.score
    return gains


def foreseen(peer: Peer, bound: float, steady: Sequence[Rows], target: float) -> float:
    """The threshold that our rule sets on steady runs, by a statistic that lies below `bound`.

    Its tail is that of the logarithm of the odds of the bound, as STA/LTA cannot pass it.
    """
    odds = []
    for rows in steady:
        found = np.minimum(peer(rows)[:, None], bound * (1.0 - 1e-9))
        odds.append(np.log((found + 1e-9) / (bound - found)))
        odds[-1][:START_ROWS] = -np.inf
    level = tail.thresholds(odds, borealtc.RATE_HZ, target)[0][0]
    return bound / (1.0 + float(np.exp(-level)))


# Lengths that do best on these recordings of 2, 20; 2, 64; 3, 100 and 4, 40 rows.
PEERS: dict[str, Peer] = {"jerk-threshold": jerk, "recursive-sta-lta-0.04-0.4s": sta_lta(4, 40)}
PEERS["recursive-sta-lta-0.03-1s"] = sta_lta(3, 100)
BOUNDS = dict(zip(PEERS, (1e9, 40 / 4, 100 / 3), strict=True))
if find_spec("ruptures"):
    PEERS["ruptures-window"] = ruptures_window


def alarms(statistic: Rows, threshold: float) -> int:
    """How often a statistic alarms anew."""
    rows = np.flatnonzero(statistic[START_ROWS:] >= threshold)
    return int(np.count_nonzero(np.diff(rows) > HOLD_ROWS)) + (len(rows) > 0)


def threshold_for(statistics: Sequence[Rows], count: int) -> float:
    """The lowest threshold with which there are at most so many alarms, from the largest down."""
    values = np.sort(np.concatenate([statistic[START_ROWS:] for statistic in statistics]))[::-1]
    lowest = float(np.nextafter(values[0], np.inf))
    for value in values:
        if sum(alarms(statistic, value) for statistic in statistics) > count:
            break
        lowest = float(value)
    return lowest


def hits(alarming: NDArray[np.bool_], at: NDArray[np.int64]) -> list[bool]:
    return [bool(alarming[row : row + HIT_ROWS].any()) for row in at]


def halves(runs: Sequence[Rows], splits: int = 1) -> Iterator[tuple[list[Rows], list[Rows]]]:
    """Half of the runs to calibrate on and the others to test, and the other way round.

    First every other run, then random halves.
    """
    for seed in range(splits):
        order = np.arange(len(runs))
        if seed:
            np.random.default_rng(seed).shuffle(order)
        for first in (0, 1):
            yield [runs[i] for i in order[first::2]], [runs[i] for i in order[1 - first :: 2]]


def planted_bursts(
    runs: dict[str, list[Rows]], target: float, splits: int
) -> Iterator[Measurement]:
    """Recall by terrain and size at equal measured alarms, and of a usual jerk threshold.

    Of a peer also how much more of the same bursts it finds, and the error of that: it varies from
    half to half, of which two share no run.
    """
    for terrain, of_terrain in runs.items():
        found: dict[tuple[str, float], list[list[bool]]] = {}
        count: dict[str, int] = {}
        hours = 0.0
        for number, (steady, others) in enumerate(halves(of_terrain, splits)):
            hours += sum(map(len, others)) / borealtc.RATE_HZ / 3600.0
            for name, alarming in _set_up(steady, others, target, count).items():
                for size in SIZES:
                    rng = np.random.default_rng(1 + number)
                    planted = [plant(rows, size, rng) for rows in others]
                    hit = [one for b in planted for one in hits(alarming(b.rows), b.at)]
                    found.setdefault((name, size), []).append(hit)
        for (name, size), of_halves in found.items():
            case = f"real-{terrain}-{size:g}-at-{target:g}"
            yield Measurement(name, case, "bursts", sum(map(len, of_halves)), "")
            yield Measurement(name, case, "recall", float(np.mean(np.concatenate(of_halves))), "")
            yield Measurement(name, case, "alarms_per_hour", count[name] / hours, "1/h")
            if name != OURS:
                ours = found[OURS, size]
                ahead = [
                    np.mean(peer) - np.mean(own) for peer, own in zip(of_halves, ours, strict=True)
                ]
                error = float(np.std(ahead, ddof=1)) / 2**0.5
                yield Measurement(name, case, "ahead", float(np.mean(ahead)), "")
                yield Measurement(name, case, "ahead_error", error, "")


def _set_up(
    steady: list[Rows], others: list[Rows], target: float, count: dict[str, int]
) -> dict[str, Callable[[Rows], NDArray[np.bool_]]]:
    """What alarms, of every detector; adds to `count` the alarms in the other half as it is."""
    ours = Ours(borealtc.CHANNELS, borealtc.RATE_HZ)
    ours.calibrate(steady, target)
    allowed = sum(ours.route(rows)[1] for rows in others)
    levels, still = {}, {}
    for name, peer in PEERS.items():
        still[name] = [peer(rows) for rows in others]
        levels[name] = peer, threshold_for(still[name], allowed)
    for name, bound in BOUNDS.items():
        peer, own = PEERS[name], f"{name}-foreseen"
        levels[own], still[own] = (peer, foreseen(peer, bound, steady, target)), still[name]
    largest = max(jerk(rows)[START_ROWS:].max() for rows in steady)
    levels["jerk-1.1-max"], still["jerk-1.1-max"] = (jerk, 1.1 * largest), still["jerk-threshold"]
    count[OURS] = count.get(OURS, 0) + allowed
    for name, (_, level) in levels.items():
        count[name] = count.get(name, 0) + sum(alarms(one, level) for one in still[name])
    return {OURS: lambda rows: ours.route(rows)[0]} | {
        name: lambda rows, peer=peer, level=level: peer(rows) >= level
        for name, (peer, level) in levels.items()
    }


def measured_alarms(runs: dict[str, list[Rows]]) -> Iterator[Measurement]:
    """Alarms an hour of steady motion that the thresholds were not set on."""
    for target in TARGETS:
        count, hours = 0, 0.0
        for terrain in runs:
            for steady, others in halves(runs[terrain]):
                ours = Ours(borealtc.CHANNELS, borealtc.RATE_HZ)
                ours.calibrate(steady, target)
                count += sum(ours.route(rows)[1] for rows in others)
                hours += sum(map(len, others)) / borealtc.RATE_HZ / 3600.0
        low, high = poisson_interval(count)
        case = f"real-steady-at-{target:g}"
        yield Measurement(OURS, case, "hours", hours, "h")
        yield Measurement(OURS, case, "alarms_per_hour", count / hours, "1/h")
        yield Measurement(OURS, case, "low_95", low / hours, "1/h")
        yield Measurement(OURS, case, "high_95", high / hours, "1/h")


def spoilt_calibrations(runs: dict[str, list[Rows]]) -> Iterator[Measurement]:
    """How far blows and an overflow in steady motion move thresholds, and whether they are named.

    On all runs of a terrain, with blows of 1000 m/s^2: on snow 100 may be part of the motion.
    """
    for terrain, clean in runs.items():
        struck = [rows.copy() for rows in clean]
        at = [(i % len(clean), 300 + 150 * i) for i in range(3)]
        for run, row in at:
            struck[run][row : row + len(SHAPE), :3] += 1000.0 * SHAPE[:, None] / np.sqrt(3.0)
        ours = Ours(borealtc.CHANNELS, borealtc.RATE_HZ)
        for taps in range(4):
            touched = {run for run, _ in at[:taps]}
            rows = [struck[i] if i in touched else run for i, run in enumerate(clean)]
            yield from _spoilt(ours, clean, rows, at[:taps], f"real-{terrain}-taps-{taps}")
        rows = [run.copy() for run in clean]
        rows[0][500, :3] += 32768.0
        yield from _spoilt(ours, clean, rows, [(0, 500)], f"real-{terrain}-overflow")


def _spoilt(
    ours: Ours, clean: list[Rows], rows: list[Rows], at: list[tuple[int, int]], case: str
) -> Iterator[Measurement]:
    ours.calibrate(clean, 1.0)
    before = ours.thresholds
    found = ours.calibrate(rows, 1.0)
    change = ours.thresholds / before - 1.0
    named = [
        any(m.recording == run and m.first <= row < m.end for m in found.moments) for run, row in at
    ]
    yield Measurement(OURS, case, "planted", len(at), "")
    yield Measurement(OURS, case, "named", sum(named), "")
    yield Measurement(OURS, case, "moments", len(found.moments), "")
    yield Measurement(OURS, case, "largest_change", float(np.abs(change).max()), "")


def kuka_taps(data: Path) -> Iterator[Measurement]:
    """A KUKA arm: four taps, and the same motion without any; calibrated on the latter."""
    folder = data / "kuka_ft_imu"
    calm, struck = kuka.baseline(folder), kuka.taps(folder)
    router = TaoLora()
    router.calibrate([calm], 1.0)
    begins = router.detect(struck).events_s
    farthest = max(float(np.abs(begins - tap).min(initial=np.inf)) for tap in struck.impacts_s)
    yield Measurement(OURS, "real-kuka", "events", len(begins), "")
    yield Measurement(OURS, "real-kuka", "farthest_from_a_tap", 1e3 * farthest, "ms")
    without = len(router.detect(calm).events_s)
    yield Measurement(OURS, "real-kuka", "events_without_taps", without, "")


def poisson_interval(count: int) -> tuple[float, float]:
    """Of the mean of a count, 95 % (Garwood 1936)."""
    chi2 = import_module("scipy.stats").chi2
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low), float(chi2.ppf(0.975, 2 * count + 2) / 2)


def terrain_runs(data: Path) -> dict[str, list[Rows]]:
    """BorealTC's runs by terrain; `data` is the folder of the recordings."""
    runs: dict[str, list[Rows]] = {}
    for run in borealtc.read_runs(data / "borealtc" / "imu_runs.npz"):
        runs.setdefault(run.spans[0].label, []).append(np.asarray(run.values, float))
    return runs


def bench_real(data: Path, quick: bool) -> list[Measurement]:
    """Measure all of it; `quick`: one terrain, few bursts.

    Args:
        data: folder of the recordings.
        quick: little of it.
    """
    runs = terrain_runs(data)
    if quick:
        runs = {"ICE": runs["ICE"]}
    rows = [*kuka_taps(data), *spoilt_calibrations(runs), *measured_alarms(runs)]
    for target in TARGETS[:2]:
        rows += planted_bursts(runs, target, 1 if quick else SPLITS)
    return rows
