"""Messages of ROS 1 and ROS 2 bags as CDR; what cannot be read is named."""

from __future__ import annotations

import os
from dataclasses import replace
from math import inf
from pathlib import Path
from random import Random

import pytest
from mcap.writer import Writer as McapWriter
from recordings import (
    ROS2,
    START_NS,
    TOPICS,
    Message,
    bare_wrench,
    force,
    imu,
    motion,
    write_ros1,
    write_ros2,
)

from tao_lora_ros.bags.reader import WHOLE, BagError, BagReader
from tao_lora_ros.signal.cdr import BARE_WRENCH, DECODERS, FORCE, IMU, WRENCH
from tao_lora_ros.signal.source import SourceConfig

SOURCES = [SourceConfig("imu", IMU), SourceConfig("wrench", WRENCH)]
MESSAGES = motion(0.1)


def refusal(path: Path, topics: dict[str, str] | None = None) -> str:
    with pytest.raises(BagError) as caught, BagReader(path, SOURCES, topics) as reader:
        list(reader.messages())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("sqlite", [False, True])
def test_a_ros_2_bag_gives_the_bytes_that_went_in(tmp_path: Path, sqlite: bool) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES, sqlite=sqlite)
    with BagReader(bag, SOURCES) as reader:
        assert reader.topics == {"imu": "/imu", "wrench": "/wrench"}
        assert reader.message_count == len(MESSAGES)
        assert reader.duration_s == pytest.approx(0.0983, abs=1e-6)
        read = list(reader.messages())
    assert read == [(m.source, m.stamp_ns, m.data) for m in MESSAGES]
    assert all(type(data) is bytes for _, _, data in read)


def test_a_ros_2_bag_may_be_named_by_its_file(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES)
    (file,) = bag.glob("*.mcap")
    with BagReader(file, SOURCES) as reader:
        assert len(list(reader.messages())) == len(MESSAGES)


def test_a_ros_1_bag_is_converted(tmp_path: Path) -> None:
    bag = write_ros1(tmp_path / "one.bag", MESSAGES)
    with BagReader(bag, SOURCES) as reader:
        read = list(reader.messages())
    assert [(source, log_ns) for source, log_ns, _ in read] == [
        (m.source, m.stamp_ns) for m in MESSAGES
    ]
    for message, (source, _, data) in zip(MESSAGES, read, strict=True):
        decode = DECODERS[TOPICS[source][1]]
        expected, sample = decode(message.data), decode(data)
        assert sample.stamp_ns == expected.stamp_ns
        assert sample.frame_id == expected.frame_id
        assert sample.values.tolist() == expected.values.tolist()


def test_a_topic_of_another_name_is_found_by_its_type(tmp_path: Path) -> None:
    topics = (("/imu/data_raw", IMU), ("/ft", WRENCH))
    with BagReader(write_ros2(tmp_path / "bag", MESSAGES, topics), SOURCES) as reader:
        assert reader.topics == {"imu": "/imu/data_raw", "wrench": "/ft"}
        assert [source for source, _, _ in reader.messages()] == [m.source for m in MESSAGES]


@pytest.mark.parametrize(("write", "name"), [(write_ros1, "one.bag"), (write_ros2, "bag")])
def test_types_of_wrenches_are_told_apart(tmp_path: Path, write, name: str) -> None:
    topics = (("/a", FORCE), ("/b", BARE_WRENCH), ("/c", WRENCH))
    data = force(START_NS), bare_wrench()
    messages = [Message(i, START_NS + i, raw) for i, raw in enumerate(data)]
    sources = [SourceConfig("foot", FORCE), SourceConfig("hand", BARE_WRENCH)]
    with BagReader(write(tmp_path / name, messages, topics), sources) as reader:
        assert reader.topics == {"foot": "/a", "hand": "/b"}
        assert [topic.name for topic in reader.recorded] == ["/a", "/b"]
        assert [topic.msgtype for topic in reader.recorded] == [FORCE, BARE_WRENCH]
        read = list(reader.messages())
    assert read == [(0, START_NS, data[0]), (1, START_NS + 1, data[1])]


TWO_IMUS = (("/a", IMU), ("/wrench", WRENCH), ("/b", IMU))


