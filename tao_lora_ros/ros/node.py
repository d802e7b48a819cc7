"""The node: a lifecycle around one pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import wraps
from operator import itemgetter
from pathlib import Path

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription

from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings, SettingsError, settings_from
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.model.artifact import Artifact, ArtifactError, default_artifact, load_artifact
from tao_lora_ros.ros import garbage
from tao_lora_ros.ros.diagnostics import Diagnostics
from tao_lora_ros.ros.inputs import Input
from tao_lora_ros.ros.outputs import Outputs
from tao_lora_ros.ros.pace import Pace
from tao_lora_ros.ros.parameters import declare, is_ours
from tao_lora_ros.ros.services import Services

_IDLE_S = 0.1  # from look to look without inputs
_Transition = Callable[["PipelineNode", LifecycleState], TransitionCallbackReturn]


def _told(transition: _Transition) -> _Transition:
    """Log what a transition raises; rclpy would drop it without a word."""

    @wraps(transition)
    def told(node: PipelineNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception as error:
            doing = transition.__name__.removeprefix("on_")
            node.get_logger().fatal(f"cannot {doing}: {type(error).__name__}: {error}")
            return TransitionCallbackReturn.ERROR

    return told


class PipelineNode(LifecycleNode):
    """Lifecycle node around one `Pipeline`.

    `configure` loads and warms the model, `activate` subscribes, `deactivate` unsubscribes and
    closes the open event. A transition that fails unexpectedly leaves the node unconfigured.

    An executor serves it for up to `rest_s()` in turn with `take()`, which deals with the sensors'
    messages. A callback a message would cost the node more than all it does with them.

    Raises:
        SettingsError: a parameter is unknown, of the wrong type or out of range.
    """

    def __init__(self, name: str, **kwargs) -> None:
        super().__init__(name, **kwargs)
        self._pipeline: Pipeline | None = None
        self._outputs: Outputs | None = None
        self._triggers: Services | None = None
        self._diagnostics: Diagnostics | None = None
        self._heard_s = 0.0  # when messages last came, steady clock
        self._inputs: list[Input] = []
        self._pace = Pace(_IDLE_S)
        self._settings = declare(self)
        self.add_on_set_parameters_callback(self._on_parameters)

    def start(self) -> bool:
        """Configure and activate; False where that fails."""
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success

    @_told
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, build the pipeline, advertise."""
        try:
            artifact = _load(self._settings)
            clock = self.get_clock()
            self._pipeline = Pipeline(self._settings, artifact, lambda: clock.now().nanoseconds)
            self._pipeline.warm()
        except (ArtifactError, SettingsError) as error:
            self.get_logger().fatal(str(error))
            return TransitionCallbackReturn.FAILURE
        # A logger each, or the throttling of one source would silence the others.
        names = (source.config.name for source in self._pipeline.intake.sources)
        self._warnings = [self.get_logger().get_child(name) for name in names]
        self._outputs = Outputs(self, artifact, self._settings)
        self._triggers = Services(self, self._pipeline, self._outputs, self.take, self._reload)
        self._diagnostics = Diagnostics(self, self._pipeline, self._outputs, self._inputs)
        return TransitionCallbackReturn.SUCCESS

    @_told
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the sources."""
        assert self._outputs is not None
        assert self._pipeline is not None
        result = super().on_activate(state)
        self._outputs.open_store(self._settings, self._inputs)
        for config in source_configs(self._settings):
            self._inputs.append(Input(self, config, self._settings.queue_depth))
        artifact = self._pipeline.artifact
        self._pace = Pace(1.0 / artifact.rate_hz)
        self.get_logger().info(
            f"model {artifact.model_id} {artifact.version}, "
            f"reading {', '.join(input.topic for input in self._inputs)}"
        )
        garbage.quiet()
        return result

    @_told
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and close the open event."""
        self._stop()
        return super().on_deactivate(state)

    @_told
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and the publishers."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    @_told
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the open event, wait until it has arrived, and let go of everything."""
        self._stop()
        if self._outputs is not None:
            self._outputs.drain()
        self._release()
        return TransitionCallbackReturn.SUCCESS

    @_told
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of what a failed transition left behind."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def _stop(self) -> None:
        self.take()
        if self._pipeline is not None and self._outputs is not None:
            self._outputs.publish(self._pipeline.reset(), time.monotonic_ns())
            self._outputs.close_store()
        self._unsubscribe()

    def _unsubscribe(self) -> None:
        while self._inputs:
            self._inputs.pop().close()
        self._pace = Pace(_IDLE_S)
        garbage.usual()

    def _release(self) -> None:
        self._unsubscribe()
        for part in (self._diagnostics, self._triggers, self._outputs):
            if part is not None:
                part.close()
        self._pipeline = self._outputs = self._triggers = self._diagnostics = None

    @property
    def subscriptions(self) -> Iterator[Subscription]:
        """What an executor is to serve: all but the sensors' topics."""
        own = [input.subscription for input in self._inputs]
        return (subscription for subscription in super().subscriptions if subscription not in own)

    def rest_s(self) -> float:
        """How long an executor may take until the next `take`."""
        return self._pace.rest_s(time.monotonic())

    def take(self) -> None:
        """Deal with all messages that came, in the order of their arrival."""
        now_s = time.monotonic()
        waiting = [
            (arrived_ns, source, came_ns, data)
            for source, input in enumerate(self._inputs)
            for arrived_ns, came_ns, data in input.take()
        ]
        waiting.sort(key=itemgetter(0))
        if waiting:
            self._heard_s = now_s
        elif self._pipeline is not None and now_s > self._heard_s + self._settings.longest_wait_s:
            assert self._outputs is not None
            self._outputs.publish(self._pipeline.end_post_rolls(), time.monotonic_ns())
        self._pace.looked(now_s, bool(waiting) and self._push(waiting))

    def _push(self, waiting: list[tuple[int, int, int, bytes]]) -> bool:
        """Deal with these messages; whether they completed a row."""
        pipeline, outputs = self._pipeline, self._outputs
        assert pipeline is not None, "there are inputs while there is a pipeline"
        assert outputs is not None
        streams = pipeline.intake.sources
        rows = pipeline.counts["rows"]
        for arrived_ns, source, came_ns, data in waiting:
            stream = streams[source]
            refused = stream.refused
            if results := pipeline.push(source, data, came_ns):
                outputs.publish(results, arrived_ns)
            if stream.refused > refused:
                log = self._warnings[source]
                log.warning(f"refused: {stream.reason}", throttle_duration_sec=1.0)
        return pipeline.counts["rows"] > rows

    def _reload(self) -> str:
        """Load the artifact that parameter `model` names now; what comes meanwhile waits."""
        assert self._pipeline is not None, "the service lives while the pipeline does"
        assert self._outputs is not None
        artifact = _load(self._settings)
        self._outputs.publish(self._pipeline.use(artifact), time.monotonic_ns())
        self._outputs.use(artifact, self._settings)
        garbage.usual()
        garbage.quiet()
        return f"model {artifact.model_id} {artifact.version}"

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        values = {change.name: change.value for change in changes if is_ours(change.name)}
        try:
            settings = settings_from(asdict(self._settings) | values)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.take()  # what came before the change
        self._settings = settings
        if self._pipeline is not None and self._outputs is not None:
            self._pipeline.apply(settings)
            self._outputs.use(self._pipeline.artifact, settings)
        return SetParametersResult(successful=True)


def _load(settings: Settings) -> Artifact:
    return load_artifact(Path(settings.model) if settings.model else default_artifact())
