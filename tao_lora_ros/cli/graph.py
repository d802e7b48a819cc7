"""A node of our own in the ROS graph, and the pipeline's node in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

_INFERENCE = "tao_lora_ros/msg/Inference"


@contextmanager
def ros_node(name: str) -> Iterator[Node]:
    """A node for as long as the context lasts; Ctrl-C stays Python's."""
    # rclpy's own handler would swallow Ctrl-C.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node(name)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown()


def pipelines(node: Node) -> list[str]:
    """Full names of the nodes that send inferences, in order."""
    suffix = "/inference"
    topics = [name for name, kinds in node.get_topic_names_and_types() if _INFERENCE in kinds]
    found = [topic for topic in topics if topic.endswith(suffix) and node.count_publishers(topic)]
    return sorted(topic.removesuffix(suffix) for topic in found)
