"""Another participant of DDS for the node's subscriptions, where DDS leaves its first one deaf.

Its publishers are known and nothing of them comes. Fast DDS passes messages within a machine
through memory that is known by a port's number alone. A process that was killed between two
messages leaves its port as one that is served; who has sent to it goes on sending there for good,
also when another process has taken that number, with new memory. A second participant has another.
"""

from __future__ import annotations

import rclpy
from rclpy.context import Context
from rclpy.node import Node


class OtherParticipant:
    """Made when first asked for, and kept: to take one away can hang, see `leaving.py`.

    Args:
        node: whose domain and name it has, the name with `_other` after it.
        arguments: of ROS, which may name an enclave; None: the process's own.
    """

    def __init__(self, node: Node, arguments: list[str] | None = None) -> None:
        self._first, self._arguments = node, arguments
        self._made: Node | None = None

    @property
    def node(self) -> Node:
        """A node on it, which offers nothing and knows topics by their full names."""
        if self._made is None:
            context = Context()
            domain_id = self._first.context.get_domain_id()
            rclpy.init(args=self._arguments, context=context, domain_id=domain_id)
            self._made = Node(
                f"{self._first.get_name()}_other",
                namespace=self._first.get_namespace(),
                context=context,
                use_global_arguments=False,
                enable_rosout=False,
                start_parameter_services=False,
            )
        return self._made

    def close(self) -> None:
        """Leave the graph."""
        if self._made is not None:
            self._made.destroy_node()
            self._made.context.try_shutdown()
