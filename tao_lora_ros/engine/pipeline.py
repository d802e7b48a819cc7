"""The way of a sample: decode, align, window, statistics, route, infer, preserve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.contact.contact_model import ContactModel, wrenches_of
from tao_lora_ros.contact.contacts import Contact, Contacts
from tao_lora_ros.contact.level_test import START_S
from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.calibration import SteadyRows
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.findings import report_lines
from tao_lora_ros.detection.glitch_filter import GlitchFilter
from tao_lora_ros.detection.learner import Learner
from tao_lora_ros.detection.learning import learning_config
from tao_lora_ros.detection.router import Change, RouterConfig
from tao_lora_ros.detection.transients import Transient
from tao_lora_ros.engine.calibration import Calibrated, calibrated_on
from tao_lora_ros.engine.checkpoints import Checkpoints
from tao_lora_ros.engine.contact_events import ContactEvents
from tao_lora_ros.engine.counts import Counts
from tao_lora_ros.engine.describer import EventDescriber
from tao_lora_ros.engine.due import DueWindows
from tao_lora_ros.engine.following import Follower
from tao_lora_ros.engine.inferrer import Inferrer, NoInferrer
from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.engine.schedule import HopSchedule
from tao_lora_ros.engine.settings import Settings, SettingsError
from tao_lora_ros.engine.sources import check_channels, check_successor
from tao_lora_ros.engine.states import States
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.results import Event, Phase, Result
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.runtime.choice import ChosenRuntime, NoRuntime
from tao_lora_ros.signal.align import AFTER_GLITCH, EMPTY, FLAGS, MESSAGE, STAMP, TIME, Rows
from tao_lora_ros.signal.block import Block
from tao_lora_ros.signal.source import ClockJump, unit_of
from tao_lora_ros.signal.window import SlidingWindow

LOADS = ("N", "Nm")
MOST_REASON = 1000  # characters that are kept of it
_PATHS = Route.STEADY, Route.TRANSIENT
Work = Callable[[], Calibrated]

_Runner = tuple[ChosenRuntime | NoRuntime, Inferrer | NoInferrer]


def router_config(settings: Settings, rate_hz: float) -> RouterConfig:
    """The router's part of the settings, in rows."""
    return RouterConfig(
        off_score=settings.off_score,
        hold_rows=round(settings.hold_s * rate_hz),
        max_transient_rows=round(settings.max_transient_s * rate_hz),
    )


def scene_settings(settings: Settings, artifact: Artifact) -> Settings:
    """Settings by which a stored event holds enough of its past to be found again in a replay."""
    rows = max(artifact.window, artifact.calibration.warm_rows)
    least_s = max(rows / artifact.rate_hz, START_S)
    return replace(settings, store_pre_roll_s=max(settings.store_pre_roll_s, least_s))


class TareError(TaoLoraError):
    """There is no steady load to take as zero; the text says why."""


class TriggerError(TaoLoraError):
    """There is no scene to keep."""


class Pushed(NamedTuple):
    """What one message brought.

    Args:
        results: what became known, oldest first.
        rows: of the grid, that it released.
        refusal: why it was refused; empty where it was taken.
    """

    results: list[Result]
    rows: int
    refusal: str


