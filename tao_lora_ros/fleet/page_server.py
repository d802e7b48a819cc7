"""The page of a fleet: robots and days, what was hardest, and one event's report made on demand."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.replay import Chosen, replay
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.fleet.compare import compare
from tao_lora_ros.fleet.errors import FleetError
from tao_lora_ros.fleet.find import at_hand
from tao_lora_ros.fleet.table import read_rows
from tao_lora_ros.preservation.parquet import Row
from tao_lora_ros.report.loopback import LoopbackServer, as_json
from tao_lora_ros.report.page import asset, page
from tao_lora_ros.report.record import RunRecord, record_replay
from tao_lora_ros.report.report import run_page, tiles

MOST_EVENTS, MOST_OF_CELL = 2000, 10  # listed: the hardest of all, and of each robot's day
BEFORE_S, AFTER_S = 30.0, 5.0  # of a bag around an event: what the router settles in, what follows
_SHOWN = ("robot", "day", "bag", "onset_ns", "duration", "kind", "label", "peak_score")
_SIZES = ("peak_force", "mean_load", "peak_torque", "acceleration_change")


class FleetServer(LoopbackServer):
    """Serves a table on loopback.

    Args:
        table: the folder.
        choose: what a bag is replayed with, for its report.
        port: 0 takes a free one.
        old: a table of the same bags, to list the events gained, lost and changed since.

    Raises:
        FleetError: there is no such table.
        OSError: the port is taken.
    """

    def __init__(
        self,
        table: Path,
        choose: Callable[[Path], Chosen],
        port: int = 0,
        old: Path | None = None,
    ) -> None:
        self._bags = {row["bag"]: row for row in read_rows(table, "bags")}
        events = differing(old, table) if old else read_rows(table, "events")
        self._events = sorted(events, key=_hardest)
        self._old, self._choose = old, choose
        self._title = f"Fleet {table.name} against {old.name}" if old else f"Fleet {table.name}"
        super().__init__(self._page, self._routed, port)

    def _page(self, nonce: str) -> str:
        data = fleet_data(list(self._bags.values()), self._events)
        data["old"] = str(self._old) if self._old else None
        scripts, styles = ["loopback.js", "fleet.js"], ["fleet.css"]
        return page(self._title, asset("fleet.html"), data, scripts, styles, nonce)

    def _routed(self, method: str, path: str, asked: Any) -> tuple[str, bytes]:
        url = urlsplit(path)
        found = re.fullmatch(r"/events/(\d{1,9})", url.path)
        nonce = parse_qs(url.query).get("nonce", [""])[0]
        if method != "GET" or not found or int(found[1]) >= len(self._events):
            raise FleetError("no such thing here")
        if not re.fullmatch(r"[\w-]{10,40}", nonce):
            raise FleetError("expected the nonce of the page that asks")
        event = self._events[int(found[1])]
        record = event_record(event, self._bags[event["bag"]], self._choose)
        about = f"model {record.model_id} {record.model_version}, {len(record.channels)} channels"
        text = run_page(record, about, tiles(record), [])
        # It is opened by the page, whose policy holds for it too.
        for tag in ("style", "script"):
            text = text.replace(f"<{tag}>", f'<{tag} nonce="{nonce}">', 1)
        return as_json({"title": record.title, "page": text})


def differing(old: Path, new: Path) -> list[Row]:
    """The events gained, lost and changed between two tables, as `what`; of the bags in the new.

    Raises:
        FleetError: as `compare`.
    """
    return [
        (found.new or found.old or {})
        | {"what": found.what}
        | {name: found.bag[name] for name in ("bag", "robot", "day")}
        for found in compare(old, new).differences
    ]


def _hardest(event: Row) -> list[tuple[bool, float]]:
    """By force, then load, torque, acceleration; what is not known comes last."""
    return [(event[name] is None, -(event[name] or 0.0)) for name in (*_SIZES, "peak_score")]


def fleet_data(bags: list[Row], events: list[Row]) -> dict[str, Any]:
    """What the page draws: a cell a robot and day, the hardest events, bags that failed.

    Args:
        bags: of the table.
        events: all, the hardest first; a listed one has its place here as `number`.
    """
    cells: defaultdict[tuple[str, str], Row] = defaultdict(
        lambda: {"bags": 0, "failed": 0, "hours": 0.0, "events": 0, "found": 0, "hardest": None}
    )
    for bag in bags:
        cell = cells[bag["robot"], bag["day"]]
        cell["bags"] += 1
        cell["failed"] += bag["error"] is not None
        cell["hours"] += (bag["duration"] or 0.0) / 3600
        cell["events"] += bag["events"] or 0
    listed = []
    for number, event in enumerate(events):
        cell = cells[event["robot"], event["day"]]
        cell["found"] += 1
        cell["hardest"] = cell["hardest"] or event["peak_force"]
        if number < MOST_EVENTS or cell["found"] <= MOST_OF_CELL:
            listed.append((number, event))
    first = {bag["bag"]: bag["first_ns"] or 0 for bag in bags}
    return {
        "cells": [{"robot": robot, "day": day, **cell} for (robot, day), cell in cells.items()],
        "events": [
            {name: event[name] for name in (*_SHOWN, *_SIZES)}
            | {"what": event.get("what"), "number": number}
            | {"onset_s": (event["onset_ns"] - first[event["bag"]]) * 1e-9}
            for number, event in listed
        ],
        "failed": [{n: bag[n] for n in ("robot", "bag", "error")} for bag in bags if bag["error"]],
    }


def event_record(event: Row, bag: Row, choose: Callable[[Path], Chosen]) -> RunRecord:
    """The record of a bag's part around an event, replayed anew.

    Raises:
        BagError: the bag is no longer there, or another.
    """
    onset_s = (event["onset_ns"] - (bag["first_ns"] or 0)) * 1e-9
    part_s = max(onset_s - BEFORE_S, 0.0), onset_s + (event["duration"] or 0.0) + AFTER_S
    with at_hand(event["bag"]) as path:
        chosen = choose(path)
        pipeline = Pipeline(chosen.settings, chosen.artifact)
        sources = source_configs(chosen.settings)
        with BagReader(path, sources, chosen.topics, part_s) as reader:
            result = replay(reader, pipeline)
        record = record_replay(path, result, pipeline, chosen.artifact, chosen.topics, part_s)
    said = f"{part_s[0]:.1f} to {part_s[1]:.1f} s of the bag; the table is of the whole"
    what = f"event {event.get('what', '')}".rstrip()
    title = f"{event['robot']}, {path.name}: {what} at {onset_s:.3f} s"
    return replace(record, title=title, notes={"Replayed anew": said, **record.notes})
