"""What others do on the node's topics: publishers that come, go, multiply or do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from geometry_msgs.msg import WrenchStamped
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Imu
from trust.live import Live, node
from trust.table import Row
from wire import DEEP, Wire

_UNRELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


@contextmanager
def replaced(kind: Any, qos: QoSProfile | None, wire: Wire) -> Iterator[None]:
    """Another publisher in place of the Imu's; without a QoS none."""
    wire.node.destroy_publisher(wire.publishers[0])
    other = wire.node.create_publisher(kind, "/imu", qos) if qos else None
    yield
    if other:
        wire.node.destroy_publisher(other)
    wire.publishers[0] = wire.node.create_publisher(Imu, "/imu", DEEP)


@contextmanager
def beside(count: int, wire: Wire) -> Iterator[None]:
    """So many publishers more."""
    others = [wire.node.create_publisher(Imu, "/imu", DEEP) for _ in range(count)]
    yield
    for other in others:
        wire.node.destroy_publisher(other)


FAULTS: tuple[tuple[str, Callable[[Wire], AbstractContextManager[None]], str], ...] = (
    ("another type on the topic", partial(replaced, WrenchStamped, DEEP), "expected sensor_msgs"),
    ("a QoS that does not fit", partial(replaced, Imu, _UNRELIABLE), "reliable subscription"),
    ("no publisher", partial(replaced, Imu, None), "silent for .*: 0 publishers"),
    ("a second publisher", partial(beside, 1), "2 publishers on /imu"),
    ("20 publishers more", partial(beside, 20), "21 publishers on /imu"),
    ("a publisher that sends nothing", partial(beside, 0), "subscribed anew"),
)


def rows(wire: Wire, folder: Path) -> Iterator[Row]:
    """Each on one node."""
    with node(wire, folder / "graph.log", "store_max_mb:=0") as live:
        for name, around, said in FAULTS:
            yield _row(live, name, around, said)


def _row(live: Live, name: str, around: Callable, said: str) -> Row:
    row = Row(name, injected=1)
    before, log_from = live.settled(), len(live.process.log)
    with around(live.wire):
        if "publishers on" in said:  # beside messages that come
            live.strike(2.0, ())
        row.said = live.until_said(said, before, log_from)
    live.wire.until_listening(live.process)
    row.recovered_s = live.recovered_s(1.5)
    row.used = live.settled().count("used") - before.count("used")
    row.check(row.recovered_s is not None, "no inference afterwards")
    row.check("Traceback" not in live.process.log, "a traceback")
    return row