class Pipeline:
    """Messages in, inferences and events out, in the order of their times.

    Args:
        settings: the parameters.
        artifact: the model and its calibration.
        now_ns: the clock that stamps are held against where the settings want it; none in replays.

    `runtime` is what runs the model, warm already, and says why it is that one.

    Raises:
        SettingsError: the sources do not give the channels that the model reads.
    """

    def __init__(
        self, settings: Settings, artifact: Artifact, now_ns: Callable[[], int] | None = None
    ) -> None:
        check_channels(settings, artifact)
        settings = scene_settings(settings, artifact)
        self.counts = Counts()
        self.intake = Intake(settings, artifact.rate_hz, now_ns)
        self._settings = settings
        self.artifact = artifact
        calibration, channels = artifact.calibration, artifact.channels
        rolls_s = settings.pre_roll_s, settings.post_roll_s
        self._detector = Detector(
            calibration,
            router_config(settings, artifact.rate_hz),
            learning_config(settings.learn_while_running, *rolls_s, artifact.rate_hz),
            artifact.rate_hz,
        )
        self._contacts = Contacts(
            artifact.contacts, len(channels), artifact.rate_hz, settings.max_contact_s
        )
        load_rows = 0
        if settings.contact_wrench_hz:
            load_rows = max(round(artifact.rate_hz / settings.contact_wrench_hz), 1)
        self._contact_events = ContactEvents(
            self._contacts, self._detector, self.intake, self.counts, load_rows
        )
        self._steady = SteadyRows(artifact.rate_hz, len(channels))
        self._glitches = GlitchFilter(channels, artifact.rate_hz)
        self._schedule = HopSchedule(settings.hop_steady, settings.hop_transient)
        self._adopt(artifact, *self._runner(artifact))
        self._restart()
        self._follower = Follower(self._detector, self._contacts)

    def _runner(self, artifact: Artifact) -> _Runner:
        """What runs a model."""
        if artifact.model is None:
            return NoRuntime(), NoInferrer()
        runtime = ChosenRuntime(artifact.model, self._settings.backend)
        return runtime, Inferrer(runtime, artifact.model)

    def _adopt(
        self,
        artifact: Artifact,
        runtime: ChosenRuntime | NoRuntime,
        inferrer: Inferrer | NoInferrer,
    ) -> None:
        """Make anew what depends on the model."""
        self.runtime, self._inferrer = runtime, inferrer
        self.artifact = artifact
        self._window = SlidingWindow(artifact.window, len(artifact.channels))
        self._states = States(artifact)
        self.checkpoints = Checkpoints(artifact)
        self._describer = EventDescriber(
            self.intake,
            self._contacts,
            artifact.labels,
            artifact.event_head,
            self._settings.pre_roll_s,
            self._settings.stored_pre_roll_s,
            self._settings.max_transient_s,
            self._settings.post_roll_s,
            self.checkpoints.before,
            self.counts.events,
        )
        self._due = DueWindows(inferrer, self._describer, self._states, self.counts)

    def warm(self) -> None:
        """Have the model's first calls behind us: they allocate and are slow."""
        self._inferrer.warm()

    def use(self, artifact: Artifact) -> list[Result]:
        """Go on with another model between two rows; the open event is closed, nothing is lost.

        The new model's window begins with the next row; the router's past stays.

        Raises:
            SettingsError: it reads other channels, works at another rate or on other time scales,
                which takes a new pipeline, or it cannot run.
        """
        check_channels(self._settings, artifact)
        check_successor(self.artifact, artifact)
        try:  # before anything is closed
            runtime, inferrer = self._runner(artifact)
            inferrer.warm()
        except RuntimeError as error:
            raise SettingsError(f"model {artifact.model_id} cannot run: {error}") from error
        closed = self.flush()
        before = self.artifact, self.runtime, self._inferrer, self.calibrated
        try:
            self._go_on_with(artifact, runtime, inferrer, artifact)
        except Exception:  # half of both would be neither
            self._go_on_with(*before)
            self.forget()
            raise
        return closed

    def _go_on_with(
        self,
        artifact: Artifact,
        runtime: ChosenRuntime | NoRuntime,
        inferrer: Inferrer | NoInferrer,
        calibrated: Artifact,
    ) -> None:
        self._adopt(artifact, runtime, inferrer)
        self._detector.recalibrate(calibrated.calibration)
        self._contacts.recalibrate(calibrated.contacts)

    def apply(self, settings: Settings) -> None:
        """Take the live parameters of new settings, between two rows."""
        self._settings = scene_settings(settings, self.artifact)
        self._detector.configure(router_config(settings, self.artifact.rate_hz))
        self._detector.learn(settings.learn_while_running)
        self._schedule.hops = {
            Route.STEADY: settings.hop_steady,
            Route.TRANSIENT: settings.hop_transient,
        }

    def push(self, source: int, data: bytes, received_ns: int = 0) -> Pushed:
        """Take one message of a source (its place among the settings' sources).

        `received_ns` is when it came, which is the stamp of what has no header. A message that is
        refused is counted in `intake.sources[source].rejected`.
        """
        self.counts.messages += 1
        results: list[Result] = []
        try:
            rows, refusal = self.intake.push(source, data, received_ns)
        except ClockJump:
            results = self.reset()
            rows, refusal = self.intake.push(source, data, received_ns)
        released = self._glitches.push(rows)
        return Pushed(results + self._follow(released), len(released), refusal)

    def push_block(self, block: Block) -> list[Result]:
        """Take many messages, in the order of their arrival; what each alone would have given.

        Those that nothing has to be decided of are taken together, up to the next that there is.
        """
        results: list[Result] = []
        taken = 0
        while taken < len(block):
            before, (rows, taken) = taken, self.intake.push_block(block, taken)
            if taken == before:
                results += self.push(*block.message(taken)).results
                taken += 1
                continue
            self.counts.messages += taken - before
            results += self._follow(self._glitches.push(rows))
            self.intake.let_go()
        return results

    def reset(self) -> list[Result]:
        """Close the open event, if any, and forget all signals; counts and sequence go on."""
        closed = self.flush()
        self.forget()
        return closed

    def forget(self) -> None:
        """Forget all signals as they are, the open event without an end."""
        self.counts.resets += 1
        self._restart()

    def flush(self) -> list[Result]:
        """Settle what is held back at the end of the input, and close the open event.

        Post-rolls end here too.
        """
        results = self._follow(self._glitches.flush())
        if transient := self._detector.stop():
            results.append(self._describer.describe(Phase.END, transient, self._last_ns))
        for contact in self._contacts.stop():
            results.append(self._describer.describe(Phase.END, contact, self._last_ns))
        return results + self.end_post_rolls()

    def end_post_rolls(self) -> list[Result]:
        """Give out the events that wait for their post-roll: no more of it will come."""
        return list(self._describer.kept(inf))

    def calibrate(self, done_by: Callable[[Work], Calibrated] = lambda work: work()) -> list[str]:
        """Calibrate on the motion since the last reset, its newest ten minutes at most.

        It has to have been steady but for moments, which are left out; the target is the
        artifact's rate of false alarms.

        Args:
            done_by: does the work, which takes seconds, shares nothing with the pipeline and may
                be done by another thread while further messages are pushed.

        Returns:
            What changed and what it was made of; seconds are from the oldest row that is kept.

        Raises:
            CalibrationError: it was too short, or not steady; all stays as it was.
        """
        old, rate_hz = self._detector.calibration, self.artifact.rate_hz
        channels, rows = self.artifact.channels, [self._steady.values.copy()]
        made = done_by(partial(calibrated_on, rows, old, channels, rate_hz, old.target_per_hour))
        self._detector.recalibrate(made.router)
        self._contacts.recalibrate(made.contacts)
        return [*report_lines(old, made.router, made.findings, channels, rate_hz), *made.told]

    def tare(self) -> list[Result]:
        """Take the mean force and torque of the present window as zero; forget all signals.

        Touchdowns are no longer looked for until the next calibration: they go by loads.

        Raises:
            TareError: something is happening, or there is no full window yet.
        """
        if self._detector.path is Route.TRANSIENT:
            raise TareError("cannot tare: a transient is going on")
        if not self._window.full:
            raise TareError("cannot tare: the window is not full yet")
        loads = np.array([unit_of(name) in LOADS for name in self.artifact.channels])
        level = np.where(loads, self._window.values.mean(axis=0), 0.0)
        self.intake.tare(np.nan_to_num(level))
        self._detector.forget_loads()
        return self.reset()

    def trigger(self, reason: str = "") -> list[Result]:
        """Keep the scene of the newest row as an event of its own, for this reason.

        Raises:
            TriggerError: no row has come yet.
        """
        if not self._last_ns:
            raise TriggerError("cannot keep the scene: no source has sent anything yet")
        self.counts.events += 1
        reason = reason[:MOST_REASON].encode(errors="replace").decode()
        return list(self._describer.wish(self._last_ns, reason))

    @property
    def contact_models(self) -> dict[str, ContactModel | None]:
        """What is known of each wrench's load, by its source's name."""
        known = {model.wrench: model for model in self._contacts.models}
        return {name: known.get(at) for name, at in wrenches_of(self.artifact.channels).items()}

    @property
    def settings(self) -> Settings:
        """The parameters, with as much past kept of an event as this model needs."""
        return self._settings

    @property
    def calibration(self) -> Calibration:
        """What the router goes by: the artifact's, or a newer one, with what was learned since."""
        return self._detector.calibration

    @property
    def calibrated(self) -> Artifact:
        """The model with the calibration that the router and the contacts go by."""
        models = tuple(self._contacts.models)
        return replace(self.artifact, calibration=self.calibration, contacts=models)

    @property
    def learner(self) -> Learner:
        """What was learned since the last calibration."""
        return self._detector.learner

    @property
    def glitches(self) -> Counter[str]:
        """Single bad samples that were mended, by channel."""
        return self._glitches.glitches

    @property
    def jumps(self) -> Counter[str]:
        """Samples as far off that were let through as physical, by channel."""
        return self._glitches.jumps

    def _restart(self) -> None:
        self.intake.restart()
        self._steady.clear()
        for signals in (self._glitches, self._window, self._detector, self._contacts):
            signals.clear()
        for results in (self._schedule, self._inferrer, self._due, self._states, self._describer):
            results.clear()
        self.checkpoints.clear()
        self._last_ns = 0

    def _follow(self, rows: Rows) -> list[Result]:
        """All that rows give, piece by piece."""
        count, done = len(rows), 0
        if not count:
            return []
        results: list[Result] = []
        while done < count:
            end = self._end_of_piece(rows, done) if done + 1 < count else count
            done += self._follow_piece(rows.part(done, end), results)
        return results + self._infer()

    def _end_of_piece(self, rows: Rows, begin: int) -> int:
        """Up to which row nothing is due but inferences, that one included."""
        if self._contacts.waits:
            return begin + 1
        times = rows.times[begin + 1 :]
        after_glitch = np.flatnonzero(times[:, FLAGS] & AFTER_GLITCH)
        due_ns = min(self._describer.due_ns, self.checkpoints.due_ns)
        due = int(np.searchsorted(rows.times[begin:, TIME], due_ns)) + 1
        ahead = *after_glitch[:1].tolist(), due - 1, self._contact_events.due_rows - 1
        return begin + 1 + min(ahead)

    def _follow_piece(self, rows: Rows, results: list[Result]) -> int:
        """Follow rows up to the first that changes something; how many those are."""
        if rows.times[0, FLAGS] & AFTER_GLITCH:
            self._detector.interrupt()
        contacts = self._contacts
        steps, change, followed, touched = self._follower.follow(rows)
        rows = rows.part(0, len(steps))
        self._collect(rows, steps, change)
        time_ns, message = self._last_ns, int(rows.times[-1, MESSAGE])
        if change is not Change.NONE:
            self._look_at(message, results)
            results += self._changes(change, time_ns)
        if not followed:
            touched = contacts.follow(time_ns, rows.values[-1])
        if touched or contacts.waits:
            for changed, contact in self._contact_events.among(contacts.changes()):
                self._look_at(message, results)
                results.append(self._changed(changed, contact, time_ns))
        if loads := self._contact_events.loads(time_ns):
            results += [*self._infer(), *loads]
        if self._describer.due_ns <= time_ns:
            self._look_at(message, results)
            results += self._describer.kept(time_ns)
        if self.checkpoints.due_ns <= time_ns:
            if state := self.checkpoints.due(time_ns):
                self._look_at(message, results)
                results += self._resume(state, time_ns)
            self.checkpoints.take(time_ns, self._detector, self._contacts)
        return len(rows)

    def _look_at(self, message: int, results: list[Result]) -> None:
        """Have all known of what came up to a message of the block, before an event is told."""
        results += self._infer()
        self.intake.look_at(message)

    def _collect(self, rows: Rows, steps: NDArray, change: Change) -> None:
        """Count rows, and collect the windows that are due."""
        counts, window, times = self.counts, self._window, rows.times
        before = counts.rows
        counts.rows += len(rows)
        counts.transient_rows += int(np.count_nonzero(steps["transient"]))
        self._last_ns = int(times[-1, TIME])
        self._steady.extend(rows.values)
        full = self.artifact.window - window.count - 1  # the first row whose window is full
        window.extend(times[:, TIME], rows.values)
        for i, (flags, (score, transient)) in enumerate(
            zip(times[:, FLAGS].tolist(), steps.tolist(), strict=True)
        ):
            if flags & EMPTY:
                self._due.miss()
            if i < full or flags & EMPTY:
                continue
            counts.windows += 1
            last, path = i == len(rows) - 1, _PATHS[transient]
            if self._schedule.due(path, onset=last and change is Change.ONSET):
                row, ago = before + i + 1, len(rows) - 1 - i
                self._due.add(int(times[i, STAMP]), path, score, row, *window.ago(ago))

    def _infer(self) -> list[Result]:
        return self._due.infer(self.intake.sources[0].frame_id)

    def _changes(self, change: Change, time_ns: int) -> Iterator[Event]:
        """A transient that begins or ends, and with it contacts of a robot that walks."""
        transient = self._detector.transient
        yield self._changed(change, transient, time_ns)
        if transient.touchdown:
            for contact in self._contact_events.end_those_of_walking():
                yield self._changed(Change.END, contact, time_ns)

    def _resume(self, state: bytes, time_ns: int) -> Iterator[Event]:
        """Take on what router and contacts remembered, with the events that went on then."""
        before = self._going_on()
        if not self.checkpoints.restore(state, self._detector, self._contacts):
            return
        after = self._going_on()
        for key in before.keys() - after.keys():
            yield self._changed(Change.END, replace(before[key], end_ns=time_ns), time_ns)
        for key in after.keys() - before.keys():
            yield self._changed(Change.ONSET, replace(after[key], end_ns=0), time_ns)

    def _going_on(self) -> dict[int, Transient | Contact]:
        """The contacts that go on, by their wrench, and the transient, by -1."""
        found: dict[int, Transient | Contact] = {c.wrench: c for c in self._contacts.going_on}
        if self._detector.path is Route.TRANSIENT:
            found[-1] = self._detector.transient
        return found

    def _changed(self, change: Change, found: Transient | Contact, time_ns: int) -> Event:
        if change is Change.ONSET:
            self.counts.events += 1
            return self._describer.describe(Phase.ONSET, found, time_ns)
        accepted = change is Change.ACCEPTED
        self.counts.regime_changes += accepted
        return self._describer.describe(Phase.END, found, time_ns, accepted)
