"""The player over real DDS: every byte arrives, and on time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
pytest.importorskip("mujoco", reason="the simulation, which writes the bag, needs mujoco")

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from wire import own_domain

from tao_lora_ros.bags.reader import BagError, BagReader
from tao_lora_ros.bags.writer import SourceRecording, write_bag
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.ros import player
from tao_lora_ros.ros.distro import LOCAL_ONLY
from tao_lora_ros.signal.cdr import IMU, WRENCH

pytestmark = pytest.mark.ros

DOMAIN = own_domain()
RATES = {"imu": 500, "wrench": 1000}
SOURCES = source_configs(Settings())
START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    recordings = [
        SourceRecording(
            topic=f"/{name}",
            msgtype=msgtype,
            frame_id=name,
            stamps_ns=START_NS + np.arange(RATES[name]) * (10**9 // RATES[name]),
            values=rng.normal(size=(RATES[name], 6)),
        )
        for name, msgtype in (("imu", IMU), ("wrench", WRENCH))
    ]
    write_bag(recordings, tmp_path / "bag")
    return tmp_path / "bag"


def take_all(subscriptions: dict, until: subprocess.Popen) -> dict[str, list]:
    """(bytes, time published in ns) of all messages until the process has ended."""
    taken: dict[str, list] = {name: [] for name in subscriptions}
    ended = False
    while not ended:
        ended = until.poll() is not None
        time.sleep(0.05)
        for name, subscription in subscriptions.items():
            with subscription.handle:
                while message := subscription.handle.take_message(subscription.msg_type, True):
                    taken[name].append((message[0], message[1]["source_timestamp"]))
    return taken


@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_every_byte_arrives_on_time(bag, rate, monkeypatch):
    for name, value in LOCAL_ONLY.items():
        monkeypatch.setenv(name, value)
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = Node("test_player", context=context)
    subscriptions = {}
    for source in SOURCES:
        for policy in (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT):
            qos = QoSProfile(depth=5000, reliability=policy)
            kind = player.MESSAGE_TYPES[source.msgtype]
            subscriptions[f"{source.name} {policy.name}"] = node.create_subscription(
                kind, source.name, print, qos, raw=True
            )
    command = [sys.executable, "-m", "tao_lora_ros.ros.player", bag, "--subscribers", "2"]
    command += ["--rate", str(rate)]
    process = subprocess.Popen(command, env={**os.environ, "ROS_DOMAIN_ID": str(DOMAIN)})
    try:
        taken = take_all(subscriptions, process)
    finally:
        process.kill()
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert process.returncode == 0
    with BagReader(bag, SOURCES) as reader:
        recorded = list(reader.messages())
    for index, source in enumerate(SOURCES):
        sent = [data for i, _, data in recorded if i == index]
        log_ns = np.array([log_ns for i, log_ns, _ in recorded if i == index])
        reliable = taken[f"{source.name} RELIABLE"]
        assert [data for data, _ in reliable] == sent
        assert {data for data, _ in taken[f"{source.name} BEST_EFFORT"]} <= set(sent)
        assert len(taken[f"{source.name} BEST_EFFORT"]) > 0.9 * len(sent)
        published_ns = np.array([at_ns for _, at_ns in reliable])
        late_s = ((published_ns - published_ns[0]) - (log_ns - log_ns[0]) / rate) * 1e-9
        assert np.median(np.abs(late_s)) < 0.01
        assert abs(np.median(late_s[-50:])) < 0.05  # no drift


def test_says_who_is_missing(bag, monkeypatch):
    monkeypatch.setattr(player, "_MATCH_S", 0.2)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(DOMAIN))
    with pytest.raises(TimeoutError, match=r"/imu: 0 of 1 subscribers came within 0\.2 s"):
        player.play(bag, SOURCES)


def test_refuses_what_it_cannot_play(bag, tmp_path):
    with pytest.raises(ValueError, match="rate is 0, expected above 0"):
        player.play(bag, SOURCES, rate=0.0)
    with pytest.raises(BagError, match="no such bag"):
        player.play(tmp_path / "none", SOURCES)
