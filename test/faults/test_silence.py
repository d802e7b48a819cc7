"""A source that falls silent, or is offered in a way that cannot be received."""

from __future__ import annotations

import time

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


class Topic:
    """An input in this process, and publishers of its topic."""

    def __init__(self, wire) -> None:
        from tao_lora_ros.ros.inputs import Input
        from tao_lora_ros.ros.other_participant import OtherParticipant
        from tao_lora_ros.signal.cdr import IMU
        from tao_lora_ros.signal.source import SourceConfig

        other = OtherParticipant(wire.node)
        self.wire, self.input = wire, Input(wire.node, SourceConfig("/alone", IMU), 1000, other)
        self.sent, self.data = 0, motion(0.002)[0].data

    def publisher(self):
        """One more, and known to the input."""
        from sensor_msgs.msg import Imu
        from wire import DEEP

        known = self.input.publishers
        made = self.wire.node.create_publisher(Imu, "/alone", DEEP)
        self.until(lambda: self.input.publishers > known and made.get_subscription_count())
        return made

    def until(self, condition) -> None:
        """Look for publishers, as a report does, until this is so."""

        def so() -> bool:
            self.input.find_publishers()
            return condition()

        self.wire.until(so, "publishers")

    def send(self, publisher, count: int = 10) -> None:
        """Send and take, until one at least came."""
        received = self.input.received

        def came() -> bool:
            for _ in range(count):
                publisher.publish(self.data)
            self.sent += count
            time.sleep(0.01)
            self.input.take()
            return self.input.received > received

        self.wire.until(came, "a message")

    def accounted(self) -> bool:
        """Whether each message came or is known to be lost."""
        self.input.take()
        self.input.find_publishers()
        return self.input.received + self.input.lost == self.sent

    def subscribe_anew(self) -> None:
        """What a publisher's silence leads to."""
        time.sleep(0.6)  # is silence
        assert "subscribed anew" in self.input.trouble(5.0)


def test_what_a_new_subscription_misses_is_counted(wire):
    topic = Topic(wire)
    publisher = topic.publisher()
    topic.send(publisher)
    wire.until(topic.accounted, "an account of all")
    for _ in range(7):  # wait in the old subscription, and go with it
        publisher.publish(topic.data)
    topic.sent += 7
    topic.subscribe_anew()
    topic.send(publisher)
    wire.until(topic.accounted, "an account of all")
    assert topic.input.lost == topic.input.lost_anew >= 7


def test_other_publishers_numbers_tell_of_no_loss(wire):
    topic = Topic(wire)
    first = topic.publisher()
    topic.send(first, 50)
    second = topic.publisher()  # its numbers begin anew
    for _ in range(5):
        topic.send(second)
        topic.send(first)
    topic.input.find_publishers()
    wire.node.destroy_publisher(first)
    topic.until(lambda: topic.input.publishers == 1)
    topic.send(second)
    wire.until(lambda: not topic.input.take(), "the rest")
    topic.input.find_publishers()
    assert topic.input.lost == 0


def test_a_process_that_was_stopped_is_not_deaf(wire, start_node):
    import signal

    watch = wire.watch()  # known to the node by its first report, or the one that counts is missed
    process = start_node()
    wire.play(motion(1.0))
    watch.until("inference", lambda _: True)
    process.child.send_signal(signal.SIGSTOP)
    time.sleep(6.0)
    process.child.send_signal(signal.SIGCONT)
    watch.until("inference", lambda r: "stood still for" in r["message"])
    assert "subscribed anew" not in process.log
