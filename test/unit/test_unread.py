"""A damaged bag says what it holds and did not give, whatever was damaged and whoever reads it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import json_of
from recordings import ROS2, Message, motion, write_ros1, write_ros2
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from tao_lora_ros.bags.labels import STRING, topic_labels
from tao_lora_ros.bags.reader import BagError, BagReader
from tao_lora_ros.bags.rows import read_run
from tao_lora_ros.bags.unread import Unread
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.source import SourceConfig

SOURCES = [SourceConfig("imu", IMU), SourceConfig("wrench", WRENCH)]
MESSAGES = motion(3.0)
HELD = len(MESSAGES) // 2  # of each source


def mcap_of(bag: Path) -> Path:
    return next(bag.glob("*.mcap"))


def lose_messages(bag: Path) -> None:
    """Zeros over the heads of two messages: what comes after them goes with them."""
    data = bytearray(mcap_of(bag).read_bytes())
    for part in (4, 2):
        at = data.index(b"imu_link", len(data) // part)
        data[at - 200 : at + 200] = bytes(400)
    mcap_of(bag).write_bytes(data)


def lose_rows(bag: Path) -> None:
    with sqlite3.connect(next(bag.glob("*.db3"))) as base:
        base.execute("DELETE FROM messages WHERE id % 3 = 0 AND topic_id = 1")


def forge_metadata(bag: Path) -> None:
    file = bag / "metadata.yaml"
    file.write_text(file.read_text().replace(f"message_count: {HELD}", "message_count: 2000", 1))


def damaged(tmp_path: Path, sqlite: bool, damage: Callable[[Path], None]) -> Path:
    bag = write_ros2(tmp_path / "bag", MESSAGES, sqlite=sqlite)
    damage(bag)
    return bag


def read(bag: Path) -> tuple[int, BagReader]:
    with BagReader(bag, SOURCES) as reader:
        return sum(1 for _ in reader.messages()), reader


@pytest.mark.parametrize(
    ("sqlite", "damage"), [(False, lose_messages), (True, lose_rows), (True, forge_metadata)]
)
def test_what_a_bag_holds_and_did_not_give_is_told(tmp_path: Path, sqlite: bool, damage) -> None:
    bag = damaged(tmp_path, sqlite, damage)
    count, reader = read(bag)
    assert 0 < sum(topic.read for topic in reader.unread) <= count
    for topic in reader.unread:
        assert topic.read < topic.expected
        assert f"{topic.topic}: {topic.read} of {topic.expected} messages read" in reader.damage
    assert reader.damage.startswith(f"{bag}: damaged bag: ")
    assert "to mend it: " in reader.damage


def test_a_whole_bag_says_nothing(tmp_path: Path) -> None:
    for bag in (
        write_ros2(tmp_path / "mcap", MESSAGES),
        write_ros2(tmp_path / "sqlite", MESSAGES, sqlite=True),
        write_ros1(tmp_path / "one.bag", MESSAGES),
    ):
        count, reader = read(bag)
        assert (count, reader.unread, reader.damage) == (len(MESSAGES), [], "")


@pytest.mark.parametrize("mode", [CompressionMode.MESSAGE, CompressionMode.FILE])
@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_compressed_bag_that_lost_messages_tells(tmp_path: Path, mode, plugin) -> None:
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connections = [
            writer.add_connection(f"/{s.name}", s.msgtype, typestore=ROS2) for s in SOURCES
        ]
        for message in MESSAGES[:400]:
            writer.write(connections[message.source], message.stamp_ns, message.data)
    file = tmp_path / "bag" / "metadata.yaml"
    file.write_text(file.read_text().replace("message_count: 200", "message_count: 300", 1))
    assert read(tmp_path / "bag")[1].unread == [Unread("/imu", 200, 300)]


def split(tmp_path: Path) -> Path:
    """A bag in two files, as recorders split them."""
    whole, half = tmp_path / "whole", len(MESSAGES) // 2
    write_ros2(whole, MESSAGES)
    for number, part in enumerate((MESSAGES[:half], MESSAGES[half:])):
        made = write_ros2(tmp_path / f"part{number}", part)
        shutil.copy(mcap_of(made), whole / f"whole_{number}.mcap")
    mcap_of(whole).with_name("whole.mcap").unlink()
    file = whole / "metadata.yaml"
    names = "  - whole_0.mcap\n  - whole_1.mcap"
    file.write_text(file.read_text().replace("  - whole.mcap", names, 1))
    return whole


def test_a_file_of_a_split_bag_that_is_missing_is_named(tmp_path: Path) -> None:
    bag = split(tmp_path)
    assert read(bag)[0] == len(MESSAGES)
    (bag / "whole_1.mcap").unlink()
    count, reader = read(bag)
    assert count == len(MESSAGES) // 2
    assert [topic.expected for topic in reader.unread] == [HELD, HELD]
    assert reader.damage.endswith("its metadata name files that are not there: whole_1.mcap")


def test_what_a_killed_recorder_left_beside_an_sqlite_bag_is_told(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES, sqlite=True)
    file = next(bag.glob("*.db3"))
    with sqlite3.connect(file) as base:
        base.execute("PRAGMA journal_mode = wal")
        base.execute("PRAGMA wal_autocheckpoint = 0")
        base.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (1, 9, 'new')")
        base.commit()
        shutil.copytree(bag, tmp_path / "left")  # what it has open it writes when it closes
    left = tmp_path / "left" / file.name
    for at in (tmp_path / "left", left):
        count, reader = read(at)
        assert count == len(MESSAGES)
        assert reader.damage == (
            f"{at}: {left.name}-wal holds newer messages that are not read; to add them: "
            f"sqlite3 {left} 'PRAGMA wal_checkpoint(TRUNCATE)'"
        )


def test_renamed_files_are_no_damage(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES)
    mcap_of(bag).rename(bag / "other.mcap")
    count, reader = read(bag)
    assert (count, reader.unread) == (len(MESSAGES), [])


def test_nothing_read_is_an_error(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES, sqlite=True)
    with sqlite3.connect(next(bag.glob("*.db3"))) as base:
        base.execute("DELETE FROM messages")
    with pytest.raises(BagError, match=f"/imu: 0 of {HELD} messages read, .* to mend it: sqlite3"):
        read(bag)


def test_a_message_that_is_no_bytes_is_damage(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES, sqlite=True)
    with sqlite3.connect(next(bag.glob("*.db3"))) as base:
        base.execute("PRAGMA writable_schema = 1")
        base.execute("UPDATE sqlite_master SET sql = replace(sql, 'data BLOB NOT NULL', 'data')")
    with sqlite3.connect(next(bag.glob("*.db3"))) as base:
        base.execute("UPDATE messages SET data = NULL WHERE id = 100")
    with pytest.raises(BagError, match="damaged bag"):
        read(bag)


def test_labels_of_a_damaged_topic_are_refused(tmp_path: Path) -> None:
    label = b"\0\1\0\0\4\0\0\0ice\0"
    rows = [Message(0, n * 10**9, label) for n in range(1, 4)]
    bag = write_ros2(tmp_path / "bag", rows, (("/label", STRING),), sqlite=True)
    assert len(topic_labels(bag, "/label")) == 3
    with sqlite3.connect(next(bag.glob("*.db3"))) as base:
        base.execute("DELETE FROM messages WHERE id = 2")
    with pytest.raises(BagError, match="/label: 2 of 3 messages read"):
        topic_labels(bag, "/label")


def test_replay_counts_it_and_the_report_tells(tmp_path: Path, capsys) -> None:
    bag = damaged(tmp_path, False, lose_messages)
    report = tmp_path / "report.html"
    found = json_of("replay", bag, report=report)
    unread = found["unread"]["/imu"]
    assert 0 < unread["read"] < unread["expected"] == HELD
    said = f"/imu: {unread['read']} of {HELD} messages read"
    assert sum(said in notice for notice in found["notices"]) == 1
    assert said in report.read_text()


def test_rows_of_a_damaged_bag_are_warned_of_once(tmp_path: Path, caplog) -> None:
    """Calibrate, train and evaluate read rows."""
    bag = damaged(tmp_path, False, lose_messages)
    for _ in range(2):
        assert len(read_run(bag, Settings(), 500.0).values)
    assert sum("damaged bag" in record.getMessage() for record in caplog.records) == 1
