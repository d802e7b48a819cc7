"""Folders import only what lies below them; ROS appears in ros/ and cli/ alone."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tao_lora_ros"
# kernels lie beside the package and import nothing of ours
LAYERS = [
    *("kernels", "messages", "signal", "quantization", "detection", "contact"),
    *("model", "preservation"),
    *("runtime", "hardware", "engine", "bags", "report", "fleet"),
    *("training", "simulation", "benchmarks", "ros", "cli"),
]
ROS = {
    *("rclpy", "launch", "launch_ros", "ament_index_python", "rosidl_runtime_py"),
    *("builtin_interfaces", "diagnostic_msgs", "geometry_msgs", "lifecycle_msgs"),
    *(
        "rcl_interfaces",
        "rosgraph_msgs",
        "sensor_msgs",
        "sensor_msgs_py",
        "std_msgs",
        "std_srvs",
        "visualization_msgs",
    ),
}
FOLDERS = [ROOT / "kernels", *(path for path in PACKAGE.iterdir() if path.is_dir())]
BESIDE = {path.stem for path in (ROOT / "test").iterdir()}
MODULES = sorted(file for folder in FOLDERS for file in folder.rglob("*.py"))


def layer_of(file: Path) -> str:
    inside = PACKAGE if file.is_relative_to(PACKAGE) else ROOT
    return file.relative_to(inside).parts[0]


def imported(file: Path) -> Iterator[str]:
    """Full names of what a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level < 2, f"{file}: an import from beside its folder without its name"
            module = f"tao_lora_ros.{layer_of(file)}.{node.module}" if node.level else node.module
            yield from (f"{module}.{name.name}" for name in node.names)


def ours(names: Iterable[str]) -> Iterator[str]:
    """Layers of the package among what a module imports."""
    for name in names:
        top, *rest = name.split(".")
        if top == "tao_lora_ros" and rest:
            yield rest[0]


def test_the_rule_covers_every_folder() -> None:
    holding_python = {layer_of(file) for file in MODULES}
    assert holding_python <= set(LAYERS)
    assert {"kernels", "signal", "cli"} <= holding_python


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_only_what_lies_below_and_no_ros_nor_tests(file: Path) -> None:
    layer, names = layer_of(file), list(imported(file))
    allowed = set(LAYERS[: LAYERS.index(layer) + 1])
    tops = {name.partition(".")[0] for name in names}
    if layer in ("ros", "cli"):
        allowed.add("msg")  # the generated messages
    else:
        assert not tops & ROS
    assert set(ours(names)) <= allowed
    assert not tops & BESIDE, "tests and peers"


def test_a_wrong_import_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text("def f():\n    from tao_lora_ros.cli import main\n    import rclpy.node\n")
    assert list(ours(imported(file))) == ["cli"]
    assert list(imported(file)) == ["tao_lora_ros.cli.main", "rclpy.node"]
