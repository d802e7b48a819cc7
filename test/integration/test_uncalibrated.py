"""A model that nobody calibrated, of short windows, in the node: it classifies, and finds events
once it is calibrated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from models import CHANNELS, RATE_HZ, SMALL, replayed, small_artifact
from recordings import motion, write_ros2

pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")

from std_srvs.srv import Trigger

from tao_lora_ros.detection.calibration import uncalibrated
from tao_lora_ros.model.artifact import load_artifact, save_artifact
from tao_lora_ros.training.window_sizes import with_window

pytestmark = pytest.mark.ros


def test_it_classifies_as_its_replay_does_and_can_be_calibrated(
    wire, start_node, tmp_path: Path
) -> None:
    made = small_artifact(with_window(SMALL, 20, horizon=2))
    made = replace(made, calibration=uncalibrated(CHANNELS, RATE_HZ))
    save_artifact(made, tmp_path / "model")
    watch = wire.watch()
    start_node(f"model:={tmp_path / 'model'}", f"store:={tmp_path / 'store'}")
    struck = motion(2.0, impacts_s=(1.0,))
    wire.play(struck)
    watch.until("events", lambda report: report["message"].startswith("not calibrated"))
    bag = write_ros2(tmp_path / "bag", struck)
    found, _ = replayed(bag, load_artifact(tmp_path / "model"))
    live = [tuple(inference.probabilities) for inference in wire.inferences]
    assert len(live) > 50
    assert live == [inference.probabilities for inference in found.inferences][: len(live)]
    assert wire.events == found.events == []
    assert wire.call(Trigger, "reset", Trigger.Request()).success
    wire.play(motion(4.0, seed=1))
    done = wire.call(Trigger, "calibrate", Trigger.Request())
    assert done.success, done.message
    wire.play(struck)
    wire.until(lambda: len(wire.events) == 2, "an event's onset and end")
