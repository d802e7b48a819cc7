"""Play a bag to the node: `ros2 launch tao_lora_ros replay.launch.py bag:=path/to/bag`.

It takes all arguments of `pipeline.launch.py` too. `ros2 bag play` plays everything in the bag, so
that RViz has its transforms; where rosbag2 is not installed, and for ROS 1 bags, `tao-lora play`
plays what the node reads. The node's time is the bag's. Without RViz all ends with the bag.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.conditions import UnlessCondition
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.event_handlers import OnStateTransition

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

PIPELINE = str(Path(__file__).with_name("pipeline.launch.py"))
REST_S = 2.0  # for the node to deal with what it still has in its queues
ARGUMENTS = {
    "bag": (None, "ROS 1 or ROS 2 bag to play"),
    "rate": ("1.0", "playing speed"),
    "bag_topics": ("", "topics of the bag where a type has several: 'imu=/a wrench=/b'"),
    "rviz": ("true", "show the events in RViz"),
    "use_sim_time": ("true", "take the time from the bag"),
}


def generate_launch_description() -> LaunchDescription:
    """The arguments, the node with RViz, and the player."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    pipeline = IncludeLaunchDescription(PythonLaunchDescriptionSource(PIPELINE))
    return LaunchDescription([*arguments, pipeline, OpaqueFunction(function=_player)])


def _player(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    names = ("bag", "rate", "bag_topics", "params_file", "namespace", "rviz")
    given = {name: LaunchConfiguration(name).perform(context) for name in names}
    if find_spec("rosbag2_py") is None or Path(given["bag"]).suffix == ".bag":
        player = _our_player(given)
        start: LaunchDescriptionEntity = player  # it waits for the node to subscribe
    else:
        player = _rosbag2_player(given)
        start = RegisterEventHandler(OnStateTransition(goal_state="active", entities=[player]))
    end = EmitEvent(event=Shutdown(reason="the player has ended"))
    rest = TimerAction(period=REST_S, actions=[end])
    ended = OnProcessExit(target_action=player, on_exit=[rest])
    return [start, RegisterEventHandler(ended, condition=UnlessCondition(given["rviz"]))]


def _our_player(given: dict[str, str]) -> ExecuteProcess:
    topics = [word for pair in given["bag_topics"].split() for word in ("--topic", pair)]
    command = [sys.executable, "-m", "tao_lora_ros.ros.player", given["bag"], *topics]
    command += ["--params-file", given["params_file"], "--rate", given["rate"], "--clock"]
    command += ["--ros-args", "-r", f"__ns:=/{given['namespace'].strip('/')}"]
    return ExecuteProcess(cmd=command, output="screen")


def _rosbag2_player(given: dict[str, str]) -> ExecuteProcess:
    from tao_lora_ros.bags.reader import BagReader, bag_topics
    from tao_lora_ros.engine.settings import read_settings
    from tao_lora_ros.engine.sources import source_configs

    sources = source_configs(read_settings(Path(given["params_file"])))
    with BagReader(Path(given["bag"]), sources, bag_topics(given["bag_topics"].split())) as reader:
        topics = reader.topics
    names = {name: "/".join(["", *given["namespace"].split("/"), name]) for name in topics}
    remaps = [f"{topic}:={names[name].replace('//', '/')}" for name, topic in topics.items()]
    command = ["ros2", "bag", "play", given["bag"], "--rate", given["rate"], "--clock", "100"]
    return ExecuteProcess(cmd=[*command, "--remap", *remaps], output="screen")
