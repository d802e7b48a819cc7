"""An arm without a force sensor: a model trained on its IMU and its joints, in the node."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import tao_lora
from recordings import START_NS, Message, joint_state, motion, write_ros2

from tao_lora_ros.cli.main import main
from tao_lora_ros.model.artifact import load_artifact
from tao_lora_ros.preservation.event_catalogue import read_event
from tao_lora_ros.signal.cdr import IMU, JOINT_STATE, decode_wrench

TOPICS = (("/imu", IMU), ("/joint_states", JOINT_STATE))
JOINTS = tuple(f"arm_joint{i}" for i in range(1, 8))
LEVERS = np.random.default_rng(7).normal(size=(7, 6))  # a Jacobian, as far as it matters here
IMPACTS_S = (0.7, 1.5, 2.3)
PARAMETERS = {
    "wrenches": "['']",
    "source_timeout_s": "2.0",  # whatever holds up a busy machine
    "joint_states": "[joint_states]",
    "joints": f"['{', '.join(JOINTS)}']",
}


def arm(seconds: float, impacts_s: tuple[float, ...], seed: int) -> list[Message]:
    """The motion felt by seven joints, their order another in each message, a finger among them."""
    rng = np.random.default_rng(seed)
    out = []
    for m in motion(seconds, impacts_s, seed):
        data = m.data
        if m.source == 1:
            efforts = dict(zip(JOINTS, LEVERS @ decode_wrench(data).values, strict=True))
            efforts["finger"] = float("nan")
            order = rng.permutation([*efforts]).tolist()
            shuffled = {joint: efforts[joint] for joint in order}
            data = joint_state(m.stamp_ns, shuffled, "base_link", rng.normal(size=8))
        out.append(Message(m.source, m.stamp_ns, data))
    return out


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("parameters") / "arm.yaml"
    lines = "\n".join(f"    {name}: {value}" for name, value in PARAMETERS.items())
    file.write_text(f"/**:\n  ros__parameters:\n{lines}\n")
    return file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, parameters: Path) -> Path:
    """Trained on bags with these sources, by the command line."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("efforts")
    for i in range(4):
        bag = write_ros2(folder / "struck" / f"run_{i}", arm(3.0, IMPACTS_S, i), TOPICS)
        rows = [f"{t},{t + 0.02},impact" for t in IMPACTS_S]
        labels = bag.with_name(f"{bag.name}.labels.csv")
        labels.write_text("\n".join(["start_s,end_s,label", *rows]) + "\n")
    write_ros2(folder / "steady" / "run", arm(6.0, (), 9), TOPICS)
    words = ["train", str(folder / "struck"), "--steady", str(folder / "steady")]
    words += ["--params-file", str(parameters), "--out", str(folder / "model")]
    words += ["--steps", "30", "--batch", "64", "--settle-steps", "2", "--adapt-steps", "2"]
    assert main(words) == 0
    return folder / "model"


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return write_ros2(tmp_path / "bag", arm(3.0, (2.0,), 77), TOPICS)


def test_the_model_reads_the_joints(model: Path) -> None:
    artifact = load_artifact(model)
    assert artifact.channels[6:] == tuple(f"joint_states.effort_{joint}" for joint in JOINTS)
    assert artifact.model.config.channels == 13
    assert artifact.labels == ("free", "impact")


def test_a_replay_finds_the_impact_and_draws_the_efforts(model, parameters, bag, tmp_path) -> None:
    file, report, picture = (tmp_path / name for name in ("r.json", "r.html", "event.html"))
    words = ["replay", str(bag), "--model", str(model), "--params-file", str(parameters)]
    words += ["--json", str(file), "--report", str(report), "--store", str(tmp_path / "store")]
    assert main(words) == 0
    numbers = json.loads(file.read_text())
    assert numbers["rejected"] == {}
    (event,) = numbers["events"]
    assert event["onset_s"] == pytest.approx(2.0, abs=0.01)
    assert any(name.startswith("joint_states.effort_arm_joint") for name in event["channels"])
    assert "joint_states [Nm]" in report.read_text()
    command = ["events", "plot", "1", "--store", str(tmp_path / "store"), "--out", str(picture)]
    assert main(command) == 0
    page = picture.read_text()
    assert "joint_states in base_link" in page
    assert "arm_joint7" in page


def bodies(data: Sequence[bytes]) -> list[bytes]:
    """All but the empty messages by which `start_node` finds out whether the node listens."""
    return [one for one in data if len(one) > 4]


@pytest.mark.ros
def test_the_node_gives_what_the_replay_gives(
    wire, start_node, model, parameters, bag, tmp_path
) -> None:
    from sensor_msgs.msg import JointState
    from wire import LOSSLESS

    wire.publish_as(1, JointState, "joint_states")
    names = (f"{name}:={value}" for name, value in PARAMETERS.items())
    lossless = "qos_overrides./joint_states.subscription.reliability:=reliable"
    stores = tmp_path / "live", tmp_path / "replayed"
    process = start_node(*LOSSLESS, lossless, *names, f"model:={model}", f"store:={stores[0]}")
    messages = arm(3.0, (2.0,), 77)
    wire.play(messages, rate=2.0)
    wire.until(lambda: len(wire.events) == 2, "an event")
    assert process.stop() == 0
    assert tao_lora("replay", bag, model=model, params_file=parameters, store=stores[1]) == 0
    live, replayed = (read_event(store, 1)[1] for store in stores)
    published = [[data for _, data in record.published] for record in (live, replayed)]
    assert published[0] == published[1]
    sources = zip(live.received[:2], replayed.received[:2], strict=True)
    for name, ((topic, left), (_, right)) in zip(("/imu", "/joint_states"), sources, strict=True):
        assert topic.name == name
        assert bodies(left.data) == bodies(right.data)


@pytest.mark.ros
def test_a_state_without_efforts_is_told_of(wire, start_node, model) -> None:
    from sensor_msgs.msg import JointState

    watch = wire.watch()
    wire.publish_as(1, JointState, "joint_states")
    names = (f"{name}:={value}" for name, value in PARAMETERS.items())
    process = start_node(*names, f"model:={model}")
    bare = joint_state(START_NS, dict.fromkeys(JOINTS, 1.0), effort=[])
    words = "joint_states: no effort: effort has 0 entries, name has 7"

    def told(report: dict) -> bool:
        wire.publishers[1].publish(bare)
        return words in report["message"]

    watch.until("joint_states", told)
    wire.until(lambda: words in process.log, "a warning")
