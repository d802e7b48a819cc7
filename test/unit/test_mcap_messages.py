"""Bags of events hold the bytes that rosbags itself would write."""

from pathlib import Path

import pytest
from rosbags.rosbag2 import Writer

from tao_lora_ros.preservation import mcap_messages
from tao_lora_ros.preservation.event_bag import add_topic, bag_writer
from tao_lora_ros.preservation.event_record import Topic
from tao_lora_ros.preservation.mcap_messages import write_messages


def one_by_one(writer: Writer, rows: list) -> None:
    for time_ns, connection, data in rows:
        writer.write(connection, time_ns, data)


def written(folder: Path, write, lengths: list[int]) -> dict[str, bytes]:
    """Files of a bag of two topics with messages of these lengths, by turns."""
    writer = bag_writer(folder / "bag")
    topics = Topic("/imu", "sensor_msgs/msg/Imu", ()), Topic("/wrench", "std_msgs/msg/Empty", ())
    with writer:
        added = [add_topic(writer, topic) for topic in topics]
        rows = [
            (10 + i // 2, added[i % 2], i.to_bytes(2, "little") * (n // 2))
            for i, n in enumerate(lengths)
        ]
        half = len(rows) // 2
        write(writer, rows[:half])
        write(writer, rows[half:])
    return {file.name: file.read_bytes() for file in sorted((folder / "bag").iterdir())}


@pytest.mark.parametrize("lengths", [[], [24], [352, 96] * 40, [400_000] * 7, [0, 1 << 21, 8]])
def test_same_bytes(tmp_path: Path, lengths: list[int]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert written(tmp_path / "a", write_messages, lengths) == written(
        tmp_path / "b", one_by_one, lengths
    )


def test_rosbags_of_another_kind_writes_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    fast = written(tmp_path / "a", write_messages, [96] * 10)
    monkeypatch.setattr(mcap_messages, "_USED", {"renamed"})
    assert written(tmp_path / "b", write_messages, [96] * 10) == fast
