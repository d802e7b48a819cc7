"""The node: raw messages in, inferences and events out."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from functools import partial, wraps
from pathlib import Path

import rclpy
import torch
from geometry_msgs.msg import WrenchStamped
from rcl_interfaces.msg import SetParametersResult
from rclpy.duration import Duration
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import (
    LifecycleNode,
    LifecyclePublisher,
    LifecycleState,
    TransitionCallbackReturn,
)
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.service import Service
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import Imu
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.results import Event, Inference, Phase, Result
from tao_lora_ros.engine.settings import SettingsError, settings_from
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.model.artifact import ArtifactError, default_artifact, load_artifact
from tao_lora_ros.msg import Inference as InferenceMessage
from tao_lora_ros.msg import TransientEvent
from tao_lora_ros.preservation.event_catalogue import default_store
from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.event_writer import EventWriter
from tao_lora_ros.ros.distro import Executor
from tao_lora_ros.ros.markers import event_markers, no_markers
from tao_lora_ros.ros.messages import event_message, inference_message
from tao_lora_ros.ros.parameters import declare, is_ours
from tao_lora_ros.router.calibration import CalibrationError
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.source import SourceConfig

NODE_NAME = "tao_lora"
_MESSAGE_TYPES = {IMU: Imu, WRENCH: WrenchStamped}
_EVENTS_QOS = QoSProfile(
    depth=100,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
_ACKNOWLEDGE_S = 1.0  # Fast DDS acknowledges every 3 s at the least, but sends at once

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

    Raises:
        SettingsError: a parameter is unknown, of the wrong type or out of range.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(NODE_NAME, **kwargs)
        self._pipeline: Pipeline | None = None
        self._writer: EventWriter | None = None
        self._inputs: list[Subscription] = []
        self._outputs: list[LifecyclePublisher] = []
        self._triggers: list[Service] = []
        self._settings = declare(self)
        self.add_on_set_parameters_callback(self._on_parameters)

    @_told
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, build the pipeline, advertise."""
        folder = Path(self._settings.model) if self._settings.model else default_artifact()
        try:
            self._artifact = load_artifact(folder)
            self._pipeline = Pipeline(self._settings, self._artifact)
            runtime = self._pipeline.runtime
            self.get_logger().info(f"inference on {runtime.name}: {runtime.reason}")
        except (ArtifactError, SettingsError) as error:
            self.get_logger().fatal(str(error))
            return TransitionCallbackReturn.FAILURE
        # A logger each, or the throttling of one source would silence the others.
        names = (source.config.name for source in self._pipeline.sources)
        self._warnings = [self.get_logger().get_child(name) for name in names]
        self._inferences = self.create_lifecycle_publisher(InferenceMessage, "~/inference", 100)
        self._events = self.create_lifecycle_publisher(TransientEvent, "~/events", _EVENTS_QOS)
        self._markers = self.create_lifecycle_publisher(MarkerArray, "~/markers", 100)
        self._outputs = [self._inferences, self._events, self._markers]
        self._triggers = [
            self.create_service(Trigger, "~/calibrate", self._on_calibrate),
            self.create_service(Trigger, "~/reset", self._on_reset),
        ]
        return TransitionCallbackReturn.SUCCESS

    @_told
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the sources."""
        result = super().on_activate(state)
        self._writer = self._open_store()
        for index, config in enumerate(source_configs(self._settings)):
            self._inputs.append(self._subscribe(index, config))
        self.get_logger().info(
            f"model {self._artifact.model_id} {self._artifact.version}, "
            f"reading {', '.join(subscription.topic_name for subscription in self._inputs)}"
        )
        return result

    def _open_store(self) -> EventWriter | None:
        settings = self._settings
        if not settings.store_max_mb:
            return None
        folder = Path(settings.store).expanduser() if settings.store else default_store()
        sizes = settings.store_max_mb << 20, settings.store_min_free_mb << 20
        return EventWriter(folder, *sizes, report=self.get_logger().warning)

    def _subscribe(self, index: int, config: SourceConfig) -> Subscription:
        # Each its own profile: rclpy writes the overrides of a topic into the one it is given.
        qos = QoSProfile(
            depth=self._settings.queue_depth,
            history=HistoryPolicy.KEEP_LAST,
            reliability=ReliabilityPolicy.BEST_EFFORT,
        )
        return self.create_subscription(
            _MESSAGE_TYPES[config.msgtype],
            config.name,
            partial(self._on_message, index),
            qos,
            raw=True,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    @_told
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and close the open event."""
        self._unsubscribe()
        return super().on_deactivate(state)

    @_told
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and the publishers."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    @_told
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the open event, wait until it has arrived, and let go of everything."""
        self._unsubscribe()
        if self._outputs:
            self._events.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGE_S))
        self._release()
        return TransitionCallbackReturn.SUCCESS

    @_told
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of what a failed transition left behind."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def _unsubscribe(self) -> None:
        while self._inputs:
            self.destroy_subscription(self._inputs.pop())
        if self._pipeline is not None:
            self._publish(self._pipeline.reset(), time.monotonic_ns())
        if self._writer is not None:
            writer, self._writer = self._writer, None
            if not writer.close():
                self.get_logger().warning("event store: gave up waiting for the disk")

    def _release(self) -> None:
        while self._inputs:
            self.destroy_subscription(self._inputs.pop())
        while self._outputs:
            self.destroy_lifecycle_publisher(self._outputs.pop())
        while self._triggers:
            self.destroy_service(self._triggers.pop())
        self._pipeline = None

    def _on_message(self, source: int, data: bytes) -> None:
        if self._pipeline is None:
            return
        arrived_ns = time.monotonic_ns()
        stream = self._pipeline.sources[source]
        rejected = stream.rejected.total()
        self._publish(self._pipeline.push(source, data), arrived_ns)
        if stream.rejected.total() > rejected:
            self._warnings[source].warning(f"refused: {stream.reason}", throttle_duration_sec=1.0)

    def _publish(self, results: Iterable[Result], arrived_ns: int) -> None:
        for result in results:
            if isinstance(result, Inference):
                latency_ns = time.monotonic_ns() - arrived_ns
                self._inferences.publish(inference_message(result, self._artifact, latency_ns))
            else:
                self._events.publish(event_message(result))
                self._markers.publish(event_markers(result))
                if self._writer is not None and result.phase is Phase.END:
                    self._writer.submit(EventRecord.of(result))
                self._log(result)

    def _log(self, event: Event) -> None:
        channels = ", ".join(f"{name} {share:.0%}" for name, share in event.channels[:3])
        lasted = f", {(event.end_ns - event.onset_ns) * 1e-9:.3f} s" * (event.phase is Phase.END)
        self.get_logger().info(
            f"event {event.sequence} {event.phase.name.lower()}: "
            f"score {event.peak_score:.2f} {event.label} ({channels}){lasted}"
        )

    def _on_calibrate(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Set the thresholds from the steady motion since the last reset."""
        assert self._pipeline is not None, "the service lives while the pipeline does"
        try:
            calibration = self._pipeline.calibrate()
        except CalibrationError as error:
            response.message = str(error)
            return response
        thresholds = ", ".join(f"{threshold:.3f}" for threshold in calibration.thresholds)
        response.success = True
        response.message = f"thresholds {thresholds} for {calibration.alarms_per_hour:g} an hour"
        self.get_logger().info(response.message)
        return response

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Close the open event and forget all signals, those for the calibration too."""
        assert self._pipeline is not None, "the service lives while the pipeline does"
        self._publish(self._pipeline.reset(), time.monotonic_ns())
        self._markers.publish(no_markers())
        response.success = True
        return response

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        values = {change.name: change.value for change in changes if is_ours(change.name)}
        try:
            settings = settings_from(asdict(self._settings) | values)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._settings = settings
        if self._pipeline is not None:
            self._pipeline.apply(settings)
        return SetParametersResult(successful=True)


def main() -> int:
    """Run the node until SIGINT or SIGTERM; returns the exit status."""
    # One thread: the model is small, and waking a second core costs more than it brings.
    torch.set_num_threads(1)
    try:
        # rclpy's own handlers would shut the context down before the open event is published.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        node = PipelineNode()
    except (SettingsError, ParameterException, NameValidationException, RuntimeError) as error:
        # RuntimeError: that of rcl, which rclpy does not export, for a bad file or argument.
        print(f"{NODE_NAME}: {' '.join(str(error).split())}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    status = _run(node)
    rclpy.try_shutdown()
    return status


def _run(node: PipelineNode) -> int:
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: signals.append(number))
    executor = Executor()
    executor.add_node(node)
    started = _start(node)
    while started and not signals:
        try:
            executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            break
    with suppress(RuntimeError):  # rclpy's, where the service has shut the node down already
        node.trigger_shutdown()
    executor.shutdown()
    node.destroy_node()
    return 0 if started else 1


def _start(node: PipelineNode) -> bool:
    success = TransitionCallbackReturn.SUCCESS
    return node.trigger_configure() == success and node.trigger_activate() == success


if __name__ == "__main__":
    sys.exit(main())
