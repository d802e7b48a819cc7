"""The peer of our node: a node as most are written, with ONNX Runtime.

    python test/benchmark/node_peer.py MODEL EVERY SOURCE...

Typed subscriptions, a `SingleThreadedExecutor`, the newest window of every source by order of
arrival, and an inference every EVERY messages of the first source. It publishes under the names of
our node, so that one load serves both. No alignment, no checks, no events.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from contextlib import suppress
from functools import partial

import numpy as np
import onnxruntime
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Imu

from tao_lora_ros.benchmarks.node_models import LABELS
from tao_lora_ros.benchmarks.signals import msgtype_of
from tao_lora_ros.msg import Inference
from tao_lora_ros.ros.inputs import MESSAGE_TYPES


class PlainNode(Node):
    """Typed messages in, ONNX Runtime, typed messages out."""

    def __init__(self, model: str, every: int, sources: list[str]) -> None:
        super().__init__("tao_lora")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        (model_input,) = self._session.get_inputs()
        self._name, rows = model_input.name, model_input.shape[1]
        self._windows: list[deque] = [deque(maxlen=rows) for _ in sources]
        self._every, self._rows = every, rows
        self._received = 0
        self._since = 0
        self._inferences = self.create_publisher(Inference, "~/inference", 100)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        inputs = QoSProfile(depth=2000, reliability=ReliabilityPolicy.BEST_EFFORT)
        for i, name in enumerate(sources):
            kind = MESSAGE_TYPES[msgtype_of(name)]
            take = self._on_imu if kind is Imu else self._on_wrench
            self.create_subscription(kind, name, partial(take, i), inputs)
        self.create_timer(1.0, self._report)

    def _on_imu(self, source: int, message: Imu) -> None:
        a, w = message.linear_acceleration, message.angular_velocity
        self._take(source, message.header, (a.x, a.y, a.z, w.x, w.y, w.z))

    def _on_wrench(self, source: int, message) -> None:
        f, t = message.wrench.force, message.wrench.torque
        self._take(source, message.header, (f.x, f.y, f.z, t.x, t.y, t.z))

    def _take(self, source: int, header, values: tuple[float, ...]) -> None:
        arrived_ns = time.monotonic_ns()
        self._received += 1
        self._windows[source].append(values)
        self._since += source == 0
        if source == 0 and self._since >= self._every:
            self._since = 0
            if all(len(window) == self._rows for window in self._windows):
                self._infer(header, arrived_ns)

    def _infer(self, header, arrived_ns: int) -> None:
        window = np.concatenate([np.array(w, np.float32) for w in self._windows], axis=1)[None]
        logits, _ = self._session.run(None, {self._name: window})
        powers = np.exp(logits[0] - logits[0].max())
        message = Inference(model_id="peer", labels=LABELS)
        message.header = header
        message.probabilities = (powers / powers.sum()).tolist()
        message.latency.nanosec = time.monotonic_ns() - arrived_ns
        self._inferences.publish(message)

    def _report(self) -> None:
        values = [KeyValue(key="received", value=str(self._received))]
        message = DiagnosticArray(status=[DiagnosticStatus(name="tao_lora: peer", values=values)])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def main() -> int:
    """Run until SIGINT; returns the exit status."""
    model, every, *sources = sys.argv[1:]
    rclpy.init(args=[])
    executor = SingleThreadedExecutor()
    executor.add_node(PlainNode(model, int(every), sources))
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        executor.spin()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
