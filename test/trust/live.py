"""A live node, a good stream for it that goes on from fault to fault, and all that is said."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from recordings import PERIOD_NS, SECOND, START_NS, Message, motion
from wire import LOSSLESS, Process, Watch, Wire, node_command

from tao_lora_ros.messages.stamps import joined
from tao_lora_ros.msg import Inference, TransientEvent

SOURCES = ("imu", "wrench")
PATIENCE_S = 20.0  # DDS sends anew what was lost on the way when it gets to it
_PARTS = (*SOURCES, "inference", "events")
_LOGGED = re.compile(r"^\[\w+\] \[[\d.]+\] \[[\w.]+\]: ")


class Account:
    """What diagnostics say at the moment: counts, and all that is said in words."""

    def __init__(self, watch: Watch) -> None:
        self.of = {name: (watch.of(name) or [{}])[-1] for name in _PARTS}
        self.reports = {name: len(watch.of(name)) for name in _PARTS}

    def count(self, key: str) -> int:
        """Of both sources together."""
        return sum(int(self.of[name].get(key, 0)) for name in SOURCES)

    @property
    def arrived(self) -> int:
        """Messages that came, or of which the node knows that they did not."""
        return self.count("received") + self.count("lost")

    def kinds(self, what: str) -> Counter[str]:
        """Refused or unused by kind."""
        found: Counter[str] = Counter()
        for name in SOURCES:
            for key, value in self.of[name].items():
                if str(key).startswith(f"{what}: "):
                    found[str(key).removeprefix(f"{what}: ")] += int(value)
            if what == "unused":
                found["lost on the way"] += int(self.of[name].get("lost", 0))
        return found


class Live:
    """A node as a process, and the other end of its topics.

    Attributes:
        ended: onset (ns) of each event that ended, and when we heard of it.
    """

    def __init__(self, wire: Wire, process: Process, seed: int = 0) -> None:
        self.wire, self.process, self.watch = wire, process, wire.watch()
        self.random = Random(seed)
        self.now_ns = START_NS
        self._chunks = seed
        self._sent = 0  # since the last account
        self._received: int | None = None  # by that account
        self._came: list[tuple[float, int]] = []
        self.ended: dict[int, float] = {}
        from wire import DEEP, EVENTS

        node, base = wire.node, wire.pipeline
        self._subscriptions = [
            self.watch.subscription,
            node.create_subscription(Inference, f"{base}/inference", self._on_inference, DEEP),
            node.create_subscription(TransientEvent, f"{base}/events", self._on_event, EVENTS),
        ]

    def close(self) -> None:
        """Unsubscribe and forget: what every node left behind would make the wire slow."""
        while self._subscriptions:
            self.wire.node.destroy_subscription(self._subscriptions.pop())
        for kept in (self.wire.inferences, self.wire.events, self.wire.samples):
            kept.clear()

    def _on_inference(self, message: Inference) -> None:
        stamp = message.header.stamp
        self._came.append((time.monotonic(), joined(stamp.sec, stamp.nanosec)))

    def _on_event(self, message: TransientEvent) -> None:
        if message.phase == message.END:
            onset_ns = joined(message.onset.sec, message.onset.nanosec)
            self.ended.setdefault(onset_ns, time.monotonic())

    def good(self, seconds: float, impacts_s: Iterable[float] = ()) -> list[Message]:
        """The next stretch of a good stream."""
        self._chunks += 1
        return motion(seconds, impacts_s, self._chunks, self.now_ns)

    def play(self, messages: Sequence[Message], seconds: float) -> None:
        """Publish evenly over so many seconds; what follows goes on from the last stamp."""
        begun = time.monotonic()
        self._sent += len(messages)
        for i, message in enumerate(messages):
            self.wire.spin_until(begun + i * seconds / len(messages))
            self.wire.publishers[message.source].publish(message.data)
        stamps = [message.stamp_ns for message in messages if message.source == 0]
        self.now_ns = stamps[-1] + PERIOD_NS if stamps else self.now_ns + round(seconds * SECOND)

    def strike(self, seconds: float, times: Iterable[float]) -> None:
        """Play a good stretch in which the arm is struck at these times."""
        self.play(self.good(seconds, times), seconds)

    def recovered_s(self, seconds: float = 1.0, times: Iterable[float] = ()) -> float | None:
        """Play a good stretch, struck at these times; how long until an inference of it comes."""
        begun, first_ns = time.monotonic(), self.now_ns
        self.strike(seconds, times)
        self.wire.settle()
        came = (at for at, ns in self._came if first_ns <= ns < self.now_ns)
        return next((at - begun for at in came), None)

    def settled(self) -> Account:
        """The account once all that was played came, and the node has dealt with it."""
        if self._received is None:
            self.wire.until_acknowledged()
        due = (self._received or 0) + self._sent * (self._received is not None)
        self.wire.settle()
        reports = Account(self.watch).reports["events"]
        with suppress(AssertionError):  # what is missing then is for the row to tell
            self.wire.until(
                lambda: (
                    (now := Account(self.watch)).reports["events"] > reports and now.arrived >= due
                ),
                f"{due} messages",
                PATIENCE_S,
            )
        now = Account(self.watch)
        self._received, self._sent = now.arrived, 0
        return now

    def said(self, pattern: str, before: Account, log_from: int) -> str:
        """The line that matches, of log, summaries and changed values since; empty: none."""
        lines = [_LOGGED.sub("", line) for line in self.process.log[log_from:].splitlines()]
        for name, since in before.reports.items():
            for report in self.watch.of(name)[since:]:
                changed = [f"{k}: {v}" for k, v in report.items() - before.of[name].items()]
                lines += [str(report["message"]), *sorted(changed)]
        return next((line for line in lines if re.search(pattern, line)), "")

    def until_said(self, pattern: str, before: Account, log_from: int) -> str:
        """Wait for the line."""
        self.wire.until(lambda: self.said(pattern, before, log_from), f"/{pattern}/")
        return self.said(pattern, before, log_from)


@contextmanager
def node(wire: Wire, log: Path, *parameters: str, arguments: Sequence[str] = ()) -> Iterator[Live]:
    """A node that listens, whose inputs lose nothing; it ends with the block."""
    command = [*node_command([*LOSSLESS, *parameters]), *arguments]
    process = Process(log, command)
    try:
        wire.until_listening(process)
        live = Live(wire, process)
        try:
            live.strike(1.0, ())
            yield live
        finally:
            live.close()
        if process.child.poll() is None:
            process.child.send_signal(signal.SIGCONT)
            assert process.stop() == 0, process.log
    finally:
        process.kill()
