"""Which sources a bag holds, where nobody names them."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from pathlib import Path

import pytest
from recordings import (
    START_NS,
    TOPICS,
    Message,
    force,
    imu,
    joint_state,
    motion,
    write_ros1,
    write_ros2,
)
from rosbags.highlevel import AnyReader

from tao_lora_ros.bags.discover import Discovery, discover
from tao_lora_ros.bags.reader import BagError, BagReader
from tao_lora_ros.bags.rows import grid_rate_hz, measured_rate_hz
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.signal.cdr import FORCE, IMU, JOINT_STATE, WRENCH

MS = 1_000_000
MESSAGES = motion(1.0)
IMUS = [message for message in MESSAGES if message.source == 0]
WRENCHES = [replace(message, source=0) for message in MESSAGES if message.source == 1]


def channels(found: Discovery) -> list[str]:
    return [name for config in source_configs(found.settings) for name in config.channels]


def found_in(bag: Path, **topics: str) -> Discovery:
    found = discover(bag, Settings(), topics)
    with BagReader(bag, source_configs(found.settings), found.topics) as reader:
        assert reader.topics == found.topics  # what was found can be read
    return found


def test_an_imu_and_a_wrench_have_the_default_names(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES)
    found = found_in(bag)
    assert found.settings == Settings()
    assert found.topics == {"imu": "/imu", "wrench": "/wrench"}
    assert grid_rate_hz(measured_rate_hz(bag, found.settings, found.topics)) == 500.0


@pytest.mark.parametrize("write", [write_ros1, write_ros2])
def test_an_imu_alone(write, tmp_path: Path) -> None:
    found = found_in(
        write(
            tmp_path / ("a.bag" if write is write_ros1 else "a"), IMUS, [("/robot/imu/data", IMU)]
        )
    )
    assert found.topics == {"imu": "/robot/imu/data"}
    assert len(channels(found)) == 6


def test_a_wrench_alone(tmp_path: Path) -> None:
    found = found_in(write_ros2(tmp_path / "bag", WRENCHES, [("/ft", WRENCH)]))
    assert found.topics == {"wrench": "/ft"}
    assert channels(found)[0] == "wrench.force_x"


def test_four_feet_are_named_as_their_topics(tmp_path: Path) -> None:
    topics = [(f"/{side}/foot", WRENCH) for side in ("fl", "fr", "rl", "rr")]
    feet = [
        Message(at, m.stamp_ns, m.data.replace(b"ft_link", f"ft_lin{at}".encode()))
        for m in WRENCHES
        for at in range(4)
    ]
    found = found_in(write_ros2(tmp_path / "bag", feet, topics))
    assert list(found.settings.wrenches) == ["fl/foot", "fr/foot", "rl/foot", "rr/foot"]
    assert len(channels(found)) == 24


def test_efforts_alone_and_only_those_that_are_measured(tmp_path: Path) -> None:
    states = [
        Message(0, stamp, joint_state(stamp, {"wheel": 0.0, "elbow": 1.5, "a.b": 2.0, "n": nan}))
        for stamp in range(START_NS, START_NS + 500 * MS, 5 * MS)
    ]
    bag = write_ros2(tmp_path / "bag", states, [("/joint_states", JOINT_STATE)])
    found = found_in(bag)
    assert channels(found) == ["joint_states.effort_elbow"]
    assert grid_rate_hz(measured_rate_hz(bag, found.settings, found.topics)) == 200.0


def test_beside_an_imu_efforts_are_left_out(tmp_path: Path) -> None:
    states = [
        Message(1, stamp, joint_state(stamp, {"elbow": 1.5}))
        for stamp in range(START_NS, START_NS + 500 * MS, 5 * MS)
    ]
    topics = [("/imu", IMU), ("/joint_states", JOINT_STATE)]
    found = found_in(write_ros2(tmp_path / "bag", [*IMUS, *states], topics))
    assert found.topics == {"imu": "/imu"}


def test_a_vector_is_a_force_where_its_topic_says_so(tmp_path: Path) -> None:
    vectors = [Message(at, m.stamp_ns, force(m.stamp_ns)) for m in IMUS for at in (0, 1)]
    topics = [("/magnetic_field", FORCE), ("/tool/force", FORCE)]
    found = found_in(write_ros2(tmp_path / "bag", vectors, topics))
    assert found.topics == {"wrench": "/tool/force"}
    assert found.settings.wrench_types == ("Vector3Stamped",)


def test_one_sensor_on_two_topics_is_asked_for(tmp_path: Path) -> None:
    both = [Message(at, m.stamp_ns, imu(m.stamp_ns)) for m in IMUS for at in (0, 1)]
    bag = write_ros2(tmp_path / "bag", both, [("/imu/data", IMU), ("/imu/data_raw", IMU)])
    with pytest.raises(BagError, match=r"/imu/data, /imu/data_raw; choose with --topic imu=TOPIC"):
        discover(bag, Settings(), {})
    assert found_in(bag, imu="/imu/data_raw").topics == {"imu": "/imu/data_raw"}


def test_a_choice_that_is_not_there_is_named(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES)
    with pytest.raises(BagError, match=r"no topic /none; there are: /imu, /wrench"):
        discover(bag, Settings(), {"imu": "/none"})


def test_a_bag_without_any_says_what_is_there(tmp_path: Path) -> None:
    states = [Message(1, m.stamp_ns, joint_state(m.stamp_ns, {"wheel": nan})) for m in IMUS]
    topics = [("/magnetic_field", FORCE), ("/joint_states", JOINT_STATE)]
    bag = write_ros2(tmp_path / "bag", [*IMUS, *states], topics)
    with pytest.raises(BagError, match=rf"no Imu, no wrench.*import.*/magnetic_field \({FORCE}\)"):
        discover(bag, Settings(), {})


def test_files_that_were_renamed_are_read(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES, TOPICS, sqlite=True)
    (file,) = bag.glob("*.db3")
    file.rename(bag / "other.db3")
    assert found_in(bag).topics == {"imu": "/imu", "wrench": "/wrench"}


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("sparkfun_razor.bag", "/imu/data_raw"),
        ("phidgets_imu_upside_down.bag", "/imu/data_raw"),
        ("rl_test2.bag", "/imu/data"),
    ],
)
def test_foreign_bags(data_folder: Path, name: str, topic: str) -> None:
    assert found_in(data_folder / "bags" / name).topics == {"imu": topic}


def test_of_a_bag_that_is_damaged_within_sources_are_found_and_its_reader_says_it(
    tmp_path: Path,
) -> None:
    (file,) = write_ros2(tmp_path / "bag", MESSAGES).glob("*.mcap")
    data = bytearray(file.read_bytes())
    data[5000:5200] = bytes(200 * [255])
    file.write_bytes(data)
    found = found_in(tmp_path / "bag")
    reading = BagReader(tmp_path / "bag", source_configs(found.settings), found.topics)
    with reading as reader, pytest.raises(BagError, match="damaged bag"):
        list(reader.messages())


def test_where_no_message_can_be_parsed_a_long_bag_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = [Message(at, m.stamp_ns, m.data[:40]) for m in IMUS for at in (0, 1)]
    bag = write_ros2(tmp_path / "bag", short, [("/left", IMU), ("/right", IMU)])
    parsed: list[object] = []
    monkeypatch.setattr(
        AnyReader, "deserialize", lambda *message: parsed.append(message[1]) or 1 / 0
    )
    assert set(found_in(bag).topics.values()) == {"/left", "/right"}
    assert 0 < len(parsed) < len(IMUS)


@pytest.mark.parametrize("effort", [0.0, nan])
def test_efforts_that_are_none_are_named(tmp_path: Path, effort: float) -> None:
    states = [Message(0, m.stamp_ns, joint_state(m.stamp_ns, {"elbow": effort})) for m in IMUS]
    bag = write_ros2(tmp_path / "bag", states, [("/joint_states", JOINT_STATE)])
    with pytest.raises(
        BagError, match="no joint with an effort, all of /joint_states are 0, NaN or"
    ):
        discover(bag, Settings(), {})
