"""Rows in, route and transients out: analyzer, router and tracker as one compiled step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection import analyzer, analyzer_state, learning, router, transients
from tao_lora_ros.detection.analyzer_state import AnalyzerState, Calibration
from tao_lora_ros.detection.learner import Learner
from tao_lora_ros.detection.learning import NOTHING, Collected, LearningConfig
from tao_lora_ros.detection.router import Change, RouterConfig
from tao_lora_ros.detection.transients import TrackerState, Transient
from tao_lora_ros.detection.unlike import MORE_ENERGY, Unlike
from tao_lora_ros.messages.route import Route
from tao_lora_ros.signal.compiled import compiled, inlined

_ONSET, _ACCEPTED, NO_CHANGE = int(Change.ONSET), int(Change.ACCEPTED), int(Change.NONE)
STEP = np.dtype([("score", np.float64), ("transient", np.bool_)])


LIVELY = 6  # memories of a level, in which more energy than calibrated is no passing thing
WALK_S = 10.0  # a robot that walks lifts its feet at least twice in this time


class _State(NamedTuple):
    """All that a detector remembers; the loops below work on it in place."""

    analyzer: AnalyzerState
    route: NDArray
    tracker: TrackerState
    collected: Collected
    livelier: NDArray[np.int64]  # since when motion was livelier for long, ns, 0: never; and now


class Step(NamedTuple):
    """What one row says: its score, the route from it on, and what it changed."""

    score: float
    path: Route
    change: Change


class Detector:
    """Follows settled rows and says, of each, whether something physical happens.

    A row given alone and the same row given among many lead to the same state, bit by bit.

    Args:
        calibration: what it starts from.
        config: hysteresis.
        learns: what thresholds are learned of while it runs; nothing by default.
        rate_hz: of the rows, where it learns.

    >>> from tao_lora_ros.detection.calibration import calibrated, uncalibrated
    >>> rows = np.random.default_rng(0).normal(0.0, 0.05, (6000, 2))  # 12 s of noise at 500 Hz
    >>> unknown = uncalibrated(("imu.accel_x", "imu.accel_y"), rate_hz=500.0)
    >>> calibration, _ = calibrated(unknown, [rows[:5000]], 500.0, alarms_per_hour=1.0)
    >>> rows[5500:5505] += 5.0  # both axes jump by 5 m/s^2 for 10 ms
    >>> detector = Detector(calibration, RouterConfig(0.7, hold_rows=32, max_transient_rows=1000))
    >>> changes = [detector.push(2_000_000 * row, rows[row]).change for row in range(5000, 6000)]
    >>> [(5000 + at, change.name) for at, change in enumerate(changes) if change is not Change.NONE]
    [(5500, 'ONSET'), (5541, 'END')]
    """

    def __init__(
        self,
        calibration: Calibration,
        config: RouterConfig,
        learns: LearningConfig = NOTHING,
        rate_hz: float = 1.0,
    ) -> None:
        self._calibration = calibration
        self._config = config
        self._rate_hz = rate_hz
        self._learner = Learner(calibration)
        self._learns = learns
        self._collected = self._new_collected()
        self._sizes = self._collected.now[["events", "excesses"]].copy()  # when learning ended
        self._steps = np.zeros(1, STEP)
        self._livelier = np.zeros(2, np.int64)
        self._state = self._new_state()
        self.interrupt()  # compiles, if nobody did before

    def clear(self) -> None:
        """Forget all signals and go back to steady; sequence numbers and what was learned stay."""
        self.interrupt()
        sequence = self._state.tracker.now["sequence"]
        self._state = self._new_state()
        self._state.tracker.now["sequence"] = sequence

    def _new_state(self) -> _State:
        calibration = self._calibration
        return _State(
            analyzer_state.new_analyzer(calibration),
            router.new_route(self._config),
            transients.new_tracker(max(calibration.scales), len(calibration.floors)),
            self._collected,
            self._livelier,
        )

    def _new_collected(self) -> Collected:
        return learning.new_collected(self._learns, self._learner.known, self._rate_hz)

    def configure(self, config: RouterConfig) -> None:
        """Take another hysteresis, between two rows."""
        self._config = config
        router.configure(self._state.route, config)

    def recalibrate(self, calibration: Calibration) -> None:
        """Take another calibration's thresholds and covariance; the past stays.

        What was learned is forgotten.
        """
        self._calibration = calibration
        self._learner = Learner(calibration)
        self._collected = self._new_collected()
        self._state = self._state._replace(collected=self._collected)
        self._state.analyzer.now["lively"], self._livelier[0] = 0, 0
        analyzer_state.recalibrate(self._state.analyzer, calibration)

    def learn(self, on: bool) -> None:
        """Learn from here on, or do no more; what was learned stays, and what events there were."""
        if on != self._learns.on:
            self._learns = replace(self._learns, on=on)
            self.interrupt()
            sizes = self._collected.now[["events", "excesses"]]
            if on:
                learning.forget(self._collected)
                sizes[:] = self._sizes
            else:
                self._sizes = sizes.copy()

    def interrupt(self) -> None:
        """There was a fault: the last while and what comes next are not to be learned."""
        learning.interrupt(self._collected)

    def flights(self, channel: int) -> tuple[float, int]:
        """What a channel's force always bears, N, and the flights of the last `WALK_S`.

        Those are of all forces, two of each at most; 0 where this one was not in the air.
        """
        analyzer, last = self._state.analyzer, WALK_S * self._rate_hz
        own, feet = analyzer.bearings[analyzer.forces[channel]], analyzer.bearings
        feet = feet[feet["load"] > 0.0]
        count = np.count_nonzero((feet["since"] < last, feet["before"] < last))
        load = float(own["load"])
        return load, int(count) if load and own["since"] < last else 0

    @property
    def unlike(self) -> Unlike | None:
        """Since when motion is unlike what was calibrated on, and how; none where it is not."""
        if self._livelier[0]:
            return Unlike(int(self._livelier[0]), MORE_ENERGY)
        return learning.unlike_in(self._collected, self._rate_hz)

    def forget_loads(self) -> None:
        """Look for touchdowns no more."""
        self._calibration = replace(self._calibration, borne_loads=())
        self._learner.start = replace(self._learner.start, borne_loads=())
        self._state.analyzer.bearings["load"] = 0.0

    @property
    def learner(self) -> Learner:
        """What was learned since the calibration."""
        return self._learner

    @property
    def state(self) -> _State:
        """What the compiled loops follow."""
        return self._state

    @property
    def memory(self) -> list[NDArray]:
        """What it remembers, to be worked on in place: not what it is learning, nor which channel
        belongs to what."""
        analyzer = self._state.analyzer
        _, *covariance = analyzer.covariance
        signals = analyzer.now, analyzer.scales, analyzer.before, analyzer.still, analyzer.changes
        energies = analyzer.means, analyzer.energies, analyzer.filters, analyzer.waiting
        route = analyzer.bearings, self._state.route, *self._state.tracker
        return [*signals, *covariance, *energies, *route]

    def stop(self) -> Transient | None:
        """End the transient that goes on, if any, at its last row; the route is steady."""
        route = self._state.route[0]
        if not route["transient"]:
            return None
        route["transient"] = 0
        transients.finish(self._state.tracker)
        return self.transient

    @property
    def calibration(self) -> Calibration:
        """What it goes by."""
        return self._calibration

    @property
    def path(self) -> Route:
        """The route of the newest row."""
        return Route(self._state.route[0]["transient"])

    @property
    def transient(self) -> Transient:
        """The newest transient; there must have been one."""
        return transients.newest(self._state.tracker)

    def push(self, time_ns: int, values: NDArray[np.float64]) -> Step:
        """Take one row, float64 [C], NaN where a channel has no value."""
        change, full = advance_one(self._state, time_ns, values, self._steps)
        if full:
            self.learn_blocks()
        score, transient = self._steps[0].item()
        return Step(score, Route(transient), Change(change))

    def run(
        self, times_ns: NDArray[np.int64], rows: NDArray[np.float64]
    ) -> Iterator[tuple[NDArray, Change, Transient | None]]:
        """Take many rows [n, C]; give out pieces of them, each up to a row that changes the route.

        Yields:
            Scores and routes of the piece's rows (fields `score` and `transient`), what its last
            row changed, and the transient that this began or ended.
        """
        start = 0
        while start < len(rows):
            steps = np.zeros(len(rows) - start, STEP)
            count, change, full = _advance(self._state, times_ns[start:], rows[start:], steps)
            start += count
            if full:
                self.learn_blocks()
            yield steps[:count], Change(change), self.transient if change else None

    def learn_blocks(self) -> None:
        """Set the thresholds by the steady blocks that were collected."""
        taken = learning.take(self._collected, self._rate_hz)
        if self._learns.on and (learned := self._learner.learn(*taken)):
            self._calibration = learned
            analyzer_state.set_thresholds(self._state.analyzer, learned)


@compiled
def _advance(state, times_ns, rows, steps):
    """Take rows until one changes the route or is the last to be learned.

    How many, what the last one changed, and whether there is something to learn.
    """
    for i in range(len(rows)):
        change, full = advance_one(state, times_ns[i], rows[i], steps[i : i + 1])
        if change != NO_CHANGE or full:
            return i + 1, change, full
    return len(rows), NO_CHANGE, False


@inlined
def advance_one(state, time_ns, values, step):
    """Take one row; what it changed, and whether there is something to learn."""
    now, route = state.analyzer.now[0], state.route[0]
    before, landed = route.transient, route.anew
    analyzer.analyze(state.analyzer, values, before == 1)
    transients.observe(state.tracker, time_ns, now.energy_ratio, state.analyzer.deviations)
    landed |= now.landed
    if now.lively == 1:
        state.livelier[1] = time_ns
    if now.lively == LIVELY * now.level_rows and state.livelier[0] == 0:
        state.livelier[0] = state.livelier[1]
    change = router.follow(state.route, now.score, now.landed)
    if change == _ONSET:
        transients.begin(state.tracker, now.score, now.scale, landed)
    elif before:
        if not route.anew:
            transients.go_on(state.tracker, now.score, route.off_score, landed)
        if change != NO_CHANGE:
            transients.finish(state.tracker)
        if change == _ACCEPTED:
            analyzer.accept(state.analyzer)
    step[0].score = now.score
    step[0].transient = route.transient == 1
    full = learning.collect(
        state.collected,
        time_ns,
        state.analyzer.scales,
        values,
        analyzer.ready(state.analyzer),
        before == 1 or route.transient == 1,
        change == _ONSET,
    )
    return change, full
