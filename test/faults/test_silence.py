"""A source that falls silent, or is offered in a way that cannot be received."""

from __future__ import annotations

import pytest
from recordings import motion

pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
pytestmark = pytest.mark.ros
ERROR = 2


def test_a_subscription_that_nothing_comes_on_is_made_anew_and_works(wire, start_node):
    watch = wire.watch()
    process = start_node()
    wire.play(motion(1.0))
    watch.until("wrench", lambda r: r["level"] == ERROR and "subscribed anew" in r["message"])
    assert "nothing came for 5 s: subscribed anew" in process.log
    received = int(watch.of("wrench")[-1]["received"])
    # The new subscription is found by the publishers within moments.
    stamps = iter(range(2, 60))

    def plays() -> bool:
        wire.play(motion(0.2, start_ns=motion(0.002)[0].stamp_ns + next(stamps) * 10**9))
        return int(watch.of("wrench")[-1]["received"]) > received + 200

    wire.until(plays, "messages on the new subscription")
    assert "Traceback" not in process.log
    assert process.stop() == 0


def test_an_offer_that_does_not_fit_is_in_diagnostics_by_its_policy(wire, run):
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Imu
    from wire import node_command

    wire.node.destroy_publisher(wire.publishers[0])
    unreliable = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    wire.publishers[0] = wire.node.create_publisher(Imu, "/imu", unreliable)
    watch = wire.watch()
    run(node_command(["qos_overrides./imu.subscription.reliability:=reliable"]))
    watch.until("imu", lambda r: r["level"] == ERROR and "reliable subscription" in r["message"])
