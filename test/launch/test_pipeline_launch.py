"""The launch file: its arguments reach the node."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# Not "launch": the checkout's folder of that name is importable too.
pytest.importorskip("launch_ros.actions", reason="launch_ros is not installed")

pytestmark = [pytest.mark.launch, pytest.mark.ros]
FILE = Path(__file__).resolve().parents[2] / "launch" / "pipeline.launch.py"
RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

file, *arguments = sys.argv[1:]
service = LaunchService()
source = PythonLaunchDescriptionSource(file)
pairs = [argument.split(":=") for argument in arguments]
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=pairs)])
)
sys.exit(service.run())
"""


def description():
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    return get_launch_description_from_python_launch_file(str(FILE))


def launch(run, *arguments: str):
    return run([sys.executable, "-c", RUN, str(FILE), *arguments])


def test_every_argument_is_described_and_has_a_default():
    arguments = description().get_launch_arguments()
    assert {argument.name for argument in arguments} == {
        "params_file", "model", "namespace", "use_sim_time", "log_level", "imu_topic",
        "wrench_topic",
    }  # fmt: skip
    assert all(argument.description and argument.default_value for argument in arguments)


def test_starts_the_node_and_ctrl_c_ends_it(wire, run):
    process = launch(run)
    wire.until_listening(process)
    assert wire.state() == "active"
    assert process.stop() == 0, process.log
    assert "process has finished cleanly" in process.log


def test_namespace_topics_and_level_reach_the_node(wire, run):
    process = launch(
        run, "namespace:=arm", "imu_topic:=/sensors/imu", "wrench_topic:=ft", "log_level:=error"
    )

    def topics() -> set[str]:
        assert process.child.poll() is None, process.log
        try:
            found = wire.node.get_subscriber_names_and_types_by_node("tao_lora", "/arm")
        except Exception:  # rclpy's, as long as there is no such node
            return set()
        return {name for name, _ in found}

    wire.until(lambda: {"/sensors/imu", "/arm/ft"} <= topics(), "subscriptions")
    assert wire.node.count_publishers("/arm/tao_lora/inference") == 1
    assert "reading" not in process.log


def test_missing_model_ends_the_launch_with_the_reason(wire, run):
    process = launch(run, "model:=/nowhere")
    wire.until(lambda: process.child.poll() is not None, "end of the launch")
    assert "/nowhere/model.json: No such file or directory" in process.log
    assert "exit code 1" in process.log
