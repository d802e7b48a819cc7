"""What `tao-lora watch` says of a node that falters: silent, begun anew, twice, elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from math import nan
from time import monotonic, sleep
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rich.console import Console

from tao_lora_ros.cli import watch as watch_module
from tao_lora_ros.cli.live_view import view_of
from tao_lora_ros.cli.watch import Changes, head
from tao_lora_ros.msg import Inference, TransientEvent
from tao_lora_ros.ros import watcher as watcher_module
from tao_lora_ros.ros.recorder import Recorder
from tao_lora_ros.ros.topics import EVENTS_QOS
from tao_lora_ros.ros.watcher import Watcher

pytestmark = pytest.mark.ros
NAME = "/left/tao_lora"


class Pipeline:
    """The outputs of a pipeline's node, by hand."""

    def __init__(self, context: Any) -> None:
        self.node = Node("tao_lora", namespace="/left", context=context)
        self.inference = self.node.create_publisher(Inference, "~/inference", 10)
        self.events = self.node.create_publisher(TransientEvent, "~/events", EVENTS_QOS)
        self.diagnostics = self.node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def tell(self, received: int, used: int, level: bytes = DiagnosticStatus.OK) -> None:
        """What the diagnostics say of a source."""
        counts = {"received": received, "used": used, "rate_hz": 200}
        values = [KeyValue(key=key, value=str(value)) for key, value in counts.items()]
        status = DiagnosticStatus(name=f"{NAME}: imu", level=level, message="so", values=values)
        self.diagnostics.publish(DiagnosticArray(status=[status]))

    def event(self, sequence: int, onset_s: int) -> None:
        """An event that is over."""
        event = TransientEvent(sequence=sequence, phase=TransientEvent.END)
        event.onset.sec, event.end.sec = onset_s, onset_s + 1
        self.events.publish(event)


@pytest.fixture
def context() -> Iterator[Any]:
    made = rclpy.Context()
    rclpy.init(context=made)
    yield made
    rclpy.shutdown(context=made)


def until(watcher: Watcher | Recorder, done: Callable[[], Any]) -> None:
    end_s = monotonic() + 20
    while not done():
        assert monotonic() < end_s
        watcher.poll()
        sleep(0.02)


def shown(watcher: Watcher, terminal: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=140)
    with view_of(watcher, console, lambda status: head(watcher, status)) as view:
        view.update(watcher.presence.text)
    return out.getvalue()


def test_events_of_before_are_told_apart_and_those_not_here_counted(context) -> None:
    pipeline = Pipeline(context)
    pipeline.event(7, 100)
    node = Node("watch", context=context)
    watcher = Watcher(node, NAME)
    until(watcher, lambda: len(watcher.events) == 1)
    pipeline.event(8, 102)
    pipeline.event(10, 104)
    until(watcher, lambda: len(watcher.events) == 3)
    assert [line.partition("event")[0] for line in shown(watcher).splitlines()] == [
        "earlier ",
        "",
        "",
    ]
    assert "8 more events are not here" in shown(watcher, True)  # 0 to 6, and 9
    pipeline.event(0, 106)  # of a node that began anew: none is missing, and the first stays
    until(watcher, lambda: len(watcher.events) == 4)
    assert "8 more events are not here" in shown(watcher, True)
    assert [event.sequence for event in watcher.events] == [7, 8, 10, 0]


