"""The node's services: calibrate, tare, reset, reload and trigger, each a `std_srvs/Trigger`.

A topic `~/trigger` does the same as that service, with a text that says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import Event

from rclpy.lifecycle import LifecycleNode
from rclpy.service import Service
from std_msgs.msg import String
from std_srvs.srv import Trigger

from tao_lora_ros.engine.calibration import Calibrated
from tao_lora_ros.engine.pipeline import Pipeline, TriggerError, Work
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.ros.background import done_in_background
from tao_lora_ros.ros.failures import Failures
from tao_lora_ros.ros.outputs import Outputs


class Services:
    """Services of one configured node.

    Args:
        node: the node.
        pipeline: what they act on.
        outputs: where a reset publishes the end of the open event.
        take: deals with the messages that came before a call.
        reload: loads the model that the parameters name; returns what to answer.
        keep: keeps the calibration for the next start; returns what to answer.
        stopping: set when the node is to end, which does not wait for a calibration.
        failures: where faults of ours are logged; a call is answered all the same.
    """

    def __init__(
        self,
        node: LifecycleNode,
        pipeline: Pipeline,
        outputs: Outputs,
        take: Callable[[], None],
        reload: Callable[[], str],
        keep: Callable[[], str],
        stopping: Event,
        failures: Failures,
    ) -> None:
        self._node = node
        self._pipeline = pipeline
        self._outputs = outputs
        self._take = take
        self._keep = keep
        self._stopping = stopping
        self._failures = failures
        actions = {
            "calibrate": self._calibrate,
            "tare": self._tare,
            "reset": self._reset,
            "reload": reload,
            "trigger": self._trigger,
        }
        self._services: list[Service] = [
            node.create_service(Trigger, f"~/{name}", partial(self._answer, name, action))
            for name, action in actions.items()
        ]
        self._wishes = node.create_subscription(String, "~/trigger", self._on_wish, 10)

    def _answer(
        self,
        name: str,
        action: Callable[[], str],
        _: Trigger.Request | None,
        response: Trigger.Response,
    ) -> Trigger.Response:
        try:
            self._take()
            response.message = action()
            response.success = True
            self._node.get_logger().info(response.message)
        except TaoLoraError as error:
            response.message = shown(error, MOST_LINE)
            self._node.get_logger().warning(f"refused: {response.message}")
        except Exception as error:
            response.message = self._failures.report(name, error)
        return response

    def _calibrate(self) -> str:
        """The smallest blow that is found is for the command to find: it takes seconds."""
        return "; ".join([*self._pipeline.calibrate(self._in_a_thread), self._keep()])

    def _in_a_thread(self, work: Work) -> Calibrated:
        return done_in_background(work, self._take, self._stopping)

    def _tare(self) -> str:
        self._outputs.publish(self._pipeline.tare(), time.monotonic_ns())
        offsets = self._pipeline.intake.offsets.items()
        found = ", ".join(f"{name} {value:.4g}" for name, value in offsets)
        return f"offsets {found or 'none: no source measures a load'}"

    def _reset(self) -> str:
        self._outputs.publish(self._pipeline.reset(), time.monotonic_ns())
        self._outputs.clear_displays()
        return "all signals forgotten"

    def _trigger(self, reason: str = "") -> str:
        if not self._outputs.active:
            raise TriggerError("cannot keep the scene: the node is not active")
        events = self._pipeline.trigger(reason)
        self._outputs.publish(events, time.monotonic_ns())
        kept = "stored once its post-roll has come" if self._outputs.writer else "not stored"
        return f"the scene is event {self._pipeline.counts.events - 1}, {kept}"

    def _on_wish(self, message: String) -> None:
        self._answer("trigger", partial(self._trigger, message.data), None, Trigger.Response())

    def close(self) -> None:
        """Give up the services."""
        self._node.destroy_subscription(self._wishes)
        while self._services:
            self._node.destroy_service(self._services.pop())
