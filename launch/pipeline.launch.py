"""Start the node: `ros2 launch tao_lora_ros pipeline.launch.py imu_topic:=/imu/data`.

The node is a lifecycle node that configures and activates itself. With `rviz:=true` RViz shows its
events, with `record:=FOLDER` a bag of all that goes in and comes out is recorded.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

CONFIG = Path(get_package_share_directory("tao_lora_ros"), "config")
ARGUMENTS = {
    "params_file": (str(CONFIG / "pipeline.yaml"), "parameters of the node"),
    "model": ("", "artifact folder; empty: what params_file says"),
    "namespace": ("", "namespace of the node and its topics"),
    "use_sim_time": ("false", "take the time from /clock"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "imu_topic": ("imu", "topic to read where params_file says 'imu'"),
    "wrench_topic": ("wrench", "topic to read where params_file says 'wrench'"),
    "joint_states_topic": ("joint_states", "topic to read where params_file says 'joint_states'"),
    "rviz": ("false", "show the events in RViz"),
    "fixed_frame": ("base_link", "frame that RViz holds still"),
    "record": ("", "folder of a bag to record inputs and outputs to; empty: none"),
}
OUTPUTS = ("inference", "events", "markers")


def generate_launch_description() -> LaunchDescription:
    """The arguments, the node, RViz and the recorder."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_processes)])


def _processes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    _check(given)
    processes = [_node(given), _rviz(given)]
    return [*processes, _recorder(given)] if given["record"] else processes


def _check(given: dict[str, str]) -> None:
    """Before any process is started, for it would be left alone."""
    if not Path(given["params_file"]).is_file():
        raise ValueError(f"params_file: {given['params_file']}: No such file")
    if given["rviz"].lower() in ("true", "1"):
        try:
            get_package_prefix("rviz2")
        except PackageNotFoundError:
            raise ValueError("rviz:=true: 'rviz2' not found: install it, or rviz:=false") from None


def _node(given: dict[str, str]) -> LifecycleNode:
    parameters = {"use_sim_time": given["use_sim_time"].lower() == "true"}
    if given["model"]:
        parameters["model"] = given["model"]
    return LifecycleNode(
        package="tao_lora_ros",
        executable="pipeline_node",
        name="tao_lora",
        namespace=given["namespace"],
        parameters=[given["params_file"], parameters],
        remappings=list(_topics(given).items()),
        arguments=["--ros-args", "--log-level", given["log_level"]],
        output="screen",
        sigterm_timeout="15",  # s; the events still to be written may need more than launch's 5
    )


def _rviz(given: dict[str, str]) -> Node:
    return Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(CONFIG / "pipeline.rviz"), "-f", given["fixed_frame"]],
        parameters=[{"use_sim_time": given["use_sim_time"].lower() == "true"}],
        remappings=_rviz_topics(given),
        condition=IfCondition(given["rviz"]),
    )


def _rviz_topics(given: dict[str, str]) -> list[tuple[str, str]]:
    topics = {"/tao_lora/markers": "tao_lora/markers", "/wrench": given["wrench_topic"]}
    return [(shown, _absolute(given, topic)) for shown, topic in topics.items()]


def _recorder(given: dict[str, str]) -> ExecuteProcess:
    from tao_lora_ros.engine.settings import read_settings
    from tao_lora_ros.engine.sources import source_configs

    sources = source_configs(read_settings(Path(given["params_file"])))
    inputs = [_topics(given).get(source.name, source.name) for source in sources]
    topics = [*inputs, *(f"tao_lora/{output}" for output in OUTPUTS), "/diagnostics"]
    command = ["ros2", "bag", "record", "--storage", "mcap", "--output", given["record"]]
    if given["use_sim_time"].lower() == "true":
        command.append("--use-sim-time")
    return ExecuteProcess(cmd=[*command, *(_absolute(given, t) for t in topics)], output="screen")


def _topics(given: dict[str, str]) -> dict[str, str]:
    return {name: given[f"{name}_topic"] for name in ("imu", "wrench", "joint_states")}


def _absolute(given: dict[str, str], topic: str) -> str:
    if topic.startswith("/"):
        return topic
    return "/" + "/".join(part for part in (given["namespace"].strip("/"), topic) if part)
