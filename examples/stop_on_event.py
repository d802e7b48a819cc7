"""Stop a mobile base when something happens: a node beside the pipeline's.

    python examples/stop_on_event.py --ros-args -p least_score:=1.5 -r cmd_vel:=/base/cmd_vel

At the onset of an event it publishes zero velocities for `hold_s` seconds. Whoever else publishes
on `cmd_vel` has to give way meanwhile, such as by a twist multiplexer. This is no safety function.
"""

from contextlib import suppress

import rclpy
from geometry_msgs.msg import Twist
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from tao_lora_ros.msg import TransientEvent

PERIOD_S = 0.05


class StopOnEvent(Node):
    """Publishes zero velocities from the onset of each event that scores enough."""

    def __init__(self) -> None:
        super().__init__("stop_on_event")
        self._least_score = self.declare_parameter("least_score", 1.0).value
        self._hold_s = self.declare_parameter("hold_s", 0.5).value
        self._left = 0  # zeros still to be published
        self._velocities = self.create_publisher(Twist, "cmd_vel", 10)
        # Volatile by default: the events of the time before this node started are not sent again.
        self.create_subscription(TransientEvent, "tao_lora/events", self._on_event, 10)
        self.create_timer(PERIOD_S, self._on_timer)

    def _on_event(self, event: TransientEvent) -> None:
        if event.phase == TransientEvent.ONSET and event.peak_score >= self._least_score:
            self.get_logger().warning(f"stop: {event.channels[0]}, score {event.peak_score:.2f}")
            self._velocities.publish(Twist())
            self._left = round(self._hold_s / PERIOD_S)

    def _on_timer(self) -> None:
        if self._left > 0:
            self._left -= 1
            self._velocities.publish(Twist())


def main() -> None:
    """Run the node until it is interrupted."""
    rclpy.init()
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(StopOnEvent())


if __name__ == "__main__":
    main()
