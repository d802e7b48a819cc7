"""What the files for RViz, PlotJuggler and Foxglove show is what the node sends and reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytestmark = pytest.mark.ros
CONFIG = Path(__file__).resolve().parents[2] / "config"
RVIZ = yaml.safe_load((CONFIG / "pipeline.rviz").read_text())["Visualization Manager"]
FOXGLOVE = json.loads((CONFIG / "foxglove.json").read_text())
NUMBERS = {"double", "float", "uint8", "int32", "uint32"}
DISPLAYED = {
    "rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
    "rviz_default_plugins/Wrench": "geometry_msgs/msg/WrenchStamped",
}


def message_class(kind: str) -> Any:
    """Class of a message type such as `std_msgs/Header`."""
    package, *_, name = kind.split("/")
    return getattr(import_module(f"{package}.msg"), name)


def is_number(kind: str, path: list[str]) -> bool:
    """Whether that path of names leads to a number within the message type."""
    for name in path:
        kind = message_class(kind).get_fields_and_field_types()[name]
    return kind in NUMBERS


def test_every_file_shows_what_there_is_while_the_node_runs(wire, start_node) -> None:
    start_node()
    topics = {name: types[0] for name, types in wire.node.get_topic_names_and_types()}
    (markers,) = wire.node.get_publishers_info_by_topic("/tao_lora/markers")
    check_rviz(topics, markers.qos_profile.reliability.name)
    check_plotjuggler(topics)
    check_foxglove(topics)


def check_rviz(topics: dict[str, str], reliability: str) -> None:
    displays = {d["Topic"]["Value"]: d for d in RVIZ["Displays"] if "Topic" in d}
    shown = {topic: DISPLAYED[display["Class"]] for topic, display in displays.items()}
    assert shown.items() <= topics.items()
    wanted = displays["/tao_lora/markers"]["Topic"]["Reliability Policy"]
    assert wanted.upper().replace(" ", "_") == reliability


def check_plotjuggler(topics: dict[str, str]) -> None:
    curves = list(ElementTree.parse(CONFIG / "plotjuggler.xml").iter("curve"))
    assert curves
    for name in (str(curve.get("name")) for curve in curves):
        topic = max((topic for topic in topics if name.startswith(f"{topic}/")), key=len)
        assert is_number(topics[topic], name.removeprefix(f"{topic}/").split("/")), name


def check_foxglove(topics: dict[str, str]) -> None:
    plots = [c for name, c in FOXGLOVE["configById"].items() if name.startswith("Plot!")]
    assert plots
    for path in (path["value"] for plot in plots for path in plot["paths"]):
        topic, *fields = path.split(".")
        assert is_number(topics[topic], fields), path
    panels = FOXGLOVE["configById"]
    assert set(panels["3D!events"]["topics"]) <= set(topics)
    assert panels["RawMessages!event"]["topicPath"] in topics


def test_rvizs_namespaces_are_the_markers() -> None:
    from pushed_events import WRENCH_RAW, event

    from tao_lora_ros.ros.markers import event_markers

    (display,) = (d for d in RVIZ["Displays"] if d["Name"] == "Events")
    sent = {marker.ns for marker in event_markers(event(WRENCH_RAW)).markers}
    assert set(display["Namespaces"]) == sent


def test_foxgloves_layout_has_every_panel() -> None:
    def panels(tree: Any) -> Iterator[str]:
        if isinstance(tree, str):
            yield tree
        else:
            for part in ("first", "second"):
                yield from panels(tree[part])

    assert set(panels(FOXGLOVE["layout"])) == set(FOXGLOVE["configById"])