def test_a_node_that_says_nothing_more_is_stale_and_one_anew_is_said(context, monkeypatch) -> None:
    monkeypatch.setattr(watcher_module, "_STALE_S", 0.3)
    node = Node("watch", context=context)
    watcher = Watcher(node, NAME)
    turned = Changes(watcher)
    assert "does not run" in next(turned.lines())
    pipeline = Pipeline(context)
    until(watcher, lambda: watcher.presence.text == NAME)

    def tell(*words: Any) -> list[tuple[str, str, str]]:
        before = watcher.statuses.get("imu")
        pipeline.tell(*words)
        until(watcher, lambda: watcher.statuses.get("imu") not in (None, before))
        return watcher.tiles

    assert tell(100, 50) == [("imu", "OK", "so, 200 Hz, 50% used, 50.0% since the start")]
    assert tell(200, 149)[0][2] == "so, 200 Hz, 99% used, 74.5% since the start"
    tell(300, 149, DiagnosticStatus.ERROR)
    assert [*turned.lines()][-1].split("Z ")[1].startswith("imu ERROR so, 200 Hz, 0% used")
    assert [*turned.lines()] == []
    tell(400, 249, DiagnosticStatus.WARN)
    assert [*turned.lines()] == []  # it may not hold
    monkeypatch.setattr(watch_module, "_HELD_S", 0.0)
    assert "imu WARN so" in [*turned.lines()][-1]
    until(watcher, lambda: watcher.tiles[0][1] == "STALE")
    assert watcher.tiles[0][2].startswith("0 s ago: so")
    other = Pipeline(context)
    until(watcher, lambda: watcher.presence.text.startswith("2 nodes are named /left/tao_lora"))
    pipeline.node.destroy_node()
    until(watcher, lambda: watcher.presence.text.startswith(f"{NAME}, began anew at "))
    pipeline = other
    assert tell(10, 10)[0][2] == "so, 200 Hz, 100% used"


HOSTILE = "[/red]\n\x1b[2J"


def test_what_says_nothing_is_counted_and_no_text_reaches_the_terminal_as_it_is(context) -> None:
    pipeline = Pipeline(context)
    watcher = Watcher(Node("watch", context=context), NAME)
    broken = [
        (pipeline.events, b"\0\1\0\0\xff"),
        (pipeline.events, TransientEvent(kind=99)),
        (pipeline.events, TransientEvent(channels=["a"])),
        (pipeline.inference, Inference(path=77)),
        (pipeline.inference, Inference(labels=["a", "b"], probabilities=[1.0])),
        (pipeline.diagnostics, diagnostics(received="x")),
        (pipeline.diagnostics, diagnostics(received="9")),
        (pipeline.diagnostics, diagnostics(b"\x09")),
    ]
    time_s = monotonic() + 1.0
    until(watcher, lambda: monotonic() > time_s)  # it is known to the publishers
    for publisher, message in broken:
        publisher.publish(message)
    until(watcher, lambda: watcher.unread.text.startswith(f"{len(broken)} messages passed over"))
    pipeline.inference.publish(
        Inference(model_id=HOSTILE, labels=[HOSTILE], probabilities=[nan], score=nan)
    )
    event = TransientEvent(phase=TransientEvent.END, label=HOSTILE, probability=nan)
    event.channels, event.shares = [HOSTILE], [nan]
    pipeline.events.publish(event)
    pipeline.diagnostics.publish(diagnostics(rate_hz=HOSTILE))
    until(watcher, lambda: watcher.newest and watcher.events and watcher.statuses)
    assert "8 messages passed over" in shown(watcher, True)
    for terminal in (False, True):
        assert "\x1b[2J" not in shown(watcher, terminal)
        assert "[/red]\\n\\x1b[2J" in shown(watcher, terminal)


def diagnostics(level: bytes = DiagnosticStatus.OK, **values: str) -> DiagnosticArray:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    status = DiagnosticStatus(name=f"{NAME}: imu", level=level, message=HOSTILE, values=pairs)
    return DiagnosticArray(status=[status])


def test_a_recorder_passes_over_what_says_nothing(context) -> None:
    recorder = Recorder(Node("demo", context=context), [], NAME)
    Pipeline(context).events.publish(b"\0\1\0\0\xff")
    until(
        recorder,
        lambda: "1 messages passed over, the last on /left/tao_lora/events" in recorder.unread.text,
    )
