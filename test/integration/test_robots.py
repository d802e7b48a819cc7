"""The node with each robot kind's parameter file and a model for its channels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from models import SMALL, small_artifact
from recordings import motion

from tao_lora_ros.model.artifact import save_artifact

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytestmark = pytest.mark.ros
CONFIG = Path(__file__).resolve().parents[2] / "config"


def command(kind: str, *parameters: str) -> list[str]:
    from wire import node_command

    file = ("--params-file", str(CONFIG / f"{kind}.yaml"))
    return [*node_command(()), *file, *(word for p in parameters for word in ("-p", p))]


def test_a_mobile_base_runs_on_its_imu_alone(wire, run, tmp_path):
    save_artifact(small_artifact(replace(SMALL, channels=6)), tmp_path / "model")
    process = run(command("mobile_base", f"model:={tmp_path / 'model'}"))
    wire.until(lambda: wire.node.count_subscribers("imu"), "a subscription")
    wire.state()
    messages = [message for message in motion(3.0) if message.source == 0]
    wire.play(messages)
    assert len(wire.inferences) > 10, process.log
    assert not wire.node.count_subscribers("wrench")
    assert process.stop() == 0


def test_a_quadruped_asks_for_a_model_of_its_channels(wire, run):
    process = run(command("quadruped"))
    wire.until(lambda: process.child.poll() is not None, "end of the node")
    assert process.child.returncode == 1
    assert "reads channels imu.accel_x" in process.log
    assert "rear_right/wrench.torque_z" in process.log
