"""Start a node a robot: `ros2 launch tao_lora_ros multi_robot.launch.py robots:="[left, right]"`.

Each robot is a namespace. One with arguments of its own is a mapping, with the names that
`pipeline.launch.py` takes: `[left, {namespace: dog, params_file: /etc/dog.yaml}]`. What is given
on the command line holds for all.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from ament_index_python.packages import get_packages_with_prefixes
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
from tao_lora_ros.messages.texts import did_you_mean
from tao_lora_ros.ros.launch_arguments import check_names, check_values

PIPELINE = str(Path(__file__).with_name("pipeline.launch.py"))


def generate_launch_description() -> LaunchDescription:
    """The arguments and the nodes."""
    description = "robots as a YAML list, or the path of a file that holds one"
    robots = DeclareLaunchArgument("robots", description=description)
    pipeline = get_launch_description_from_python_launch_file(PIPELINE).get_launch_arguments()
    names = [argument.name for argument in pipeline]
    return LaunchDescription([robots, *pipeline, OpaqueFunction(function=_nodes, args=[names])])


def _nodes(context: LaunchContext, names: list[str]) -> list[GroupAction]:
    check_names(__file__, ["robots", *names])
    text = LaunchConfiguration("robots").perform(context)
    robots = [_arguments(entry, names) for entry in _entries(text)]
    namespaces = [robot["namespace"] for robot in robots]
    if twice := {name for name in namespaces if namespaces.count(name) > 1}:
        raise ValueError(f"robots: two have the namespace {min(twice)}")
    common = {name: LaunchConfiguration(name).perform(context) for name in names}
    for robot in robots:  # all of them before the first is started
        try:
            check_values(common | robot, get_packages_with_prefixes())
        except ValueError as error:
            raise ValueError(f"robots: {robot['namespace']}: {error}") from None
    # A group each: arguments of one robot must not reach the next.
    return [GroupAction([_pipeline(robot)]) for robot in robots]


def _entries(text: str) -> list:
    try:
        robots = yaml.safe_load(text)
        if isinstance(robots, str):
            robots = yaml.safe_load(Path(robots).read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"robots: {' '.join(str(error).split())}") from None
    if not isinstance(robots, list) or not robots:
        raise ValueError(f"robots is {text}, expected a YAML list such as [left, right]")
    return robots


def _arguments(entry: object, known: list[str]) -> dict[str, str]:
    arguments = entry if isinstance(entry, dict) else {"namespace": entry}
    if unknown := sorted({str(name) for name in arguments} - set(known)):
        hint = did_you_mean(unknown[0], known) or f", only {', '.join(known)}"
        raise ValueError(f"robots: no argument is called '{unknown[0]}'{hint}")
    if not isinstance(arguments.get("namespace"), str):
        raise ValueError(f"robots: {entry} has no namespace")
    return {name: str(value) for name, value in arguments.items()}


def _pipeline(arguments: dict[str, str]) -> IncludeLaunchDescription:
    source = PythonLaunchDescriptionSource(PIPELINE)
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())
