"""`tao-lora watch`: what it says of a real node, in lines and as a page that grows."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from browser import browser, check_paper, check_size, faultless, serving
from recordings import motion

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")

from rclpy.node import Node
from rich.console import Console

from tao_lora_ros.cli.live_view import view_of
from tao_lora_ros.cli.watch import head
from tao_lora_ros.report.watch_server import WatchServer
from tao_lora_ros.ros.presence import pipelines
from tao_lora_ros.ros.signal_watcher import SignalWatcher
from tao_lora_ros.ros.watcher import Watcher
from tao_lora_ros.signal.cdr import decode_wrench

pytestmark = pytest.mark.ros
FORCE = "Force · wrench [N]"


@contextmanager
def polled(signals: SignalWatcher) -> Iterator[None]:
    """As the command does, ten times a second, for as long as the context lasts."""
    done = Event()

    def poll() -> None:
        while not done.wait(0.1):
            signals.poll()

    thread = Thread(target=poll)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def events(signals: SignalWatcher) -> list[dict]:
    return signals.run.since(0)["events"]


def seconds(signals: SignalWatcher) -> float:
    """Until when there are pieces."""
    edges = signals.run.since(0)["pieces"][-1]["edges"]
    return float(np.frombuffer(base64.b64decode(edges), "<f8")[-1])


def shown_on(watcher: Watcher, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=140)
    with view_of(watcher, console, lambda status: head(watcher, status)) as view:
        view.update("/tao_lora")
    return out.getvalue()


def test_a_running_node_is_seen(wire, start_node) -> None:
    from wire import LOSSLESS

    start_node(*LOSSLESS)
    node = Node("watch", context=wire.node.context)
    wire.until(lambda: pipelines(node) == ["/tao_lora"], "the node")
    watcher = Watcher(node, "/tao_lora")
    signals = SignalWatcher(node, watcher)
    messages = motion(4.5, impacts_s=(2.0, 3.0))
    with polled(signals):
        wire.until(lambda: {"imu", "wrench"} <= set(signals.run.head()["sources"]), "sources")
        wire.play(messages, rate=1.0)
        wire.until(lambda: [e["open"] for e in events(signals)] == [False] * 2, "events")
        wire.until(lambda: all(e["to"] < seconds(signals) for e in events(signals)), "pieces")
    assert signals.run.since(0)["labels"]
    for terminal in (False, True):
        text = shown_on(watcher, terminal)
        assert text.count("blow") >= 2
        assert re.search(r"\d (N|m/s²) ", text)
    assert "Hz" in text
    assert "% used" in text
    check_page(signals, messages)
    node.destroy_node()


def test_the_page_says_what_a_node_waits_for(wire, run) -> None:
    """As with a topic of another name: nothing is inferred, and there is nothing to draw."""
    from wire import node_command

    run([*node_command([]), "-r", "imu:=elsewhere"])
    node = Node("watch", context=wire.node.context)
    signals = SignalWatcher(node, Watcher(node, "/tao_lora"))
    with (
        polled(signals),
        serving(WatchServer(signals.run, "/tao_lora")) as server,
        browser() as chromium,
        faultless(chromium.new_page(viewport={"width": 390, "height": 844})) as page,
    ):
        page.goto(server.url)
        tile = page.locator("#tiles .tile").filter(has_text="nothing yet on /elsewhere")
        tile.wait_for()
        assert tile.locator(".value").inner_text() == "ERROR"
        page.get_by_text("nothing is inferred yet").wait_for()
    node.destroy_node()


def check_page(signals: SignalWatcher, messages: list) -> None:
    """The page shows both events, and only samples that were sent."""
    with (
        serving(WatchServer(signals.run, "/tao_lora")) as server,
        browser() as chromium,
        faultless(chromium.new_page(viewport={"width": 390, "height": 844})) as page,
    ):
        page.goto(server.url)
        page.wait_for_function("() => run && run.edges.length > 20")
        assert page.locator("#rows tr").count() == 2
        points, start_ms = drawn(page)
        for width in (390, 1280):
            for scheme in ("light", "dark"):
                check_size(page, width, scheme)
        check_paper(page, "#filters")
    sent = [decode_wrench(m.data) for m in messages if m.source == 1]
    times = np.array([sample.stamp_ns for sample in sent]) * 1e-9
    at = np.abs(times[:, None] - (points[:, 0] + start_ms / 1e3)).argmin(axis=0)
    assert len(set(at)) == len(points) > 50
    forces = np.array([sample.values[:3] for sample in sent])[at]
    np.testing.assert_array_equal(forces.astype(np.float32), points[:, 1:].astype(np.float32))


def drawn(page: Any) -> tuple[np.ndarray, float]:
    """The samples of the force that are drawn around the first event, and the page's zero."""
    page.evaluate("() => { open(run.events[0]); plots.redraw(true); }")
    points, start_ms = page.evaluate(
        """title => { const panel = plots.panels.find(p => p.panel.title === title);
        const data = panel.look().data;
        return [data[0].map((x, i) => data.map(column => column[i])), run.start_ms]; }""",
        FORCE,
    )
    return np.array([row for row in points if row[1] is not None], np.float64), start_ms
