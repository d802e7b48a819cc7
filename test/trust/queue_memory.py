"""Memory that the deepest fill of an input's queue takes: `python -m trust.queue_memory [DEPTH]`.

A process with the node's input takes nothing while so many messages come, then all at once.
Fast DDS lets 5000 wait (`max_samples`), however deep the queue was asked to be.
"""

from __future__ import annotations

import os
import sys
from multiprocessing import get_context
from multiprocessing.connection import Connection

from recordings import START_NS, imu
from trust.memory import anonymous_mib

from tao_lora_ros.signal.cdr import IMU
from tao_lora_ros.signal.source import SourceConfig

FILLS = 3


def _reader(pipe: Connection, depth: int) -> None:
    import rclpy
    from rclpy.lifecycle import LifecycleNode
    from rclpy.parameter import Parameter

    from tao_lora_ros.ros.inputs import Input
    from tao_lora_ros.ros.other_participant import OtherParticipant

    rclpy.init()
    reliable = Parameter("qos_overrides./imu.subscription.reliability", value="reliable")
    node = LifecycleNode("reader", parameter_overrides=[reliable])
    input = Input(node, SourceConfig("imu", IMU), depth, OtherParticipant(node))
    pipe.send(None)
    pipe.recv()
    before = anonymous_mib(os.getpid())
    for _ in range(FILLS):
        pipe.send(None)
        pipe.recv()
        waiting = anonymous_mib(os.getpid())
        messages = input.take()
        mib = waiting, anonymous_mib(os.getpid())
        pipe.send((len(messages), [value - before for value in mib]))
        pipe.recv()


def main() -> int:
    """Print what messages take that wait, and that were taken at once."""
    from wire import open_wire

    depth = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    wire, context = open_wire(), get_context("spawn")
    ours, theirs = context.Pipe()
    reader = context.Process(target=_reader, args=(theirs, depth))
    reader.start()
    try:
        ours.recv()
        publisher = wire.publishers[0]
        wire.until(lambda: publisher.get_subscription_count() > 0, "the reader")
        wire.spin_for(2.0)
        ours.send(None)
        for _ in range(FILLS):
            ours.recv()
            for i in range(depth):
                publisher.publish(imu(START_NS + i * 1_000_000))
            wire.until_acknowledged()
            ours.send(None)
            count, (waiting, taken) = ours.recv()
            print(f"{count} Imu messages: {waiting:.1f} MiB wait, {taken:.1f} MiB when taken")
            ours.send(None)
    finally:
        reader.kill()
        wire.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
