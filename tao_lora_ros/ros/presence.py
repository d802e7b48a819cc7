"""Whether the node that is watched runs, began anew, or shares its name."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from rclpy.node import Node

_LOOK_S = 0.5  # the graph is asked so often
_INFERENCE, _SUFFIX = "tao_lora_ros/msg/Inference", "/inference"


def pipelines(node: Node) -> list[str]:
    """Full names of the nodes that send inferences, in order."""
    topics = [name for name, kinds in node.get_topic_names_and_types() if _INFERENCE in kinds]
    found = [topic for topic in topics if topic.endswith(_SUFFIX) and node.count_publishers(topic)]
    return sorted(topic.removesuffix(_SUFFIX) for topic in found)


class Presence:
    """Looks for one node in the graph.

    Args:
        node: a node to look with.
        pipeline: full name of the node to look for.
    """

    def __init__(self, node: Node, pipeline: str) -> None:
        self._node, self._pipeline = node, pipeline
        self._known: set[bytes] = set()
        self._anew = self._text = ""
        self._due_s = 0.0

    @property
    def text(self) -> str:
        """Its name, and what is to be said of it."""
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + _LOOK_S
            self._text = self._looked()
        return self._text

    def _looked(self) -> str:
        infos = self._node.get_publishers_info_by_topic(f"{self._pipeline}{_SUFFIX}")
        there = {bytes(info.endpoint_gid) for info in infos}
        if there - self._known and self._known:
            self._anew = f", began anew at {datetime.now(timezone.utc):%H:%M:%S}Z"
        self._known |= there
        if len(there) > 1:
            return f"{len(there)} nodes are named {self._pipeline}, or one just died{self._anew}"
        if there:
            return f"{self._pipeline}{self._anew}"
        others = ", ".join(pipelines(self._node))
        return f"{self._pipeline} does not run; " + (
            f"there are {others}" if others else "none does"
        )