def test_several_topics_of_a_type_want_a_choice(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES, TWO_IMUS)
    assert refusal(bag) == (
        f"{bag}: several topics of type {IMU}: /a, /b; choose with --topic imu=TOPIC"
    )


def test_the_choice_is_followed(tmp_path: Path) -> None:
    stamp = MESSAGES[0].stamp_ns
    other = Message(2, stamp, imu(stamp, [1, 2, 3, 4, 5, 6]))
    bag = write_ros2(tmp_path / "bag", [*MESSAGES, other], TWO_IMUS)
    with BagReader(bag, SOURCES, {"imu": "/b"}) as reader:
        assert reader.topics == {"imu": "/b", "wrench": "/wrench"}
        assert reader.message_count == len(MESSAGES) // 2 + 1
        assert [data for source, _, data in reader.messages() if source == 0] == [other.data]


def test_a_topic_of_the_sources_name_needs_no_choice(tmp_path: Path) -> None:
    topics = (("/other", IMU), ("/wrench", WRENCH), ("/imu", IMU))
    with BagReader(write_ros2(tmp_path / "bag", MESSAGES, topics), SOURCES) as reader:
        assert reader.topics["imu"] == "/imu"


def test_a_chosen_topic_that_is_not_there_is_refused(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES)
    for topic in ("/nothing", "/wrench"):  # the other one is there, of another type
        assert refusal(bag, {"imu": topic}) == (
            f"{bag}: no topic {topic} of type {IMU}; there are: /imu ({IMU}), /wrench ({WRENCH}); "
            "where it has another name in each bag: --topic imu=ONE,OTHER"
        )


def test_a_choice_for_an_unknown_source_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, {"camera": "/imu"}) == "no source is called 'camera'"


def test_a_bag_without_the_topics_says_what_is_there(tmp_path: Path) -> None:
    imus = [m for m in MESSAGES if m.source == 0]
    bag = write_ros2(tmp_path / "bag", imus, TOPICS[:1])
    assert refusal(bag) == (
        f"{bag}: no topic of type {WRENCH} for source 'wrench'; there are: /imu ({IMU})"
        "; a parameter file (--params-file) names the sources there are"
    )


def test_an_empty_bag_says_so(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", [], [])
    assert "for source 'imu'; there are: none" in refusal(bag)


def test_two_sources_do_not_share_a_topic(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES)
    with pytest.raises(BagError, match="two sources read one topic: /imu, /imu"):
        BagReader(bag, [SourceConfig("imu", IMU), SourceConfig("second", IMU)])


def test_a_missing_bag_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == f"{tmp_path / 'none'}: no such bag"


@pytest.mark.parametrize("name", ["a.bag", "a.mcap", "a.db3", "a.txt"])
@pytest.mark.parametrize("data", [b"", b"nothing of the kind" * 100])
def test_a_file_that_is_no_bag_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert refusal(tmp_path / name).startswith(f"{tmp_path / name}: ")


def test_a_folder_that_is_no_bag_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith(f"{tmp_path}: no bag in this folder, expected ")


@pytest.mark.parametrize("kind", ["mcap", "sqlite", "ros1"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_bag_is_refused(tmp_path: Path, kind: str, kept: float) -> None:
    if kind == "ros1":
        bag = file = write_ros1(tmp_path / "one.bag", MESSAGES)
    else:
        bag = write_ros2(tmp_path / "bag", MESSAGES, sqlite=kind == "sqlite")
        (file,) = (path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * kept)])
    message = refusal(bag)
    assert message.startswith((f"{bag}: not a readable bag: ", f"{bag}: damaged bag: "))


def test_endless_metadata_is_refused_unread(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES)
    os.truncate(bag / "metadata.yaml", 1 << 40)
    assert refusal(bag) == f"{bag}/metadata.yaml: {1 << 40} bytes, expected {1 << 24} at most"


@pytest.mark.parametrize("text", ["", "not: a bag", "{", "rosbag2_bagfile_information: 5"])
def test_bad_metadata_is_refused(tmp_path: Path, text: str) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES)
    (bag / "metadata.yaml").write_text(text)
    assert refusal(bag).startswith(f"{bag}: not a readable bag: ")


