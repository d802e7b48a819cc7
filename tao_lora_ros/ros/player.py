"""Play a recording's IMU and wrench messages onto ROS 2 topics, in real time, byte for byte.

The header stamps stay as they were recorded: the node works by them, so what it gives out is what
a replay of the bag gives.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rclpy
from geometry_msgs.msg import WrenchStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from rich.progress import Progress
from sensor_msgs.msg import Imu

from tao_lora_ros.bags.reader import BagError, BagReader
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.source import SourceConfig

MESSAGE_TYPES = {IMU: Imu, WRENCH: WrenchStamped}
# Reliable serves best-effort subscribers too.
QOS = QoSProfile(
    depth=2000, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
)
_SETTLE_S = 0.5
_MATCH_S = 20.0
_ACKNOWLEDGE_S = 5.0


def sources() -> list[SourceConfig]:
    """The sources of the default settings."""
    settings = Settings()
    return [SourceConfig(name, IMU) for name in settings.imus] + [
        SourceConfig(name, WRENCH) for name in settings.wrenches
    ]


def play(
    bag: Path, topics: Mapping[str, str] | None = None, rate: float = 1.0, subscribers: int = 1
) -> int:
    """Publish a bag on the topics `imu` and `wrench`, at the pace of its log times.

    Args:
        bag: ROS 1 or ROS 2 bag.
        topics: bag topic by source name, where it is not obvious.
        rate: playing speed; 2 is twice as fast as recorded.
        subscribers: how many to wait for on each topic before the first message.

    Returns:
        The number of messages published.

    Raises:
        BagError: the bag cannot be read.
        ValueError: the rate is not above 0.
        TimeoutError: too few subscribers came.
    """
    if not rate > 0:
        raise ValueError(f"rate is {rate:g}, expected above 0")
    with BagReader(bag, sources(), topics) as reader:
        context = rclpy.Context()
        # rclpy's own handler would swallow Ctrl-C.
        rclpy.init(args=sys.argv, context=context, signal_handler_options=SignalHandlerOptions.NO)
        node = Node("tao_lora_player", context=context)
        try:
            publishers = [
                node.create_publisher(MESSAGE_TYPES[source.msgtype], source.name, QOS)
                for source in sources()
            ]
            _wait_for(publishers, subscribers)
            time.sleep(_SETTLE_S)  # we have matched them; they may not have matched us yet
            count = _publish(reader, publishers, rate)
            for publisher in publishers:
                publisher.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGE_S))
        finally:
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


def _publish(reader: BagReader, publishers: list[Any], rate: float) -> int:
    """Publish by one absolute schedule, so that late messages delay none after them."""
    count, begun, first_ns = 0, 0.0, 0
    with Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("playing", total=reader.message_count)
        for index, log_ns, data in reader.messages():
            if count == 0:
                begun, first_ns = time.monotonic(), log_ns
            wait = begun + (log_ns - first_ns) * 1e-9 / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            publishers[index].publish(data)
            count += 1
            if count % 100 == 0:
                bar.update(task, completed=count)
    return count


def main() -> int:
    """Play as a process of its own; returns the exit status."""
    parser = argparse.ArgumentParser(prog="player", description=__doc__.partition("\n")[0])
    parser.add_argument("bag", type=Path)
    parser.add_argument("--rate", type=float, default=1.0, help="playing speed (default 1)")
    parser.add_argument("--subscribers", type=int, default=1, help="wait for so many (default 1)")
    options = parser.parse_args(remove_ros_args(sys.argv)[1:])
    try:
        play(options.bag, rate=options.rate, subscribers=options.subscribers)
    except (BagError, ValueError, TimeoutError) as error:
        print(f"player: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
