"""Run a launch file as `ros2 launch` does, as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "launch"
_RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

file, *arguments = sys.argv[1:]
service = LaunchService()
source = PythonLaunchDescriptionSource(file)
pairs = [argument.split(":=", 1) for argument in arguments]
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=pairs)])
)
sys.exit(service.run())
"""


def launch_command(name: str, *arguments: str) -> list[str]:
    """Command that launches `<name>.launch.py` with arguments `name:=value`."""
    return [sys.executable, "-c", _RUN, str(FOLDER / f"{name}.launch.py"), *arguments]


def declared(name: str) -> dict[str, str | None]:
    """Arguments of `<name>.launch.py` and their descriptions, those of what it includes too."""
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    file = FOLDER / f"{name}.launch.py"
    description = get_launch_description_from_python_launch_file(str(file))
    return {argument.name: argument.description for argument in description.get_launch_arguments()}
