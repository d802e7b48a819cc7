"""What a configured node consists of: its pipeline, inputs, outputs, services and diagnostics."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path
from threading import Event

from rclpy.lifecycle import LifecycleNode

from tao_lora_ros.engine.compiling import compiled_pipeline
from tao_lora_ros.engine.pipeline import Pushed
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import default_sources, source_configs, sources_of_model
from tao_lora_ros.messages.results import Result
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact
from tao_lora_ros.model.card import ArtifactError
from tao_lora_ros.model.kept_calibration import calibrated_here, keep_calibrated, load_kept
from tao_lora_ros.ros import garbage
from tao_lora_ros.ros.diagnostics import Diagnostics
from tao_lora_ros.ros.failures import Failures
from tao_lora_ros.ros.inputs import Input
from tao_lora_ros.ros.other_participant import OtherParticipant
from tao_lora_ros.ros.outputs import Outputs
from tao_lora_ros.ros.pace import Pace
from tao_lora_ros.ros.services import Services
from tao_lora_ros.signal.block import Block

_HELD = (
    "held until the node ends or ~/reload; parameter calibrated_model names a folder where it is "
    "kept for the next start"
)
IDLE_S = 0.1  # from poll to poll without inputs
_LOOK_S = 1.0  # from look to look for forgotten events


class Session:
    """Lives from a node's configuration to its cleanup; with inputs while the node is active.

    Args:
        node: the node.
        settings: the parameters; `apply` takes others.
        failures: where faults of ours are logged.
        stopping: set when the node is to end.
        other: where to subscribe when DDS lets the node itself hear nothing.

    Raises:
        ArtifactError: the model cannot be loaded.
        SettingsError: the sources do not give what it reads.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: Settings,
        failures: Failures,
        stopping: Event,
        other: OtherParticipant,
    ) -> None:
        self._node = node
        self._failures = failures
        artifact = self._load(settings)
        self._settings = settings = _with_sources(settings, artifact)
        clock = node.get_clock()
        self._pipeline = compiled_pipeline(
            settings, artifact, lambda: clock.now().nanoseconds, node.get_logger().info
        )
        # A logger each, or the throttling of one source would silence the others.
        names = (source.config.name for source in self._pipeline.intake.sources)
        self._loggers = [node.get_logger().get_child(name) for name in names]
        self.inputs: list[Input] = []
        self._pace = Pace(IDLE_S)
        self._last_message_s = self._looked_s = 0.0  # when messages last came, steady clock
        self._other = other
        with ExitStack() as parts:  # what is there is given up where a later one cannot be made
            self._outputs = Outputs(node, artifact, settings)
            parts.callback(self._outputs.close)
            services = Services(
                node,
                self._pipeline,
                self._outputs,
                self.take,
                self._reload,
                self._keep_calibration,
                stopping,
                failures,
            )
            parts.callback(services.close)
            diagnostics = Diagnostics(
                *(node, self._pipeline, self._outputs, self.inputs, failures),
                lambda: self._pace.longest_pause_s(),
            )
            parts.callback(diagnostics.close)
            self._parts = parts.pop_all()

    def open(self) -> None:
        """Subscribe to the sources, and start keeping events."""
        depth = self._settings.queue_depth
        for config in source_configs(self._settings):
            self.inputs.append(Input(self._node, config, depth, self._other))
        self._outputs.open_store(self._pipeline.settings, self.inputs)
        artifact = self._pipeline.artifact
        self._pace = Pace(1.0 / artifact.rate_hz)
        self._node.get_logger().info(
            f"{_named(artifact)}, reading {', '.join(input.topic for input in self.inputs)}"
        )
        garbage.freeze()

    def stop(self) -> None:
        """Deal with what came, close the open event, unsubscribe."""
        self.take()
        self._give_out("close the open event", self._pipeline.reset)
        self._end_forgotten()
        self._outputs.close_store()
        self._unsubscribe()

    def drain(self) -> None:
        """Wait until the events have arrived, for a second at most."""
        self._outputs.drain()

    def close(self) -> None:
        """Let go of the model and the topics."""
        self._unsubscribe()
        self._parts.close()

    def _unsubscribe(self) -> None:
        while self.inputs:
            self.inputs.pop().close()
        self._pace = Pace(IDLE_S)
        garbage.unfreeze()

    def rest_s(self) -> float:
        """How long an executor may take until the next `take`."""
        return self._pace.rest_s(time.monotonic())

    def take(self) -> None:
        """Deal with all messages that came, in the order of their arrival."""
        now_s = time.monotonic()
        waiting = [
            (arrived_ns, source, received_ns, data)
            for source, input in enumerate(self.inputs)
            for arrived_ns, received_ns, data in input.take()
        ]
        waiting.sort(key=itemgetter(0))
        if waiting:
            self._last_message_s = now_s
        elif now_s > self._last_message_s + self._settings.longest_wait_s:
            self._give_out("end post-rolls", self._pipeline.end_post_rolls)
        self._pace.polled(now_s, bool(waiting) and self._push(waiting))
        if now_s > self._looked_s + _LOOK_S:
            self._looked_s = now_s
            self._end_forgotten()

    def _end_forgotten(self) -> None:
        """Who listens gets an end to each event, also to one that a fault had us forget."""
        for event in self._outputs.unended(self._pipeline.going_on):
            self._node.get_logger().error(
                f"event {event.sequence} was forgotten before its end: it is not kept"
            )
            self._publish([event], time.monotonic_ns())

    def _give_out(self, doing: str, made: Callable[[], Sequence[Result]]) -> None:
        try:
            results = made()
        except Exception as error:
            self._failures.report(f"{doing}; all signals are forgotten", error)
            self._pipeline.forget()
        else:
            self._publish(results, time.monotonic_ns())

    def _publish(self, results: Sequence[Result], arrived_ns: int) -> None:
        try:
            self._outputs.publish(results, arrived_ns)
        except Exception as error:  # these results are lost, the node is not
            self._failures.report("publish results", error)

    def _push(self, waiting: list[tuple[int, int, int, bytes]]) -> bool:
        """Deal with these messages; whether they completed a row."""
        rows, done = 0, 0
        block = Block.of(message[1:] for message in waiting)
        while done < len(block):
            begin, done = done, done + 1
            try:
                done, brought = self._pipeline.push_some(block, begin)
                for number, pushed in brought:
                    rows += pushed.rows
                    self._tell(pushed, *waiting[number][:2])
            except Exception as error:  # what it was about is lost, the node is not
                self._failures.report("deal with a message; all signals are forgotten", error)
                self._pipeline.forget()
        return rows > 0

    def _tell(self, pushed: Pushed, arrived_ns: int, source: int) -> None:
        """Publish what a message brought, and log why it was refused."""
        if pushed.results:
            self._publish(pushed.results, arrived_ns)
        if pushed.refusal:
            refusal = shown(pushed.refusal, MOST_LINE)
            self._loggers[source].warning(f"refused: {refusal}", throttle_duration_sec=1.0)

    def apply(self, settings: Settings) -> None:
        """Take the live parameters of new settings, after what came before the change."""
        self.take()
        self._settings = settings = _with_sources(settings, self._pipeline.artifact)
        self._pipeline.apply(settings)
        self._outputs.use(self._pipeline.artifact, settings)

    def _reload(self) -> str:
        """Load the artifact that parameter `model` names now; what comes meanwhile waits."""
        artifact = self._load(self._settings)
        self._pipeline.use(artifact, lambda ends: self._publish(ends, time.monotonic_ns()))
        self._outputs.use(artifact, self._settings)
        garbage.unfreeze()
        garbage.freeze()
        return _named(artifact)

    def _load(self, settings: Settings) -> Artifact:
        """The model, as a node before calibrated it where that was kept."""
        model, kept = _folders(settings)
        if kept and kept.exists():
            try:
                return load_kept(model, kept)
            except ArtifactError as error:
                reason = shown(error, MOST_LINE)
                self._node.get_logger().error(f"the kept calibration is not taken: {reason}")
        return load_artifact(model)

    def _keep_calibration(self) -> str:
        """Keep what was calibrated where a parameter says so."""
        model, kept = _folders(self._settings)
        if not kept:
            return _HELD
        try:
            keep_calibrated(self._pipeline.calibrated, model, kept)
        except ArtifactError as error:
            return f"held until the node ends or ~/reload, NOT kept: {shown(error, MOST_LINE)}"
        return f"kept in {shown(kept)} for the next start"


def _named(artifact: Artifact) -> str:
    here = ", as calibrated on this robot" * calibrated_here(artifact)
    return f"model {shown(artifact.model_id)} {shown(artifact.version)}{here}"


def _with_sources(settings: Settings, artifact: Artifact) -> Settings:
    """Settings whose sources are the model's where nobody named any."""
    return sources_of_model(settings, artifact) if default_sources(settings) else settings


def _folders(settings: Settings) -> tuple[Path, Path | None]:
    """Of the model, and of the one with a kept calibration."""
    model = Path(settings.model) if settings.model else default_artifact()
    kept = settings.calibrated_model
    return model, Path(kept).expanduser() if kept else None
