"""The launch file: its arguments reach the node."""

from __future__ import annotations

import pytest
from launching import declared, launch_command
from recordings import motion
from rosbags.highlevel import AnyReader

# Not "launch": the checkout's folder of that name is importable too.
pytest.importorskip("launch_ros.actions", reason="launch_ros is not installed")

pytestmark = [pytest.mark.launch, pytest.mark.ros]


def test_every_argument_is_described():
    arguments = declared("pipeline")
    assert set(arguments) == {
        "params_file", "model", "namespace", "use_sim_time", "log_level", "imu_topic",
        "wrench_topic", "joint_states_topic", "rviz", "fixed_frame", "record",
    }  # fmt: skip
    assert all(arguments.values())


def test_starts_the_node_and_ctrl_c_ends_it(wire, run):
    process = run(launch_command("pipeline"))
    wire.until_listening(process)
    assert wire.state() == "active"
    assert process.stop() == 0, process.log
    assert "process has finished cleanly" in process.log


def test_namespace_topics_and_level_reach_the_node(wire, run):
    arguments = ("namespace:=arm", "imu_topic:=/sensors/imu", "wrench_topic:=ft")
    process = run(launch_command("pipeline", *arguments, "log_level:=error"))

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
    process = run(launch_command("pipeline", "model:=/nowhere"))
    wire.until(lambda: process.child.poll() is not None, "end of the launch")
    assert "/nowhere/model.json: No such file or directory" in process.log
    assert "exit code 1" in process.log


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rviz:=true",), "'rviz2' not found"),
        (("record:=bag", "params_file:=/nowhere.yaml"), "/nowhere.yaml: No such file"),
    ],
)
def test_what_cannot_be_launched_is_said(wire, run, arguments, words):
    if "rviz:=true" in arguments and has_package("rviz2"):
        pytest.skip("rviz2 is installed")
    process = run(launch_command("pipeline", *arguments))
    wire.until(lambda: process.child.poll() is not None, "end of the launch")
    assert words in process.log
    assert process.child.returncode == 1


def has_package(name: str) -> bool:
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        return bool(get_package_prefix(name))
    except PackageNotFoundError:
        return False


def test_records_inputs_and_outputs(wire, run, tmp_path):
    pytest.importorskip("rosbag2_py", reason="rosbag2 is not installed")
    bag = tmp_path / "recorded"
    process = run(launch_command("pipeline", f"record:={bag}"))
    wire.until_listening(process)
    wire.play(motion(1.0))
    wire.until(lambda: wire.inferences, "an inference")
    assert process.stop() == 0, process.log
    with AnyReader([bag]) as reader:
        counts = {topic: info.msgcount for topic, info in reader.topics.items()}
    assert counts["/imu"] > 400
    assert counts["/wrench"] > 400
    assert counts["/tao_lora/inference"] >= 1
