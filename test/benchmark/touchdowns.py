"""Touchdowns of feet from IMU and wrench, calibrated on standing alone.

LCD's and RaiSim's simulated feet and a real GO1's, read in place from $TAO_LORA_DATA or beside the
checkout. As a user would: rows to bags, `calibrate` on the bags of standing, `replay`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.real_events import sta_lta
from benchmark.score import f1, match
from tao_lora_ros.bags.import_layout import Layout
from tao_lora_ros.bags.importing import import_tables
from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.replay import Replay, replay
from tao_lora_ros.benchmarks.results import OURS, Measurement
from tao_lora_ros.detection.bearing import AIR_S, new_bearings, touchdown
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import channels_of, source_configs
from tao_lora_ros.messages.results import Kind, Phase
from tao_lora_ros.model.event_head import EventHead
from tao_lora_ros.training.calibrate import detection_only, recalibrate

Rows = NDArray[np.float64]

COLUMNS = ("fx", "fy", "fz", "tx", "ty", "tz", "ax", "ay", "az", "wx", "wy", "wz")
TOLERANCE_S = 0.05
STEP_S = 0.05  # in the air; what is shorter is a bounce
STANDING_S, MARGIN_S = 1.0, 0.1  # stable contact; not taken of it at either end
HOLD_S = 0.064  # alarms of a peer this close are one, as they are for our route
# Highest contact force of RaiSim's noise in the air, N; its labels tell slip from no slip alone.
_RAISIM_NOISE = 20.0
_GO1_AIR = 100.0  # counts; it stands with 251 and is 21 to 46 in the air


@dataclass(frozen=True)
class Walk:
    """One foot's recording.

    Args:
        name: what it is called.
        rows: of `COLUMNS`, [n, 12].
        rate_hz: of the rows.
        air: whether nothing touches, [n].
        stable: whether the foot stands, [n].
    """

    name: str
    rows: Rows
    rate_hz: float
    air: NDArray[np.bool_]
    stable: NDArray[np.bool_]

    def touchdowns_s(self, least_s: float) -> Rows:
        """When contact begins after at least so long in the air."""
        spans = _spans(self.air)
        ends = [end for first, end in spans if end - first >= least_s * self.rate_hz]
        return np.array([end for end in ends if end < len(self.air)]) / self.rate_hz

    @property
    def standing(self) -> list[Rows]:
        """Long stretches of stable contact."""
        margin = round(MARGIN_S * self.rate_hz)
        return [
            self.rows[first + margin : end - margin]
            for first, end in _spans(self.stable)
            if end - first >= STANDING_S * self.rate_hz
        ]


def _spans(holds: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], holds.astype(int), [0]))))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def read_walks(data: Path) -> Iterator[Walk]:
    """The recordings with an IMU and a wrench on one clock."""
    for file in sorted((data / "lcd").glob("*.csv")):
        table = np.loadtxt(file, delimiter=",")
        yield Walk(file.stem, table[:, :12], 100.0, table[:, 12] == 1, table[:, 12] == 0)
    table = np.loadtxt(data / "contact_raisim_go1" / "ATLAS_01ground.csv", delimiter=",")
    air = table[:, 2] < _RAISIM_NOISE
    yield Walk("ATLAS_01ground_1kHz", table[:, :12], 1000.0, air, ~air)


def replayed(walk: Walk, folder: Path, head: EventHead | None = None) -> tuple[Replay, Pipeline]:
    """A recording replayed by a pipeline calibrated on its standing; a head names events."""
    steady = [
        _bag(rows, walk.rate_hz, folder, f"standing{i}") for i, rows in enumerate(walk.standing)
    ]
    whole = _bag(walk.rows, walk.rate_hz, folder, "whole")
    settings = Settings()
    start = detection_only(channels_of(settings), walk.rate_hz)
    artifact = recalibrate(start, steady, settings, {}, 1.0).artifact
    pipeline = Pipeline(settings, replace(artifact, event_head=head))
    with BagReader(whole, source_configs(settings)) as reader:
        return replay(reader, pipeline), pipeline


def onsets_s(walk: Walk, folder: Path) -> list[tuple[float, bool]]:
    """When each event of a replay begins, and whether it is said to be a touchdown."""
    result, _ = replayed(walk, folder)
    return [
        ((event.onset_ns - result.first_stamp_ns) * 1e-9, event.kind is Kind.TOUCHDOWN)
        for event in result.events
        if event.phase is Phase.END
    ]


def _bag(rows: Rows, rate_hz: float, folder: Path, name: str) -> Path:
    """Through a CSV file, as a user's."""
    source = folder / f"{name}-csv"
    source.mkdir()
    times = np.arange(len(rows))[:, None] / rate_hz
    header = ",".join(("time", *COLUMNS))
    np.savetxt(
        source / f"{name}.csv", np.hstack((times, rows)), "%.9g", ",", header=header, comments=""
    )
    return next(import_tables([source], folder, Layout())).bag


def _jerk(walk: Walk, rows: Rows) -> Rows:
    return np.linalg.norm(np.diff(rows[:, 6:9], axis=0, prepend=rows[:1, 6:9]), axis=1)


