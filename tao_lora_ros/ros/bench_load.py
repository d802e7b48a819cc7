"""The load of `tao-lora bench node`: publishes, notes what comes back, watches the other process.

    python -m tao_lora_ros.ros.bench_load RATE SECONDS PID REPORT SOURCE...

Publishes an Imu or a wrench (by the name) on each source's topic, RATE times a second: noise that
impacts shake. All bytes are packed beforehand, but for the stamp. Latencies are
differences of the times of publication, which DDS sends along: the clock is one, the host's.
"""

from __future__ import annotations

import json
import sys
import time
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

from tao_lora_ros.benchmarks.signals import Stream
from tao_lora_ros.hardware.process import usage
from tao_lora_ros.messages.stamps import SECOND_NS, stamp_of
from tao_lora_ros.msg import EventSamples, Inference, TransientEvent
from tao_lora_ros.ros.inputs import MESSAGE_TYPES

_WARM_S = 3.0
_SETTLE_S = 2.5  # diagnostics come once a second
_MATCH_S = 300.0  # a node may compile its loops first
_POLL_S = 0.01


class Load:
    """Publishers of the sources and subscriptions to what the node makes of them."""

    def __init__(self, node: Node, sources: list[str], rate_hz: float) -> None:
        self._streams = [Stream(name, rate_hz) for name in sources]
        self._rate_hz = rate_hz
        inputs = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._publishers = [
            node.create_publisher(MESSAGE_TYPES[stream.msgtype], stream.name, inputs)
            for stream in self._streams
        ]
        outputs = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
        kept = QoSProfile(
            depth=1000,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        self._subscriptions = [
            node.create_subscription(kind, topic, lambda _: None, qos)
            for kind, topic, qos in (
                (Inference, "/tao_lora/inference", outputs),
                (TransientEvent, "/tao_lora/events", kept),
                (EventSamples, "/tao_lora/event_samples", kept),
                (DiagnosticArray, "/diagnostics", outputs),
            )
        ]
        self._node = node
        self.taken: list[tuple[Any, int, bytes]] = []  # type, published at, message

    def until_matched(self) -> None:
        """Wait until the node listens and advertises."""
        deadline = time.monotonic() + _MATCH_S
        while not (
            all(publisher.get_subscription_count() for publisher in self._publishers)
            and self._node.count_publishers("/tao_lora/inference")
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the node is not ready after {_MATCH_S:g} s")
            time.sleep(0.05)
        time.sleep(1.0)  # we have matched it; it may not have matched us yet

    def publish(self, seconds: float) -> tuple[int, NDArray[np.int64]]:
        """Publish for a while by one absolute schedule.

        Returns:
            Stamp of the first messages, and when those of each stamp had all been published (ns).
        """
        count = round(seconds * self._rate_hz)
        published_ns = np.zeros(count, dtype=np.int64)
        first_ns, begun, polled = time.time_ns(), time.monotonic(), 0.0
        sent = 0
        while sent < count:
            now = time.monotonic()
            due = min(count, int((now - begun) * self._rate_hz) + 1)
            for at in range(sent, due):
                stamp_ns = first_ns + round(at * SECOND_NS / self._rate_hz)
                for publisher, stream in zip(self._publishers, self._streams, strict=True):
                    publisher.publish(stream.message(stamp_ns, at))
                published_ns[at] = time.time_ns()
            sent = due
            if now - polled > _POLL_S:
                self._poll()
                polled = now
            time.sleep(max(0.0, begun + sent / self._rate_hz - time.monotonic()))
        return first_ns, published_ns

    def await_reports(self) -> None:
        """Wait until all is dealt with and reported."""
        deadline = time.monotonic() + _SETTLE_S
        while time.monotonic() < deadline:
            self._poll()
            time.sleep(_POLL_S)

    def _poll(self) -> None:
        for subscription in self._subscriptions:
            with subscription.handle:
                while message := subscription.handle.take_message(subscription.msg_type, True):
                    data, info = message
                    self.taken.append((subscription.msg_type, info["source_timestamp"], data))

    def received(self) -> int:
        """Messages that the node says it received, of all sources, by its newest report."""
        reports = (data for kind, _, data in reversed(self.taken) if kind is DiagnosticArray)
        for data in reports:  # the process beside the node reports too
            statuses = deserialize_message(data, DiagnosticArray).status
            pairs = [pair for status in statuses for pair in status.values]
            if counts := [int(pair.value) for pair in pairs if pair.key == "received"]:
                return sum(counts)
        return 0


def latencies_ms(
    load: Load, since_ns: int, first_ns: int, published_ns: NDArray[np.int64], rate_hz: float
) -> dict[str, list[float]]:
    """From the publication of the newest sample that was needed to that of what followed."""
    found: dict[str, list[float]] = {"inference": [], "onset": []}
    onsets_ns: dict[int, int] = {}  # when the event was published, which its samples follow
    for kind, at_ns, data in sorted(load.taken, key=itemgetter(1)):
        if kind is DiagnosticArray or at_ns < since_ns:
            continue
        message = deserialize_message(data, kind)
        if kind is Inference:
            name, stamp_ns = "inference", stamp_of(message.header.stamp)
        elif message.phase != TransientEvent.ONSET:
            continue
        elif kind is TransientEvent:
            onsets_ns[message.sequence] = at_ns
            continue
        elif message.sequence not in onsets_ns:  # from before this began
            continue
        else:
            name, at_ns = "onset", onsets_ns[message.sequence]
            stamp_ns = max(stamp_of(raw.stamps[-1]) for raw in message.raw if raw.stamps)
        sample = round((stamp_ns - first_ns) * rate_hz / SECOND_NS)
        if 0 <= sample < len(published_ns):
            found[name].append((at_ns - int(published_ns[sample])) * 1e-6)
    return found


def run(rate_hz: float, seconds: float, pid: int, sources: list[str]) -> dict[str, Any]:
    """Warm the node up, load it, and report how it did."""
    rclpy.init(args=[])
    node = rclpy.create_node("tao_lora_bench_load")
    load = Load(node, sources, rate_hz)
    load.until_matched()
    load.publish(_WARM_S)
    load.await_reports()
    received, before, since_ns = load.received(), usage(pid), time.time_ns()
    first_ns, published_ns = load.publish(seconds)
    spent = usage(pid)
    load.await_reports()
    due_ns = first_ns + np.arange(len(published_ns)) * SECOND_NS / rate_hz
    report = {
        "sent": len(published_ns) * len(sources),
        "received": load.received() - received,
        "seconds": seconds,
        "late_ms": float((published_ns - due_ns).max()) * 1e-6,
        "cpu_s": spent.cpu_s - before.cpu_s,
        "own_cpu_s": spent.own_cpu_s - before.own_cpu_s,
        "since_ns": since_ns,
        "rss_mib": spent.rss_mib,
        "rss_growth_mib": spent.rss_mib - before.rss_mib,
        "latencies_ms": latencies_ms(load, since_ns, first_ns, published_ns, rate_hz),
    }
    node.destroy_node()
    rclpy.shutdown()
    return report


def main() -> int:
    """Run as a process of its own; returns the exit status."""
    rate_hz, seconds, pid, file, *sources = sys.argv[1:]
    Path(file).write_text(json.dumps(run(float(rate_hz), float(seconds), int(pid), sources)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
