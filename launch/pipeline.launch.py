"""Start the node: `ros2 launch tao_lora_ros pipeline.launch.py imu_topic:=/imu/data`.

The node is a lifecycle node that configures and activates itself. With `rviz:=true` RViz shows its
events, with `record:=FOLDER` a bag of all that goes in and comes out is recorded; both end with the
node, and all with the launch.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory, get_packages_with_prefixes
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import ShutdownProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from tao_lora_ros.ros.launch_arguments import check_names, check_values, truth
from tao_lora_ros.ros.launch_prefix import launch_prefix

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
    check_names(__file__, ARGUMENTS)
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    check_values(given, get_packages_with_prefixes())
    words = dict(context.launch_configurations)
    node = _node(given, launch_prefix("pipeline_node", words))
    beside = [_rviz(given, launch_prefix("rviz2", words))] if truth(given, "rviz") else []
    beside += [_recorder(given, launch_prefix("ros2", words))] if given["record"] else []
    return [node, *beside, *(_end_with(node, process) for process in beside)]


def _end_with(node: LifecycleNode, process: ExecuteProcess) -> RegisterEventHandler:
    end = EmitEvent(event=ShutdownProcess(process_matcher=matches_action(process)))
    return RegisterEventHandler(OnProcessExit(target_action=node, on_exit=[end]))


def _node(given: dict[str, str], prefix: str) -> LifecycleNode:
    parameters = {"use_sim_time": truth(given, "use_sim_time")}
    if given["model"]:
        parameters["model"] = given["model"]
    return LifecycleNode(
        package="tao_lora_ros",
        executable="pipeline_node",
        exec_name="pipeline_node",  # in the log, instead of the prefix
        prefix=prefix,
        name="tao_lora",
        namespace=given["namespace"],
        parameters=[given["params_file"], parameters],
        remappings=list(_topics(given).items()),
        arguments=["--ros-args", "--log-level", given["log_level"]],
        output="screen",
        sigterm_timeout="15",  # s; the events still to be written may need more than launch's 5
    )


def _rviz(given: dict[str, str], prefix: str) -> Node:
    return Node(
        package="rviz2",
        executable="rviz2",
        exec_name="rviz2",
        prefix=prefix,
        arguments=["-d", str(CONFIG / "pipeline.rviz"), "-f", given["fixed_frame"]],
        parameters=[{"use_sim_time": truth(given, "use_sim_time")}],
        remappings=_rviz_topics(given),
    )


def _rviz_topics(given: dict[str, str]) -> list[tuple[str, str]]:
    topics = {"/tao_lora/markers": "tao_lora/markers", "/wrench": given["wrench_topic"]}
    return [(shown, _absolute(given, topic)) for shown, topic in topics.items()]


def _recorder(given: dict[str, str], prefix: str) -> ExecuteProcess:
    from tao_lora_ros.engine.settings import read_settings
    from tao_lora_ros.engine.sources import source_configs

    sources = source_configs(read_settings(Path(given["params_file"])))
    inputs = [_topics(given).get(source.name, source.name) for source in sources]
    topics = [*inputs, *(f"tao_lora/{output}" for output in OUTPUTS), "/diagnostics"]
    command = ["ros2", "bag", "record", "--storage", "mcap", "--output", given["record"]]
    if truth(given, "use_sim_time"):
        command.append("--use-sim-time")
    command += [_absolute(given, topic) for topic in topics]
    return ExecuteProcess(cmd=command, name="ros2", prefix=prefix, output="screen")


def _topics(given: dict[str, str]) -> dict[str, str]:
    return {name: given[f"{name}_topic"] for name in ("imu", "wrench", "joint_states")}


def _absolute(given: dict[str, str], topic: str) -> str:
    if topic.startswith("/"):
        return topic
    return "/" + "/".join(part for part in (given["namespace"].strip("/"), topic) if part)
