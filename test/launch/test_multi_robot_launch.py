"""Several robots from one list, each in a namespace of its own."""

from __future__ import annotations

import pytest
import yaml
from launching import launch_command

pytest.importorskip("launch_ros.actions", reason="launch_ros is not installed")

pytestmark = [pytest.mark.launch, pytest.mark.ros]


def inputs(wire, namespace: str) -> set[str]:
    try:
        found = wire.node.get_subscriber_names_and_types_by_node("tao_lora", namespace)
    except Exception:  # rclpy's, as long as there is no such node
        return set()
    return {name for name, _ in found}


@pytest.mark.parametrize("from_file", [False, True])
def test_arguments_of_one_robot_do_not_reach_the_next(wire, run, tmp_path, from_file):
    robots = [{"namespace": "left", "imu_topic": "/left_imu"}, "right"]
    file = tmp_path / "robots.yaml"
    file.write_text(yaml.safe_dump(robots))
    text = str(file) if from_file else yaml.safe_dump(robots, default_flow_style=True)
    process = run(launch_command("multi_robot", f"robots:={text}"))
    wire.until(lambda: {"/left_imu", "/left/wrench"} <= inputs(wire, "/left"), "left")
    wire.until(lambda: {"/right/imu", "/right/wrench"} <= inputs(wire, "/right"), "right")
    assert process.stop() == 0, process.log


@pytest.mark.parametrize(
    ("robots", "words"),
    [
        ("5", "robots is 5, expected a YAML list such as [left, right]"),
        ("[]", "robots is [], expected a YAML list"),
        ("[left", "robots: while parsing a flow sequence in"),
        ("robots.yaml", "robots: [Errno 2] No such file or directory: 'robots.yaml'"),
        ("[left, left]", "robots: two have the namespace left"),
        ("[{imu_topic: a}]", "robots: {'imu_topic': 'a'} has no namespace"),
        ("[{namespace: a, colour: red}]", "robots: no argument is called 'colour', only "),
    ],
)
def test_a_list_that_will_not_do_is_refused(wire, run, robots, words):
    process = run(launch_command("multi_robot", f"robots:={robots}"))
    wire.until(lambda: process.child.poll() is not None, "end of the launch")
    assert process.child.returncode == 1
    assert words in process.log
