"""Play a bag to the node: `ros2 launch tao_lora_ros replay.launch.py bag:=path/to/bag`.

It takes all arguments of `pipeline.launch.py` too. `ros2 bag play` plays everything in the bag, so
that RViz has its transforms; where rosbag2 is not installed, and for ROS 1 bags, `tao-lora play`
plays what the node reads. The node's time is the bag's. Without RViz all ends with the bag.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from ament_index_python.packages import get_packages_with_prefixes
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import (
    PythonLaunchDescriptionSource,
    get_launch_description_from_python_launch_file,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from tao_lora_ros.bags.discover import sources_in
from tao_lora_ros.bags.reader import BagReader, bag_topics
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.ros.launch_arguments import check_names, check_values, truth
from tao_lora_ros.ros.launch_prefix import launch_prefix

PIPELINE = str(Path(__file__).with_name("pipeline.launch.py"))
NAMED = ("imu", "wrench", "joint_states")  # sources whose topic an argument names
REST_S = 2.0  # for the node to deal with what it still has in its queues
ARGUMENTS = {
    "bag": (None, "ROS 1 or ROS 2 bag to play"),
    "rate": ("1.0", "playing speed"),
    "bag_topics": ("", "topics of the bag where a type has several: 'imu=/a wrench=/b'"),
    "use_sim_time": ("true", "take the time from the bag"),
}


def generate_launch_description() -> LaunchDescription:
    """The arguments, the node with RViz, and the player."""
    own = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    pipeline = get_launch_description_from_python_launch_file(PIPELINE).get_launch_arguments()
    arguments = [*own, *(argument for argument in pipeline if argument.name not in ARGUMENTS)]
    names = [argument.name for argument in arguments]
    return LaunchDescription([*arguments, OpaqueFunction(function=_processes, args=[names])])


def _processes(context: LaunchContext, names: list[str]) -> list[LaunchDescriptionEntity]:
    check_names(__file__, names)
    given = {name: LaunchConfiguration(name).perform(context) for name in names}
    check_values(given, get_packages_with_prefixes())
    topics = _topics(given)
    words = dict(context.launch_configurations)
    if find_spec("rosbag2_py") is None or Path(given["bag"]).suffix == ".bag":
        player = _our_player(given, launch_prefix(Path(sys.executable).name, words))
        start: LaunchDescriptionEntity = player  # it waits for the node to subscribe
    else:
        player = _rosbag2_player(given, topics, launch_prefix("ros2", words))
        start = RegisterEventHandler(OnStateTransition(goal_state="active", entities=[player]))
    handlers = [OnProcessExit(target_action=_is_node, on_exit=[_end("the node has ended")])]
    if not truth(given, "rviz"):
        rest = TimerAction(period=REST_S, actions=[_end("the player has ended")])
        handlers.append(OnProcessExit(target_action=player, on_exit=[rest]))
    pipeline = IncludeLaunchDescription(PythonLaunchDescriptionSource(PIPELINE))
    return [*map(RegisterEventHandler, handlers), pipeline, start]


def _is_node(action: ExecuteProcess) -> bool:
    return isinstance(action, LifecycleNode)


def _end(reason: str) -> OpaqueFunction:
    def end(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        # A second shutdown is an error of launch_ros.
        return [] if context.is_shutdown else [EmitEvent(event=Shutdown(reason=reason))]

    return OpaqueFunction(function=end)


def _topics(given: dict[str, str]) -> dict[str, str]:
    """The bag's topic for each source by its name."""
    bag = Path(given["bag"])
    found = sources_in(bag, Path(given["params_file"]), bag_topics(given["bag_topics"].split()))
    with BagReader(bag, source_configs(found.settings), found.topics) as reader:
        return reader.topics


def _our_player(given: dict[str, str], prefix: str) -> ExecuteProcess:
    topics = [word for pair in given["bag_topics"].split() for word in ("--topic", pair)]
    command = [sys.executable, "-m", "tao_lora_ros.ros.player", given["bag"], *topics]
    command += ["--params-file", given["params_file"], "--rate", given["rate"], "--clock"]
    command += ["--ros-args", "-r", f"__ns:=/{given['namespace'].strip('/')}"]
    for name in NAMED:
        command += ["-r", f"{name}:={given[f'{name}_topic']}"]
    return ExecuteProcess(cmd=command, name="player", prefix=prefix, output="screen")


def _rosbag2_player(given: dict[str, str], topics: dict[str, str], prefix: str) -> ExecuteProcess:
    remaps = [f"{topic}:={_played_as(given, name)}" for name, topic in topics.items()]
    command = ["ros2", "bag", "play", given["bag"], "--rate", given["rate"], "--clock", "100"]
    command += ["--remap", *remaps]
    return ExecuteProcess(cmd=command, name="player", prefix=prefix, output="screen")


def _played_as(given: dict[str, str], source: str) -> str:
    """The topic that the node reads."""
    topic = given[f"{source}_topic"] if source in NAMED else source
    if topic.startswith("/"):
        return topic
    return "/" + "/".join(part for part in (given["namespace"].strip("/"), topic) if part)