def outcome(path: Path, part_s: tuple[float, float], in_blocks: bool) -> list | str:
    try:
        with BagReader(path, SOURCES, part_s=part_s) as reader:
            if not in_blocks:
                return list(reader.messages())
            return [b.message(i) for b in reader.blocks() for i in range(len(b))]
    except BagError as error:
        return str(error)


@pytest.mark.parametrize("part_s", [WHOLE, (0.02, inf), (0.02, 0.06)])
@pytest.mark.parametrize("order", ["as sent", "shuffled"])
@pytest.mark.parametrize("sqlite", [False, True])
def test_blocks_hold_what_messages_are(
    tmp_path: Path, part_s: tuple[float, float], order: str, sqlite: bool
) -> None:
    messages = list(MESSAGES)
    if order == "shuffled":
        Random(0).shuffle(messages)
    bag = write_ros2(tmp_path / "bag", messages, sqlite=sqlite)
    expected = outcome(bag, part_s, in_blocks=False)
    assert isinstance(expected, list)
    assert len(expected) == len(MESSAGES) or part_s != WHOLE
    read = outcome(bag, part_s, in_blocks=True)
    assert [(source, log_ns, data) for source, data, log_ns in read] == expected


def test_blocks_of_a_damaged_bag_say_what_messages_say(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES[:20])
    (file,) = bag.glob("*.mcap")
    whole, random = file.read_bytes(), Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[random.randrange(len(whole))] = random.randrange(256)
        file.write_bytes(damaged)
        expected, read = (outcome(file, WHOLE, in_blocks) for in_blocks in (False, True))
        if isinstance(expected, str):
            assert read == expected
            refused += 1
        else:
            assert [(source, log_ns, data) for source, data, log_ns in read] == expected
    assert refused > 10


def test_topics_in_other_encodings_are_no_hindrance(tmp_path: Path) -> None:
    """An mcap may hold JSON and Protobuf beside what ROS wrote."""
    text, _ = ROS2.generate_msgdef(IMU, ros_version=2)
    with (tmp_path / "bag.mcap").open("wb") as file:
        writer = McapWriter(file)
        writer.start("ros2", "test")
        kinds = ((IMU, "ros2msg", text.encode(), "cdr"), ("Event", "jsonschema", b"{}", "json"))
        ours, other = (
            writer.register_channel(f"/{at}", encoding, writer.register_schema(name, kind, data))
            for at, (name, kind, data, encoding) in enumerate(kinds)
        )
        for message in MESSAGES[::2]:
            writer.add_message(ours, message.stamp_ns, message.data, message.stamp_ns)
            writer.add_message(other, message.stamp_ns, b"{}", message.stamp_ns)
        writer.finish()
    with BagReader(tmp_path / "bag.mcap", [SourceConfig("imu", IMU)]) as reader:
        assert [data for *_, data in reader.messages()] == [m.data for m in MESSAGES[::2]]


@pytest.mark.parametrize("sqlite", [False, True])
def test_messages_of_another_type_on_a_topic_are_no_ones(tmp_path: Path, sqlite: bool) -> None:
    """A driver was replaced by another in the middle of a recording."""
    bare = [Message(1, m.stamp_ns, bare_wrench()) for m in MESSAGES[51::2]]
    kinds = [("/wrench", WRENCH), ("/wrench", BARE_WRENCH)]
    stamped = [replace(m, source=0) for m in MESSAGES[1:50:2]]
    bag = write_ros2(tmp_path / "bag", [*stamped, *bare], kinds, sqlite)
    with BagReader(bag, [SourceConfig("wrench", WRENCH)]) as reader:
        assert [data for *_, data in reader.messages()] == [m.data for m in stamped]
        assert sum(len(block) for block in reader.blocks()) == len(stamped)
        assert reader.damage == (
            f"{bag}: /wrench: {len(bare)} messages of type {BARE_WRENCH} are not read"
        )


def test_a_folder_that_is_called_as_a_file_of_ros_1_is_read(tmp_path: Path) -> None:
    bag = tmp_path / "gait.bag"
    write_ros2(bag, MESSAGES)
    with BagReader(bag, SOURCES) as reader:
        assert len(list(reader.messages())) == len(list(MESSAGES))
