"""`tao-lora watch`: what a running node takes in and finds, on a terminal or in a browser."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from threading import Thread

from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.validate_full_topic_name import validate_full_topic_name
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tao_lora_ros.cli.arguments import UsageError
from tao_lora_ros.cli.live_view import view_of
from tao_lora_ros.cli.page import served
from tao_lora_ros.cli.ros_node import ros_node
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.report.watch_server import WatchServer
from tao_lora_ros.ros.presence import pipelines
from tao_lora_ros.ros.signal_watcher import SignalWatcher
from tao_lora_ros.ros.watcher import Watcher

_STEP_S = 0.1
_SETTLE_S = 1.0  # until the graph is known
_HELD_S = 3.0  # a machine that is just fast enough turns to and fro
_STYLES = {"OK": "green", "WARN": "yellow", "ERROR": "bold red", "STALE": "dim"}


def watch(options: Namespace) -> None:
    """`tao-lora watch`."""
    console = Console()
    with ros_node("tao_lora_watch") as node, suppress(KeyboardInterrupt):  # the way out
        watcher = Watcher(node, _pipeline(node, console, options.node))
        if options.web:
            _serve(node, watcher, options)
        turned = Changes(watcher)
        with view_of(watcher, console, lambda status: head(watcher, status)) as view:
            while True:
                time.sleep(_STEP_S)
                watcher.poll()
                view.update(watcher.presence.text)
                if not console.is_terminal:
                    for line in turned.lines():
                        console.print(line, highlight=False, soft_wrap=True)


def _serve(node: Node, watcher: Watcher, options: Namespace) -> None:
    """The report's page of what goes on, until Ctrl-C."""
    signals = SignalWatcher(node, watcher)
    server = partial(WatchServer, signals.run, watcher.pipeline)
    with served(server, options, f"of {watcher.pipeline}; Ctrl-C ends") as page:
        Thread(target=page.serve_forever, daemon=True).start()
        while True:
            time.sleep(_STEP_S)
            signals.poll()


class Changes:
    """A line for the node and for each part that turns: OK and WARN when they have held a while."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._told: dict[str, str] = {}
        self._seen: dict[str, tuple[str, float]] = {}  # level by part, and since when

    def lines(self) -> Iterator[str]:
        """What has turned since the last call."""
        now_s = time.monotonic()
        for name, level, text in [("node", self._watcher.presence.text, ""), *self._watcher.tiles]:
            if self._seen.get(name, ("", 0.0))[0] != level:
                self._seen[name] = level, now_s
            held = level not in ("OK", "WARN") or now_s - self._seen[name][1] >= _HELD_S
            if held and self._told.get(name, "OK") != level:
                self._told[name] = level
                yield f"{datetime.now(timezone.utc):%H:%M:%S}Z {name} {level} {text}".strip()


def _pipeline(node: Node, console: Console, asked: str | None) -> str:
    """The node of a name or namespace, or the one that sends inferences; waits for that."""
    time.sleep(_SETTLE_S)
    found = pipelines(node)
    if asked:
        name = f"/{asked.strip('/')}"
        try:
            validate_full_topic_name(name)
        except InvalidTopicNameException:
            raise UsageError(
                f"'{shown(asked)}' is no name of a node, such as /arm/tao_lora"
            ) from None
        inside = [other for other in found if other.startswith(f"{name}/")]
        return inside[0] if name not in found and len(inside) == 1 else name
    if not found:
        console.print("waiting for a node that sends tao_lora_ros/msg/Inference; Ctrl-C ends")
    while not found:
        time.sleep(_STEP_S)
        found = pipelines(node)
    if len(found) > 1:
        raise UsageError(f"several nodes run: name one of {', '.join(found)}")
    return found[0]


def head(watcher: Watcher, status: str) -> RenderableType:
    """The top of the view: a line for the node and for each part of its diagnostics."""
    grid = Table.grid(padding=(0, 2))
    for _ in range(2):
        grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    if not watcher.statuses:
        grid.add_row("", "", "waiting for diagnostics")
    for name, level, text in watcher.tiles:
        said = shown(text, MOST_LINE)
        grid.add_row(Text(f"  {shown(name)}"), Text(level, _STYLES[level]), Text(said))
    untold = f"{watcher.untold} more events are not here: tao-lora events list has what was kept"
    more = [untold] * bool(watcher.untold) + [watcher.unread.text] * bool(watcher.unread.text)
    return Group(Text(status), grid, *map(Text, more))
