"""A node of our own in the ROS graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from tao_lora_ros.ros.leaving import leaving_graph


@contextmanager
def ros_node(name: str) -> Iterator[Node]:
    """A node for as long as the context lasts; Ctrl-C stays Python's."""
    # rclpy's own handler would swallow Ctrl-C.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node(name)
    try:
        yield node
    finally:
        with leaving_graph():
            node.destroy_node()
        rclpy.shutdown()