def _sta_lta(walk: Walk, rows: Rows) -> Rows:
    """Of all channels; windows of 0.04 and 0.4 s."""
    scale = walk.rate_hz / 100.0
    return sta_lta(round(4 * scale), round(40 * scale), walk.rate_hz)(rows)


PEERS = {"jerk-threshold": _jerk, "recursive-sta-lta-0.04-0.4s": _sta_lta}


def _alarms_s(statistic: Rows, threshold: float, rate_hz: float) -> Rows:
    rows = np.flatnonzero(statistic >= threshold)
    if not len(rows):
        return np.empty(0)
    apart = np.diff(rows, prepend=-np.inf) > HOLD_S * rate_hz
    return rows[apart] / rate_hz


def force_threshold_s(walk: Walk, standing: Sequence[Rows]) -> Rows:
    """When fz is above 20 % of what it is in standing, after it was below 10 %."""
    usual = float(np.mean(np.concatenate(standing)[:, 2]))
    found, unloaded = [], False
    for row, force in enumerate(walk.rows[:, 2]):
        if force < 0.1 * usual:
            unloaded = True
        elif force > 0.2 * usual and unloaded:
            found.append(row)
            unloaded = False
    return np.array(found) / walk.rate_hz


def scored(subject: str, walk: Walk, found_s: Rows) -> Iterator[Measurement]:
    """F1 of every touchdown by the labels, and of those that end a flight."""
    case = f"touchdowns-{walk.name}"
    for what, least_s in (("", 0.0), ("_steps", STEP_S)):
        truth_s = walk.touchdowns_s(least_s)
        matches = match(truth_s, found_s, TOLERANCE_S)
        hit = matches >= 0
        false = len(found_s) - int(hit.sum())
        values = {
            "touchdowns": len(truth_s),
            "precision": float(hit.sum() / max(len(found_s), 1)),
            "recall": float(hit.mean()),
            "f1_50ms": f1(hit, false),
        }
        for name, value in values.items():
            yield Measurement(subject, case, f"{name}{what}", value, "")
    if hit.any():
        delays_ms = 1e3 * (found_s[matches[hit]] - truth_s[hit])
        yield Measurement(subject, case, "delay_median_ms", float(np.median(delays_ms)), "ms")


def _hindsight(walk: Walk, statistic: Rows) -> Rows:
    """Alarms at the threshold with the best F1, which nobody could know."""
    truth_s = walk.touchdowns_s(STEP_S)

    def score(threshold: float) -> float:
        found_s = _alarms_s(statistic, threshold, walk.rate_hz)
        hit = match(truth_s, found_s, TOLERANCE_S) >= 0
        return f1(hit, len(found_s) - int(hit.sum()))

    best = max(np.quantile(statistic, np.linspace(0.5, 1.0, 200)), key=score)
    return _alarms_s(statistic, float(best), walk.rate_hz)


def go1(data: Path) -> Iterator[Measurement]:
    """A real foot's load by itself: it stands for 0.25 s alone, too short to calibrate anything.

    It is in counts, at 500 Hz; touchdowns are by the counts too.
    """
    with (data / "contact_raisim_go1" / "GO1_matress.csv").open() as lines:
        force = np.array([float(line.partition(",")[0]) for line in lines])
    rows = np.zeros((len(force), len(COLUMNS)))
    rows[:, 2] = force
    stands = np.arange(len(force)) < 125
    walk = Walk("GO1_matress", rows, 500.0, force < _GO1_AIR, stands)
    bearings = new_bearings(1)
    bearings["load"], bearings["air_rows"] = force[stands].mean(), round(AIR_S * walk.rate_hz)
    zeros = np.zeros(1, np.int64)
    found = [row for row in range(len(force)) if touchdown(bearings, zeros, force[row : row + 1])]
    yield from scored(f"{OURS}-load-alone", walk, np.array(found) / walk.rate_hz)
    yield from scored("fz-threshold", walk, force_threshold_s(walk, [rows[stands]]))


def bench_touchdowns(data: Path) -> list[Measurement]:
    """Measure every recording; `data` is the folder of all."""
    rows: list[Measurement] = []
    for walk in read_walks(data):
        with tempfile.TemporaryDirectory() as folder:
            found = onsets_s(walk, Path(folder))
        rows += scored(OURS, walk, np.array([onset_s for onset_s, _ in found]))
        said = np.array([onset_s for onset_s, is_touchdown in found if is_touchdown])
        rows += scored(f"{OURS}-kind-touchdown", walk, said)
        rows += scored("fz-threshold", walk, force_threshold_s(walk, walk.standing))
        for name, peer in PEERS.items():
            level = 1.1 * max(peer(walk, part).max() for part in walk.standing)
            statistic = peer(walk, walk.rows)
            rows += scored(name, walk, _alarms_s(statistic, level, walk.rate_hz))
            rows += scored(f"{name}-hindsight", walk, _hindsight(walk, statistic))
    return [*rows, *go1(data)]
