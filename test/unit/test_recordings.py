"""Bags as memory-mapped rows, and their split by whole runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from recordings import motion, write_ros2
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from tao_lora_ros.bags.labels import labels_file
from tao_lora_ros.bags.reader import BagError, BagReader
from tao_lora_ros.bags.rows import Span, read_run
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.training import recordings
from tao_lora_ros.training.recordings import Reading, read_runs


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """A labelled second."""
    bag = write_ros2(tmp_path / "ice_3", motion(1.0))
    (tmp_path / "ice_3.labels.csv").write_text("start_s,end_s,label\n0.2,0.4,slip\n")
    return bag


def reading(bag: Path, **changes: object) -> Reading:
    return Reading(Settings(), 500.0, cache=bag.parent / "cache", **changes)  # type: ignore[arg-type]


def test_rows_are_the_bags_memory_mapped(bag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "_CHUNK", 64)
    whole = read_run(bag, Settings(), 500.0)
    (run,) = read_runs([bag], reading(bag))
    assert isinstance(run.values.base, np.memmap)
    np.testing.assert_allclose(run.values, whole.values, rtol=1e-6)
    assert run.spans == whole.spans


def test_a_second_reading_does_not_open_the_bag(bag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_runs([bag], reading(bag))[0]
    monkeypatch.setattr(recordings, "read_rows", None)
    again = read_runs([bag], reading(bag))[0]
    np.testing.assert_array_equal(again.values, first.values)


def test_a_changed_bag_is_read_anew(bag: Path) -> None:
    read_runs([bag], reading(bag))
    again = write_ros2(bag.parent / "other", motion(2.0))
    for file in bag.iterdir():
        file.unlink()
    for file in again.iterdir():
        file.rename(bag / file.name)
    assert len(read_runs([bag], reading(bag))[0].values) == 1000


def test_other_code_reads_anew(bag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = reading(bag)
    read_runs([bag], how)
    one = [(0.0, np.zeros(len(how.channels)))]
    monkeypatch.setattr(recordings, "read_rows", lambda *_: iter(one))
    monkeypatch.setattr(recordings, "digest", lambda _: "another")
    assert len(read_runs([bag], how)[0].values) == 1


def test_the_label_can_be_in_the_name(bag: Path) -> None:
    (run,) = read_runs([bag], reading(bag, name_label="^([a-z]+)_"))
    assert run.spans == (Span(0, 500, "ice"),)
    with pytest.raises(BagError, match="its name has no group 1"):
        read_runs([bag], reading(bag, name_label="^snow"))


def test_a_name_that_tells_no_label_leaves_it_to_the_file_beside_and_is_said(
    bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = bag.with_name("yard")
    shutil.copytree(bag, other)
    labels_file(other).write_text("start_s,end_s,label\n0,0.5,snow\n")
    named, beside = read_runs([bag, other], reading(bag, name_label="^([a-z]+)_"))
    assert {span.label for span in named.spans} == {"ice"}
    assert {span.label for span in beside.spans} == {"snow", "free"}
    assert "labelled otherwise than by name, or not at all: yard" in capsys.readouterr().err


def test_a_bag_that_is_given_twice_is_refused(bag: Path) -> None:
    with pytest.raises(BagError, match="given twice"):
        read_runs([bag, bag.parent / "." / bag.name], reading(bag))


def test_labels_can_be_published(tmp_path: Path) -> None:
    """Four strings: one before the motion counts, the last holds to the end, an empty one frees."""
    store = get_typestore(Stores.ROS2_JAZZY)
    string = store.types["std_msgs/msg/String"]
    bag = write_ros2(tmp_path / "plain", motion(1.0))
    with BagReader(bag, source_configs(Settings())) as reader:
        messages = [(index, log_ns, data) for index, log_ns, data in reader.messages()]
    first_ns = messages[0][1]
    with Writer(tmp_path / "told", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        sources = [
            writer.add_connection(f"/{c.name}", c.msgtype, typestore=store)
            for c in source_configs(Settings())
        ]
        told = writer.add_connection("/surface", "std_msgs/msg/String", typestore=store)
        for index, log_ns, data in messages:
            writer.write(sources[index], log_ns, data)
        for second, label in ((0.2, "ice"), (0.5, ""), (0.6, "snow")):
            data = store.serialize_cdr(string(label), "std_msgs/msg/String")
            writer.write(told, first_ns + round(second * 1e9), data)
    (run,) = read_runs([tmp_path / "told"], reading(tmp_path / "told", label_topic="/surface"))
    names = [(span.label, span.first) for span in run.spans]
    assert [label for label, _ in names[:4]] == ["free", "ice", "free", "snow"]
    assert [first for _, first in names[1:4]] == pytest.approx([100, 250, 300], abs=2)
    with pytest.raises(BagError, match="no topic /floor of type std_msgs/msg/String"):
        read_runs([tmp_path / "told"], reading(tmp_path / "told", label_topic="/floor"))
