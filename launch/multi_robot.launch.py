"""Start a node a robot: `ros2 launch tao_lora_ros multi_robot.launch.py robots:="[left, right]"`.

Each robot is a namespace. One with arguments of its own is a mapping, with the names that
`pipeline.launch.py` takes: `[left, {namespace: dog, params_file: /etc/dog.yaml}]`. What is given
on the command line holds for all.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import (
    PythonLaunchDescriptionSource,
    get_launch_description_from_python_launch_file,
)
from launch.substitutions import LaunchConfiguration

from launch import LaunchContext, LaunchDescription

PIPELINE = str(Path(__file__).with_name("pipeline.launch.py"))


def generate_launch_description() -> LaunchDescription:
    """The argument and the nodes."""
    description = "robots as a YAML list, or the path of a file that holds one"
    robots = DeclareLaunchArgument("robots", description=description)
    return LaunchDescription([robots, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[GroupAction]:
    robots = [
        _arguments(entry) for entry in _entries(LaunchConfiguration("robots").perform(context))
    ]
    namespaces = [robot["namespace"] for robot in robots]
    if twice := {name for name in namespaces if namespaces.count(name) > 1}:
        raise ValueError(f"robots: two have the namespace {min(twice)}")
    # A group each: arguments of one robot must not reach the next.
    return [GroupAction([_pipeline(robot)]) for robot in robots]


def _entries(text: str) -> list:
    robots = yaml.safe_load(text)
    if isinstance(robots, str):
        robots = yaml.safe_load(Path(robots).read_text())
    if not isinstance(robots, list) or not robots:
        raise ValueError(f"robots is {text}, expected a YAML list such as [left, right]")
    return robots


def _arguments(entry: object) -> dict[str, str]:
    arguments = entry if isinstance(entry, dict) else {"namespace": entry}
    pipeline = get_launch_description_from_python_launch_file(PIPELINE)
    known = [argument.name for argument in pipeline.get_launch_arguments()]
    if unknown := {str(name) for name in arguments} - set(known):
        raise ValueError(f"robots: no argument is called '{min(unknown)}', only {', '.join(known)}")
    if not isinstance(arguments.get("namespace"), str):
        raise ValueError(f"robots: {entry} has no namespace")
    return {name: str(value) for name, value in arguments.items()}


def _pipeline(arguments: dict[str, str]) -> IncludeLaunchDescription:
    source = PythonLaunchDescriptionSource(PIPELINE)
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())
