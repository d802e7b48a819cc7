"""A parameter file means to a command what it means to a node: both read the same lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tao_lora_ros.engine.parameter import NODE_NAME, SettingsError
from tao_lora_ros.engine.parameter_file import parameters_for

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

VALUES = ["~", "null", "[]", "0x_", "0x10", "010", "09", "1_000", "1e3", "2020-01-01", "yes", "Off"]
VALUES += ["on", "TRUE", ".5", "5.", ".inf", "-.inf", "inf", "+3", "0o7", "1:30", "'5'", "!!str 5"]
VALUES += ["[~]", "[a, ~]", "--1", "1.5.2", "=", "<<", "!!binary aGk=", "1e400", "0b1", "['']"]
VALUES += ["[true, yes]", "12345678901234567890", "{b: 3}", "[1, 2.0]", "[1, a]", "", "&x 5", "*x"]


def of_ros(file: Path, namespace: str = "") -> dict[str, Any] | None:
    """What rclpy gives the node of this file; None where it refuses the file."""
    arguments = ["--ros-args", "--params-file", str(file), "-r", f"__ns:=/{namespace}"]
    try:
        # Beside the wire's node, on its participant: one each, fifty times, once hung in Fast DDS.
        node = rclpy.create_node(NODE_NAME, cli_args=arguments, start_parameter_services=False)
    except Exception:
        return None
    overrides = {name: item.value for name, item in node._parameter_overrides.items()}
    node.destroy_node()
    return overrides


def of_ours(file: Path) -> dict[str, Any] | None:
    try:
        return {name: given.value for name, given in parameters_for(file, NODE_NAME).items()}
    except SettingsError:
        return None


def test_values(wire, tmp_path: Path) -> None:
    for spelt in VALUES:
        file = tmp_path / "values.yaml"
        file.write_text(f"/**:\n  ros__parameters:\n    a: {spelt}\n")
        ours, ros = of_ours(file), of_ros(file)
        assert ours == ros, spelt
        assert repr(ours) == repr(ros), spelt  # 1, 1.0 and true are equal


@pytest.mark.parametrize(
    ("namespace", "sections"),
    [
        *(("", [name]) for name in ("/**", "tao_lora", "/tao_lora", "/*", "/**/tao_lora", "/**/*")),
        *(("ns", [name]) for name in ("/ns/tao_lora", "ns/tao_lora", "/*/tao_lora", "/ns/*")),
        *(("ns", [name]) for name in ("/ns/**", "/ns/**/tao_lora", "/**", "/**/tao_lora")),
        *(("", names) for names in (["/**", "tao_lora"], ["tao_lora", "/**"])),
        ("ns", ["/**", "/ns/tao_lora", "/**/tao_lora", "/**", "/other"]),
    ],
)
def test_sections(wire, tmp_path: Path, namespace: str, sections: list[str]) -> None:
    file = tmp_path / "sections.yaml"
    file.write_text(
        "".join(f"{name}:\n  ros__parameters:\n    a: {i}\n" for i, name in enumerate(sections))
    )
    assert of_ours(file) == of_ros(file, namespace) != {}
