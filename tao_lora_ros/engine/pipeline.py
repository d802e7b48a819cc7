"""The way of a sample: decode, align, window, statistics, route, infer, preserve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from tao_lora_ros.contact.contact_model import ContactModel, wrenches_of
from tao_lora_ros.contact.contacts import Contacts
from tao_lora_ros.contact.level_test import START_S
from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.calibration import SteadyRows
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.findings import report_lines
from tao_lora_ros.detection.glitch_filter import GlitchFilter
from tao_lora_ros.detection.learner import Learner
from tao_lora_ros.detection.learning import learning_config
from tao_lora_ros.detection.router import RouterConfig
from tao_lora_ros.detection.unlike import Unlike
from tao_lora_ros.engine.calibration import Calibrated, calibrated_on
from tao_lora_ros.engine.checkpoints import Checkpoints
from tao_lora_ros.engine.contact_events import ContactEvents
from tao_lora_ros.engine.counts import Counts
from tao_lora_ros.engine.inferrer import Inferrer, NoInferrer
from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.engine.schedule import HopSchedule
from tao_lora_ros.engine.settings import Settings, SettingsError
from tao_lora_ros.engine.sources import check_channels, check_successor
from tao_lora_ros.engine.tracking import Signals, Tracking
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.results import Result
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.choice import ChosenRuntime, NoRuntime
from tao_lora_ros.runtime.runtime import RuntimeOfPipeline
from tao_lora_ros.signal.block import Block
from tao_lora_ros.signal.source import ClockJump, unit_of

LOADS = ("N", "Nm")
MOST_REASON = 1000  # characters that are kept of it
_PATHS = Route.STEADY, Route.TRANSIENT
Work = Callable[[], Calibrated]

_Runner = tuple[RuntimeOfPipeline | NoRuntime, Inferrer | NoInferrer]


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
    least_s = max(rows / artifact.rate_hz, START_S, settings.pre_roll_s)
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
        run: makes what runs a model; None: as parameter `backend` says.

    `runtime` is what runs the model, warm already, and says why it is that one.

    Raises:
        SettingsError: the sources do not give the channels that the model reads.
    """

    def __init__(
        self,
        settings: Settings,
        artifact: Artifact,
        now_ns: Callable[[], int] | None = None,
        run: Callable[[Network], RuntimeOfPipeline] | None = None,
    ) -> None:
        check_channels(settings, artifact)
        settings = scene_settings(settings, artifact)
        self.counts = Counts()
        self.intake = Intake(settings, artifact.rate_hz, now_ns)
        self._settings = settings
        self._run = run
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
        contact_events = ContactEvents(
            self._contacts, self._detector, self.intake, self.counts, load_rows
        )
        self._steady = SteadyRows(artifact.rate_hz, len(channels))
        self._glitches = GlitchFilter(channels, artifact.rate_hz)
        self._schedule = HopSchedule(settings.hop_steady, settings.hop_transient)
        self._signals = Signals(
            self._detector, self._contacts, contact_events, self._steady, self._schedule
        )
        self._adopt(artifact, *self._runner(artifact))
        self._restart()
        self._contacts.begin()

    def _runner(self, artifact: Artifact) -> _Runner:
        """What runs a model."""
        if artifact.model is None:
            return NoRuntime(), NoInferrer()
        run = self._run or partial(ChosenRuntime, backend=self._settings.backend)
        runtime = run(artifact.model)
        return runtime, Inferrer(runtime, artifact.model)

    def _adopt(
        self,
        artifact: Artifact,
        runtime: RuntimeOfPipeline | NoRuntime,
        inferrer: Inferrer | NoInferrer,
    ) -> None:
        """Make anew what depends on the model."""
        self.runtime, self._inferrer = runtime, inferrer
        self.artifact = artifact
        self._tracking = Tracking(
            artifact, inferrer, self._signals, self.intake, self._settings, self.counts
        )

    def warm(self) -> None:
        """Have the model's first calls behind us: they allocate and are slow."""
        self._inferrer.warm()

    def use(self, artifact: Artifact, give_out: Callable[[list[Result]], object]) -> None:
        """Go on with another model between two rows; the open event is closed, nothing is lost.

        The new model's window begins with the next row; the router's past stays.

        Args:
            artifact: the model.
            give_out: gets what closing the event gives, before anything else can fail.

        Raises:
            SettingsError: it reads other channels, works at another rate or on other time scales,
                which takes a new pipeline, or it cannot run. The event stays open.
        """
        check_channels(self._settings, artifact)
        check_successor(self.artifact, artifact)
        try:  # before anything is closed
            runtime, inferrer = self._runner(artifact)
            inferrer.warm()
        except RuntimeError as error:
            raise SettingsError(f"model {artifact.model_id} cannot run: {error}") from error
        before = self.artifact, self.runtime, self._inferrer, self.calibrated
        try:
            give_out(self.flush())
            self._go_on_with(artifact, runtime, inferrer, artifact)
        except Exception:  # half of both would be neither
            self._go_on_with(*before)
            self.forget()
            raise

    def _go_on_with(
        self,
        artifact: Artifact,
        runtime: RuntimeOfPipeline | NoRuntime,
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
        self._schedule.set_hops(settings.hop_steady, settings.hop_transient)

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
        if not len(rows):  # most messages complete none
            return Pushed(results, 0, refusal)
        released = self._glitches.push(rows)
        return Pushed(results + self._tracking.follow(released), len(released), refusal)

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
            results += self._tracking.follow(self._glitches.push(rows))
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

    @property
    def going_on(self) -> set[int]:
        """Numbers of the events that have begun and not ended."""
        return self._tracking.events_going_on

    def flush(self) -> list[Result]:
        """Settle what is held back at the end of the input, and close the open event.

        Post-rolls end here too.
        """
        return self._tracking.follow(self._glitches.flush()) + self._tracking.stop()

    def end_post_rolls(self) -> list[Result]:
        """Give out the events that wait for their post-roll: no more of it will come."""
        return self._tracking.end_post_rolls()

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
        self._contacts.recalibrate([replace(model, same_run=True) for model in made.contacts])
        return [
            *report_lines(old, made.router, made.findings, channels, rate_hz),
            *made.contact_lines,
        ]

    def tare(self) -> list[Result]:
        """Take the mean force and torque of the present window as zero; forget all signals.

        Touchdowns are no longer looked for until the next calibration: they go by loads. Nor is a
        contact that the next run begins in.

        Raises:
            TareError: something is happening, or there is no full window yet.
        """
        if self._detector.path is Route.TRANSIENT:
            raise TareError("cannot tare: a transient is going on")
        if (window := self._tracking.window) is None:
            raise TareError("cannot tare: the window is not full yet")
        loads = np.array([unit_of(name) in LOADS for name in self.artifact.channels])
        level = np.where(loads, window.mean(axis=0), 0.0)
        self.intake.tare(np.nan_to_num(level))
        self._detector.forget_loads()
        self._contacts.recalibrate([replace(m, usual=()) for m in self._contacts.models])
        return self.reset()

    def trigger(self, reason: str = "") -> list[Result]:
        """Keep the scene of the newest row as an event of its own, for this reason.

        Raises:
            TriggerError: no row has come yet.
        """
        if not self._tracking.newest_ns:
            raise TriggerError("cannot keep the scene: no source has sent anything yet")
        reason = reason[:MOST_REASON].encode(errors="replace").decode()
        return self._tracking.wish(reason)

    @property
    def checkpoints(self) -> Checkpoints:
        """What router and contacts remembered, and what they are to take on."""
        return self._tracking.checkpoints

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
    def unlike(self) -> Unlike | None:
        """Since when motion is unlike what was calibrated on, and how; none where it is not."""
        return self._detector.unlike

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
        for one in (self._glitches, self._signals, self._tracking):
            one.clear()
