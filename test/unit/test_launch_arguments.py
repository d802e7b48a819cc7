"""What the launch files refuse before any process is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tao_lora_ros.ros.launch_arguments import check_names, check_values, truth

FILE = str(Path(__file__).resolve().parents[2] / "launch" / "pipeline.launch.py")
KNOWN = ("params_file", "imu_topic", "wrench_topic", "rviz", "record")
NODE = ("ros2", "launch", "tao_lora_ros", "pipeline.launch.py")
GIVEN = {
    "params_file": FILE,
    "log_level": "info",
    "use_sim_time": "false",
    "rviz": "false",
    "record": "",
}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((*NODE, "imu_topik:=/imu"), "unknown argument 'imu_topik'; did you mean 'imu_topic'?"),
        ((*NODE, "imu_topic:=/a", "colour:=red"), "unknown argument 'colour', expected one of"),
        (("ros2", "launch", FILE, "rvis:=true"), "unknown argument 'rvis'; did you mean 'rviz'?"),
    ],
)
def test_a_name_that_nothing_declares(command, words):
    with pytest.raises(ValueError, match=words.replace("?", r"\?")):
        check_names(FILE, KNOWN, command)


@pytest.mark.parametrize(
    "command",
    [
        NODE,
        (*NODE, "imu_topic:=/a:=b", "launch-prefix:=nice"),
        ("ros2", "launch", "my_robot", "bringup.launch.py", "robot:=x"),  # it includes ours
        ("ros2", "launch", "my_robot", "pipeline.launch.py", "robot:=x"),
    ],
)
def test_names_that_are_known_or_of_another_file(command):
    check_names(FILE, KNOWN, command)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"params_file": "/nowhere.yaml"}, "params_file: /nowhere.yaml: No such file"),
        ({"log_level": "loud"}, "log_level is 'loud', expected debug, info, warn, error, fatal"),
        ({"use_sim_time": "yes"}, "use_sim_time is 'yes', expected true or false"),
        ({"rviz": "perhaps"}, "rviz is 'perhaps', expected true or false"),
        ({"rviz": "True"}, "rviz:=True: 'rviz2' not found: install it, or rviz:=false"),
        ({"record": "bag"}, "record:=bag: 'ros2bag' not found: install it, or leave it out"),
    ],
)
def test_a_value_that_nothing_can_start_with(given, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        check_values(GIVEN | given, packages=())


def test_a_folder_to_record_to_is_new(tmp_path):
    new = {"record": str(tmp_path / "bag"), "rviz": "1"}
    check_values(GIVEN | new, packages=("rviz2", "ros2bag"))
    assert truth(new, "rviz")
    with pytest.raises(ValueError, match="is there already: name another folder"):
        check_values(GIVEN | {"record": str(tmp_path)}, packages=("ros2bag",))
