"""A layout for Foxglove that shows one bag of inputs and results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tao_lora_ros.preservation.event_record import Topic
from tao_lora_ros.signal.cdr import BARE_WRENCH, FORCE, IMU, JOINT_STATE, WRENCH

_NODE = "/tao_lora"
_VECTORS = {
    IMU: {"linear_acceleration": "m/s²", "angular_velocity": "rad/s"},
    WRENCH: {"wrench.force": "N", "wrench.torque": "Nm"},
    BARE_WRENCH: {"force": "N", "torque": "Nm"},
    FORCE: {"vector": "N"},
}
Panel = tuple[str, dict[str, Any]]


def write_foxglove_layout(file: Path, inputs: Iterable[Topic], labels: Sequence[str]) -> None:
    """Write a layout: score, classes, every input, the newest event.

    Args:
        file: the JSON that Foxglove imports.
        inputs: the sources' topics.
        labels: of the probabilities.

    Raises:
        OSError: the file cannot be written.
    """
    inference = f"{_NODE}/inference"
    panels = [_plot("Router score and path", [(f"{inference}.{n}", n) for n in ("score", "path")])]
    if labels:
        shown = [(f"{inference}.probabilities[{i}]", label) for i, label in enumerate(labels)]
        panels.append(_plot("Class probabilities", shown))
    for topic in inputs:
        panels += _of_input(topic)
    panels.append(("RawMessages", {"topicPath": f"{_NODE}/events"}))
    by_id = {f"{kind}!{number}": panel for number, (kind, panel) in enumerate(panels)}
    layout = {
        "configById": by_id,
        "globalVariables": {},
        "userNodes": {},
        "playbackConfig": {"speed": 1},
        "layout": _column([*by_id]),
    }
    file.write_text(json.dumps(layout, indent=1) + "\n")


def _of_input(topic: Topic) -> list[Panel]:
    if topic.msgtype == JOINT_STATE:
        return [_plot(f"{topic.name} effort, Nm", [(f"{topic.name}.effort[:]", "effort")])]
    return [
        _plot(f"{topic.name} {field}, {unit}", [(f"{topic.name}.{field}.{a}", a) for a in "xyz"])
        for field, unit in _VECTORS[topic.msgtype].items()
    ]


def _plot(title: str, paths: Sequence[tuple[str, str]]) -> Panel:
    drawn = [
        {"value": path, "label": label, "enabled": True, "timestampMethod": "headerStamp"}
        for path, label in paths
    ]
    return "Plot", {"title": title, "paths": drawn, "isSynced": True, "showLegend": True}


def _column(names: Sequence[str]) -> Any:
    """All one below the other, equally high."""
    if len(names) == 1:
        return names[0]
    first = {"direction": "column", "first": names[0], "splitPercentage": 100 / len(names)}
    return first | {"second": _column(names[1:])}
