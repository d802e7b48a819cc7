"""The node as a process: its signals, its executor, its exit status."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from types import FrameType

from tao_lora_ros.engine.parameter import NODE_NAME
from tao_lora_ros.hardware.starting import SIGNALS, leaving, starting
from tao_lora_ros.messages.texts import error_line

_LEAST_MIB = 1536


def main() -> int:
    """Run the node until SIGINT or SIGTERM; returns the exit status."""
    with starting(NODE_NAME, _LEAST_MIB, status=0):
        import rclpy
        from rclpy.exceptions import NameValidationException, ParameterException
        from rclpy.signals import SignalHandlerOptions

        from tao_lora_ros.engine.parameter import SettingsError
        from tao_lora_ros.ros.node import PipelineNode

    try:
        # rclpy's own handlers would shut the context down before the open event is published.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        node = PipelineNode(NODE_NAME)
    except (
        *(SettingsError, ParameterException, NameValidationException),
        # RuntimeError: that of rcl, which rclpy does not export, for a bad file or argument.
        *(RuntimeError, OSError, ImportError, MemoryError),
    ) as error:
        print(f"{NODE_NAME}: {error_line(error)}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    status = _run(node)
    rclpy.try_shutdown()
    return status


def _run(node) -> int:
    from rclpy.executors import ExternalShutdownException

    from tao_lora_ros.ros.distro import Executor
    from tao_lora_ros.ros.leaving import leaving_graph

    leave = leaving(NODE_NAME, status=0)

    def stop(number: int, frame: FrameType | None) -> None:
        if node.configuring:  # it may compile for a minute
            leave(number, frame)
        node.stopping.set()

    for number in SIGNALS:
        signal.signal(number, stop)
    executor = Executor()
    executor.add_node(node)
    started = node.start() if node.autostart else True
    while started and not node.stopping.is_set():
        try:
            executor.spin_once(timeout_sec=node.rest_s())
            node.take()
        except ExternalShutdownException:
            break
        except Exception as error:  # rclpy's own callbacks raise too, as for a /clock before 1970
            node.failures.report("serve what came", error)
    with suppress(RuntimeError):  # rclpy's, where the service has shut the node down already
        node.trigger_shutdown()
    executor.shutdown()
    with leaving_graph():
        node.destroy_node()
    return 0 if started else 1


if __name__ == "__main__":
    sys.exit(main())
