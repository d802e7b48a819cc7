"""The demonstration end to end: node, player and recorder as processes, over real DDS."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from models import replayed

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
pytest.importorskip("mujoco", reason="the simulation, which writes the bag, needs mujoco")

from rosbags.highlevel import AnyReader

from tao_lora_ros.bags.writer import SourceRecording, write_bag
from tao_lora_ros.model.artifact import default_artifact, load_artifact
from tao_lora_ros.preservation.event_catalogue import EVENTS, read_entries
from tao_lora_ros.signal.cdr import IMU, WRENCH

pytestmark = [
    pytest.mark.ros,
    pytest.mark.slow,
    pytest.mark.skipif(not default_artifact().exists(), reason="no model ships yet"),
]

SECONDS, TAP_S = 4, 2.5
START_NS = 1_700_000_000_000_000_000


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    """Four seconds of noise with one tap, and its truth."""
    rng = np.random.default_rng(2)
    recordings = []
    for name, msgtype, rate in (("imu", IMU, 500), ("wrench", WRENCH, 1000)):
        times = np.arange(SECONDS * rate) / rate
        values = 0.05 * rng.normal(size=(len(times), 6))
        since = times - TAP_S
        ring = np.where(since < 0, 0.0, np.exp(-since / 0.02) * np.cos(400 * since))
        values += 10.0 * ring[:, None]
        stamps = START_NS + np.arange(len(times)) * (10**9 // rate)
        recordings.append(SourceRecording(f"/{name}", msgtype, name, stamps, values))
    folder = tmp_path_factory.mktemp("demo") / "bag"
    write_bag(recordings, folder)
    labels = [("start_s", "end_s", "label"), (TAP_S, TAP_S + 0.02, "impact")]
    with folder.with_name("bag.labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(labels)
    return folder


def start(bag: Path, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-u", "-m", "tao_lora_ros.cli.main", "demo", bag, "--out", out]
    pipe = subprocess.PIPE
    environment = {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


def children(process: subprocess.Popen) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def wait_for_children(process: subprocess.Popen, count: int) -> list[int]:
    deadline = time.monotonic() + 60.0
    while len(found := children(process)) < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no node and player"
        time.sleep(0.05)
    return found


def test_finds_the_tap_and_gives_what_a_replay_gives(bag, tmp_path):
    process = start(bag, tmp_path)
    said, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint
    messages = SECONDS * 1500
    assert f"sent {messages} messages, received {messages}" in said
    assert "event 0" in said
    assert "Contacts found: 1 of 1" in said
    assert "impact" in (tmp_path / "report.html").read_text("utf-8")

    artifact = load_artifact(default_artifact())
    expected, _ = replayed(bag, artifact)
    with AnyReader([tmp_path / "recorded"]) as reader:
        topics = {c.topic: c.msgcount for c in reader.connections}
        chosen = [c for c in reader.connections if c.topic == "/tao_lora/inference"]
        scores = [
            reader.deserialize(data, connection.msgtype).score
            for connection, _, data in reader.messages(connections=chosen)
        ]
    assert topics["/imu"] + topics["/wrench"] == messages
    for name in ("events", "event_samples"):
        assert topics[f"/tao_lora/{name}"] == len(expected.events)
    assert scores == [inference.score for inference in expected.inferences]

    store = tmp_path / "events"
    (stored,) = read_entries(store)
    again = replayed(store / EVENTS / stored.folder, artifact)[0].events
    assert [event.onset_ns for event in again] == [stored.onset_ns] * 2
    assert (again[-1].label, again[-1].peak_score) == (stored.label, stored.peak_score)


def test_ctrl_c_ends_all(bag, tmp_path):
    process = start(bag, tmp_path)
    pids = wait_for_children(process, 2)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 130
    assert complaint == "tao-lora: interrupted\n"
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_says_why_the_node_died(bag, tmp_path):
    process = start(bag, tmp_path)
    node, _ = wait_for_children(process, 2)
    deadline = time.monotonic() + 60
    while "model" not in (tmp_path / "node.log").read_text():  # it has something to say first
        assert time.monotonic() < deadline, "the node says nothing"
        time.sleep(0.05)
    os.kill(node, signal.SIGKILL)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 1
    assert complaint.startswith("tao-lora: error: the node failed with -9\n")
    assert "model" in complaint  # its last lines


def test_says_which_bag_is_missing(tmp_path):
    process = start(tmp_path / "none", tmp_path / "out")
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert complaint == f"tao-lora: error: {tmp_path / 'none'}: no such bag\n"


def test_plays_the_bag_of_another_robot(tmp_path):
    """An accelerometer and a gyro alone, on a topic of another name: detection only."""
    rng = np.random.default_rng(3)
    values = 0.05 * rng.normal(size=(8 * 500, 6))
    values[3000:3004] += 10.0
    stamps = START_NS + np.arange(len(values)) * 2_000_000
    write_bag([SourceRecording("/ouster/imu", IMU, "os", stamps, values)], tmp_path / "bag")
    process = start(tmp_path / "bag", tmp_path / "out")
    said, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint
    assert "detection only, calibrated on 4 s of this bag" in said
    assert "sent 4000 messages, received 4000" in said
    assert "event 0" in said
