"""Types that rosbags does not know come from the .msg files of installed packages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from event_records import event
from rosbags.highlevel import AnyReader

from tao_lora_ros.messages.raw_data import RawMessages
from tao_lora_ros.preservation.event_bag import read_bag, write_bag
from tao_lora_ros.preservation.event_record import StoreError, Topic
from tao_lora_ros.preservation.message_types import learn_type, message_types

FILES = {
    "State": "std_msgs/Header header\nPart[2] parts\nother_msgs/Grip[<=3] grips\nuint8 OPEN=1\n",
    "Part": "float32 force  # N\nstring<=8 name\n",
    "Hollow": "no_such_msgs/Thing thing\n",
    "Broken": "float64 = = 3\n",
}


@pytest.fixture(autouse=True)
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package `grip_msgs`, and one that it takes a type from."""
    for package, files in (
        ("grip_msgs", FILES),
        ("other_msgs", {"Grip": "bool closed\ngeometry_msgs/Pose pose\n"}),
    ):
        folder = tmp_path / "share" / package / "msg"
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / f"{name}.msg").write_text(text)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))


def test_a_type_is_learned_with_all_that_it_consists_of(tmp_path: Path) -> None:
    learn_type("grip_msgs/msg/State")
    learn_type("grip_msgs/msg/State")
    definition, _ = message_types().generate_msgdef("grip_msgs/msg/State", ros_version=2)
    for part in ("grip_msgs/Part", "other_msgs/Grip", "std_msgs/Header"):
        assert f"MSG: {part}" in definition
    messages = RawMessages(np.array([5, 6]), (b"\0\1\0\0any", b"\0\1\0\0thing"))
    record = event()
    topic = Topic("/grip", "grip_msgs/msg/State")
    whole = type(record)(record.event, record.published, (*record.received, (topic, messages)))
    write_bag([whole], tmp_path / "bag")
    found, read = read_bag(tmp_path / "bag").received[-1]
    assert (found, read.data) == (topic, messages.data)
    with AnyReader([tmp_path / "bag"]) as reader:
        (grip,) = (c for c in reader.connections if c.topic == "/grip")
        assert grip.msgdef.data == definition


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("grip_msgs/msg/None", "no file share/grip_msgs/msg/None.msg"),
        ("grip_msgs/msg/Hollow", "no file share/no_such_msgs/msg/Thing.msg"),
        ("grip_msgs/msg/Broken", "the definition of grip_msgs/msg/Broken cannot be read"),
    ],
)
def test_what_is_not_known_here_is_refused_by_name(name: str, reason: str) -> None:
    for _ in range(2):  # what was learned in part is not kept
        with pytest.raises(StoreError, match=reason):
            learn_type(name)
    assert name not in message_types().fielddefs
