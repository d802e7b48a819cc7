"""Somebody else who takes the cameras of `tao-lora bench node`, until it is ended.

    python -m tao_lora_ros.ros.bench_subscriber COUNT

A plain node that holds the newest frames as bytes, some two seconds of them, and does nothing else:
what cameras cost all others on a machine as soon as anybody listens to them.
"""

from __future__ import annotations

import sys
from collections import deque

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from tao_lora_ros.benchmarks.cameras import FRAMES_HZ, topics

_HELD_S = 2


def main() -> int:
    """Run as a process of its own; returns the exit status."""
    rclpy.init(args=[])
    node = rclpy.create_node("tao_lora_bench_subscriber")
    for name in topics(int(sys.argv[1])):
        held: deque[bytes] = deque(maxlen=_HELD_S * FRAMES_HZ)
        node.create_subscription(Image, name, held.append, QoSProfile(depth=10), raw=True)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
