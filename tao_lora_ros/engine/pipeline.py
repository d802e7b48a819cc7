"""The way of a sample: decode, align, window, statistics, route, infer, preserve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from tao_lora_ros.contact.contact_model import ContactModel, wrenches_of
from tao_lora_ros.contact.level_test import START_S
from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.findings import report_lines
from tao_lora_ros.detection.glitch_filter import GlitchFilter
from tao_lora_ros.detection.learner import Learner
from tao_lora_ros.detection.unlike import Unlike
from tao_lora_ros.engine.calibration import Calibrated, calibrated_on
from tao_lora_ros.engine.checkpoints import Checkpoints
from tao_lora_ros.engine.counts import Counts
from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.engine.running import Running
from tao_lora_ros.engine.settings import Settings, SettingsError
from tao_lora_ros.engine.signals import Signals
from tao_lora_ros.engine.sources import check_channels, check_successor
from tao_lora_ros.engine.tracking import Tracking
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.results import Result
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.choice import ChosenRuntime, NoRuntime
from tao_lora_ros.runtime.runtime import RuntimeOfPipeline
from tao_lora_ros.signal.align import Rows
from tao_lora_ros.signal.block import Block
from tao_lora_ros.signal.source import ClockJump, unit_of

LOADS = ("N", "Nm")
MOST_REASON = 1000  # characters that are kept of it
Work = Callable[[], Calibrated]


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
        self._signals = Signals.of(settings, artifact, self.intake, self.counts)
        self._glitches = GlitchFilter(artifact.channels, artifact.rate_hz)
        self._adopt(self._started(artifact))
        self._restart()
        self._signals.contacts.begin()

    def _started(self, artifact: Artifact) -> Running:
        run = self._run or partial(ChosenRuntime, backend=self._settings.backend)
        return Running.started(artifact, run)

    def _adopt(self, running: Running) -> None:
        """Make anew what depends on the model."""
        self._running = running
        self._tracking = Tracking(
            *(running.artifact, running.inferrer, self._signals),
            *(self.intake, self._settings, self.counts),
        )

    @property
    def artifact(self) -> Artifact:
        """The model, with the calibration that it came with."""
        return self._running.artifact

    @property
    def runtime(self) -> RuntimeOfPipeline | NoRuntime:
        """What runs it, and why it is that one."""
        return self._running.runtime

    def warm(self) -> None:
        """Have the model's first calls behind us: they allocate and are slow."""
        self._running.inferrer.warm()

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
            successor = self._started(artifact)
            successor.inferrer.warm()
        except RuntimeError as error:
            raise SettingsError(f"model {artifact.model_id} cannot run: {error}") from error
        before = self._running, self.calibrated
        try:
            give_out(self.flush())
            self._go_on_with(successor, artifact)
        except Exception:  # half of both would be neither
            self._go_on_with(*before)
            self.forget()
            raise

    def _go_on_with(self, running: Running, calibrated: Artifact) -> None:
        self._adopt(running)
        self._signals.recalibrate(calibrated)

    def apply(self, settings: Settings) -> None:
        """Take the live parameters of new settings, between two rows."""
        self._settings = scene_settings(settings, self.artifact)
        self._signals.configure(settings, self.artifact.rate_hz)

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
            rows, end = self._take(block, taken)
            if end == taken:
                results += self.push(*block.message(taken)).results
                taken += 1
                continue
            taken = end
            results += self._tracking.follow(rows)
            self.intake.let_go()
        return results

    def push_some(self, block: Block, begin: int) -> tuple[int, Iterable[tuple[int, Pushed]]]:
        """The same live: take messages from number `begin` on, and tell what each brought.

        Returns:
            How far they were taken, and what those brought that were refused or completed a row,
            by their numbers. It is found as it is asked for, all of it before the next are taken.
        """
        rows, end = self._take(block, begin)
        if end == begin:
            return begin + 1, [(begin, self.push(*block.message(begin)))]
        return end, self._one_by_one(rows, begin)

    def _take(self, block: Block, begin: int) -> tuple[Rows, int]:
        """Take messages that nothing has to be decided of; rows, and the first that is left."""
        rows, end = self.intake.push_block(block, begin)
        self.counts.messages += end - begin
        return (self._glitches.push(rows) if len(rows) else rows), end

    def _one_by_one(self, rows: Rows, begin: int) -> Iterator[tuple[int, Pushed]]:
        """What the rows of each message give, by its number."""
        try:
            for message, part in rows.by_message():
                yield begin + message, Pushed(self._tracking.follow(part), len(part), "")
        finally:
            self.intake.let_go()

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
        old, rate_hz = self._signals.detector.calibration, self.artifact.rate_hz
        channels, rows = self.artifact.channels, [self._signals.steady.values.copy()]
        made = done_by(partial(calibrated_on, rows, old, channels, rate_hz, old.target_per_hour))
        self._signals.detector.recalibrate(made.router)
        self._signals.contacts.recalibrate(
            [replace(model, same_run=True) for model in made.contacts]
        )
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
        if self._signals.detector.path is Route.TRANSIENT:
            raise TareError("cannot tare: a transient is going on")
        if (window := self._tracking.window) is None:
            raise TareError("cannot tare: the window is not full yet")
        loads = np.array([unit_of(name) in LOADS for name in self.artifact.channels])
        level = np.where(loads, window.mean(axis=0), 0.0)
        self.intake.tare(np.nan_to_num(level))
        self._signals.detector.forget_loads()
        self._signals.contacts.recalibrate(
            [replace(m, usual=()) for m in self._signals.contacts.models]
        )
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
        known = {model.wrench: model for model in self._signals.contacts.models}
        return {name: known.get(at) for name, at in wrenches_of(self.artifact.channels).items()}

    @property
    def settings(self) -> Settings:
        """The parameters, with as much past kept of an event as this model needs."""
        return self._settings

    @property
    def calibration(self) -> Calibration:
        """What the router goes by: the artifact's, or a newer one, with what was learned since."""
        return self._signals.detector.calibration

    @property
    def calibrated(self) -> Artifact:
        """The model with the calibration that the router and the contacts go by."""
        models = tuple(self._signals.contacts.models)
        return replace(self.artifact, calibration=self.calibration, contacts=models)

    @property
    def learner(self) -> Learner:
        """What was learned since the last calibration."""
        return self._signals.detector.learner

    @property
    def unlike(self) -> Unlike | None:
        """Since when motion is unlike what was calibrated on, and how; none where it is not."""
        return self._signals.detector.unlike

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
