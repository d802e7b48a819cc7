"""Start the node: `ros2 launch tao_lora_ros pipeline.launch.py imu_topic:=/imu/data`.

The node is a lifecycle node that configures and activates itself.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from launch import LaunchContext, LaunchDescription

PARAMS_FILE = Path(get_package_share_directory("tao_lora_ros"), "config", "pipeline.yaml")
ARGUMENTS = {
    "params_file": (str(PARAMS_FILE), "parameters of the node"),
    "model": ("", "artifact folder; empty: what params_file says"),
    "namespace": ("", "namespace of the node and its topics"),
    "use_sim_time": ("false", "take the time from /clock"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "imu_topic": ("imu", "sensor_msgs/Imu topic to read"),
    "wrench_topic": ("wrench", "geometry_msgs/WrenchStamped topic to read"),
}


def generate_launch_description() -> LaunchDescription:
    """The arguments and the node."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_node)])


def _node(context: LaunchContext) -> list[LifecycleNode]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters = {"use_sim_time": given["use_sim_time"].lower() == "true"}
    if given["model"]:
        parameters["model"] = given["model"]
    return [
        LifecycleNode(
            package="tao_lora_ros",
            executable="pipeline_node",
            name="tao_lora",
            namespace=given["namespace"],
            parameters=[given["params_file"], parameters],
            remappings=[("imu", given["imu_topic"]), ("wrench", given["wrench_topic"])],
            arguments=["--ros-args", "--log-level", given["log_level"]],
            output="screen",
        )
    ]
