"""The node: raw messages in, inferences and events out."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import rclpy
import torch
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.signals import SignalHandlerOptions

from geometry_msgs.msg import WrenchStamped
from sensor_msgs.msg import Imu
from tao_lora_ros.engine.pipeline import Pipeline, source_configs
from tao_lora_ros.engine.results import Event, Inference, Phase, Result
from tao_lora_ros.engine.settings import SettingsError, settings_from
from tao_lora_ros.model.artifact import Artifact, ArtifactError, default_artifact, load_artifact
from tao_lora_ros.msg import Inference as InferenceMessage
from tao_lora_ros.msg import TransientEvent
from tao_lora_ros.ros.messages import event_message, inference_message
from tao_lora_ros.ros.parameters import declare, is_ours
from tao_lora_ros.router.router import Path as Route
from tao_lora_ros.signal.cdr import IMU, WRENCH

try:
    from rclpy.experimental import EventsExecutor as Executor
except ImportError:  # Humble has none
    from rclpy.executors import SingleThreadedExecutor as Executor

NODE_NAME = "tao_lora"
_MESSAGE_TYPES = {IMU: Imu, WRENCH: WrenchStamped}
_EVENTS_QOS = QoSProfile(
    depth=100,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class PipelineNode(LifecycleNode):
    """Lifecycle node around one `Pipeline`.

    `configure` loads and warms the model, `activate` subscribes, `deactivate` unsubscribes and
    closes the open event.

    Raises:
        SettingsError: a parameter is unknown, of the wrong type or out of range.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(NODE_NAME, **kwargs)
        self._settings = declare(self)
        self.add_on_set_parameters_callback(self._on_parameters)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, build the pipeline, advertise."""
        folder = Path(self._settings.model) if self._settings.model else default_artifact()
        try:
            self._artifact = load_artifact(folder)
            self._pipeline = Pipeline(self._settings, self._artifact)
        except (ArtifactError, SettingsError) as error:
            self.get_logger().fatal(str(error))
            return TransitionCallbackReturn.FAILURE
        _warm(self._artifact)
        self._inferences = self.create_lifecycle_publisher(InferenceMessage, "~/inference", 100)
        self._events = self.create_lifecycle_publisher(TransientEvent, "~/events", _EVENTS_QOS)
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the sources."""
        result = super().on_activate(state)
        qos = QoSProfile(
            depth=self._settings.queue_depth,
            history=HistoryPolicy.KEEP_LAST,
            reliability=ReliabilityPolicy.BEST_EFFORT,
        )
        self._inputs = [
            self.create_subscription(
                _MESSAGE_TYPES[config.msgtype],
                config.name,
                partial(self._on_message, index),
                qos,
                raw=True,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
            for index, config in enumerate(source_configs(self._settings))
        ]
        self.get_logger().info(
            f"model {self._artifact.model_id} {self._artifact.version}, "
            f"reading {', '.join(subscription.topic_name for subscription in self._inputs)}"
        )
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and close the open event."""
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._publish(self._pipeline.reset(), time.monotonic_ns())
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and the publishers."""
        self.destroy_lifecycle_publisher(self._inferences)
        self.destroy_lifecycle_publisher(self._events)
        del self._pipeline, self._artifact
        return TransitionCallbackReturn.SUCCESS

    def _on_message(self, source: int, data: bytes) -> None:
        arrived_ns = time.monotonic_ns()
        rejected = self._pipeline.sources[source].rejected.total()
        results = self._pipeline.push(source, data)
        self._publish(results, arrived_ns)
        if self._pipeline.sources[source].rejected.total() > rejected:
            self.get_logger().warning(
                f"refused: {self._pipeline.sources[source].reason}", throttle_duration_sec=1.0
            )

    def _publish(self, results: Iterable[Result], arrived_ns: int) -> None:
        for result in results:
            if isinstance(result, Inference):
                latency_ns = time.monotonic_ns() - arrived_ns
                self._inferences.publish(inference_message(result, self._artifact, latency_ns))
            else:
                self._events.publish(event_message(result))
                self._log(result)

    def _log(self, event: Event) -> None:
        channels = ", ".join(f"{name} {share:.0%}" for name, share in event.channels[:3])
        self.get_logger().info(
            f"event {event.sequence} {event.phase.name.lower()}: "
            f"score {event.peak_score:.2f} {event.label} ({channels})"
            + (f", {(event.end_ns - event.onset_ns) * 1e-9:.3f} s" if event.phase is Phase.END else "")
        )

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        values = {change.name: change.value for change in changes if is_ours(change.name)}
        try:
            settings = settings_from(asdict(self._settings) | values)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._settings = settings
        if hasattr(self, "_pipeline"):
            self._pipeline.apply(settings)
        return SetParametersResult(successful=True)


def _warm(artifact: Artifact) -> None:
    """First calls allocate and are slow; have them behind us before data comes."""
    windows = torch.zeros(1, artifact.model.config.window, artifact.model.config.channels)
    with torch.inference_mode():
        for _ in range(3):
            for route in Route:
                artifact.model(windows, route)


def main() -> int:
    """Run the node until SIGINT or SIGTERM; returns the exit status."""
    # One thread: the model is small, and waking a second core costs more than it brings.
    torch.set_num_threads(1)
    # rclpy's own handlers would shut the context down before the open event is published.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        node = PipelineNode()
    except SettingsError as error:
        print(f"{NODE_NAME}: {error}", file=sys.stderr)
        rclpy.shutdown()
        return 1
    executor = Executor()
    executor.add_node(node)
    status = 0 if _start(node) else 1
    # EventsExecutor.spin() fires no callback in the Jazzy wheels; spin_once does.
    while status == 0 and not stopping:
        try:
            executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            break
    if status == 0:
        node.trigger_deactivate()
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()
    return status


def _start(node: PipelineNode) -> bool:
    success = TransitionCallbackReturn.SUCCESS
    return node.trigger_configure() == success and node.trigger_activate() == success


if __name__ == "__main__":
    sys.exit(main())
