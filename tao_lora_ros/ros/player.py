"""Play a recording's IMU and wrench messages onto ROS 2 topics, in real time, byte for byte.

The header stamps stay as they were recorded: the node works by them, so what it gives out is what
a replay of the bag gives.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from rich.console import Console
from rich.progress import Progress
from rosgraph_msgs.msg import Clock

from tao_lora_ros.bags.discover import sources_in
from tao_lora_ros.bags.reader import BagReader, bag_topics
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.ros.inputs import MESSAGE_TYPES
from tao_lora_ros.ros.leaving import leaving_graph
from tao_lora_ros.ros.time_message import time_message
from tao_lora_ros.signal.source import SourceConfig

# Reliable serves best-effort subscribers too.
QOS = QoSProfile(
    depth=2000, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
)
_CLOCK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
_CLOCK_NS = 10_000_000
_SETTLE_S = 0.5
_MATCH_S = 60.0  # a node that starts on a busy machine imports and compiles for half of it
_ACKNOWLEDGE_S = 5.0


def play(
    bag: Path,
    sources: Sequence[SourceConfig],
    topics: Mapping[str, str] | None = None,
    rate: float = 1.0,
    subscribers: int = 1,
    clock: bool = False,
) -> int:
    """Publish a bag on the topics of the sources' names, at the pace of its log times.

    Args:
        bag: ROS 1 or ROS 2 bag.
        sources: the sources to play.
        topics: bag topic by source name, where it is not obvious.
        rate: playing speed; 2 is twice as fast as recorded.
        subscribers: how many to wait for on each topic before the first message.
        clock: publish the log times on /clock too, every 10 ms of them.

    Returns:
        The number of messages published.

    Raises:
        BagError: the bag cannot be read.
        ValueError: the rate is not above 0.
        TimeoutError: too few subscribers came.
    """
    if not rate > 0:
        raise ValueError(f"rate is {rate:g}, expected above 0")
    with BagReader(bag, sources, topics) as reader:
        context = rclpy.Context()
        # rclpy's own handler would swallow Ctrl-C.
        rclpy.init(args=sys.argv, context=context, signal_handler_options=SignalHandlerOptions.NO)
        node = Node("tao_lora_player", context=context)
        try:
            publishers = [
                node.create_publisher(MESSAGE_TYPES[source.msgtype], source.name, QOS)
                for source in sources
            ]
            ticker = node.create_publisher(Clock, "/clock", _CLOCK_QOS) if clock else None
            _wait_for(publishers, subscribers)
            time.sleep(_SETTLE_S)  # we have matched them; they may not have matched us yet
            count = _publish(reader, publishers, rate, ticker)
            for publisher in publishers:
                publisher.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGE_S))
        finally:
            with leaving_graph():
                node.destroy_node()
            rclpy.shutdown(context=context)
    return count


def _wait_for(publishers: list[Any], subscribers: int) -> None:
    deadline = time.monotonic() + _MATCH_S
    for publisher in publishers:
        while publisher.get_subscription_count() < subscribers:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{publisher.topic_name}: {publisher.get_subscription_count()} of "
                    f"{subscribers} subscribers came within {_MATCH_S:g} s"
                )
            time.sleep(0.02)


def _publish(reader: BagReader, publishers: list[Any], rate: float, ticker: Any) -> int:
    """Publish by one absolute schedule, so that late messages delay none after them."""
    count, begun, first_ns, tick_ns = 0, 0.0, 0, 0
    silent = not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=silent) as bar:
        task = bar.add_task("playing", total=reader.message_count)
        for index, log_ns, data in reader.messages():
            if count == 0:
                begun, first_ns = time.monotonic(), log_ns
            wait = begun + (log_ns - first_ns) * 1e-9 / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            if ticker is not None and log_ns >= tick_ns:
                ticker.publish(Clock(clock=time_message(log_ns)))
                tick_ns = log_ns + _CLOCK_NS
            publishers[index].publish(data)
            count += 1
            if count % 100 == 0:
                bar.update(task, completed=count)
    reader.warn()
    return count


def main() -> int:
    """Play as a process of its own, which takes ROS arguments; returns the exit status."""
    parser = argparse.ArgumentParser(prog="player", description=__doc__.partition("\n")[0])
    parser.add_argument("bag", type=Path)
    parser.add_argument("--rate", type=float, default=1.0, help="playing speed (default 1)")
    parser.add_argument("--subscribers", type=int, default=1, help="wait for so many (default 1)")
    parser.add_argument("--topic", action="append", default=[], metavar="SOURCE=TOPIC")
    parser.add_argument("--clock", action="store_true", help="publish the bag's time on /clock")
    parser.add_argument("--params-file", type=Path, metavar="YAML", help="of the node")
    options = parser.parse_args(remove_ros_args(sys.argv)[1:])
    try:
        found = sources_in(options.bag, options.params_file, bag_topics(options.topic))
        sources = source_configs(found.settings)
        play(options.bag, sources, found.topics, options.rate, options.subscribers, options.clock)
    except (ValueError, TimeoutError) as error:
        print(f"player: {shown(error, MOST_LINE)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
