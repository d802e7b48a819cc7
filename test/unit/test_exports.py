"""Events and replays in the formats of others, read back by their own readers."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import complaint, json_of, tao_lora
from event_records import MS, T0, event, raw
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from models import small_artifact
from recordings import motion, write_ros2
from rosbags.highlevel import AnyReader

from tao_lora_ros.bags.labels import read_labels
from tao_lora_ros.messages.results import Kind
from tao_lora_ros.model.artifact import save_artifact
from tao_lora_ros.model.label_filter import LabelFilter
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.signal.cdr import IMU, WRENCH


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A labelled blow, one that nobody calls anything, and a contact with a hole in its wrench."""
    stamps = T0 + 999 * MS + np.arange(60) * MS
    holed = raw("wrench", WRENCH, np.delete(stamps, slice(20, 40)), 3)
    with EventStore(tmp_path / "store", 2**30, 0) as opened:
        opened.append(event(0, peak_score=float("nan")))
        opened.append(event(1, onset_ns=T0 + 500 * MS, label=""))
        sources = raw("imu", IMU, stamps, 2), holed
        opened.append(event(2, onset_ns=T0 + 1009 * MS, sources=sources, kind=Kind.LASTING_CONTACT))
    assert tao_lora("events", "label", 1, "door slam", store=tmp_path / "store") == 0
    return tmp_path / "store"


def test_parquet_holds_all_fields_of_all_events(store: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "events.parquet"
    assert tao_lora("events", "export", parquet=file, store=store) == 0
    rows = parquet.read_table(file).to_pylist()
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert [row["label"] for row in rows] == ["door slam", None, "impact"]
    assert [row["model_label"] for row in rows] == ["impact", None, "impact"]
    assert rows[0]["labelled_by"]
    assert rows[0]["peak_score"] is None
    assert rows[0]["peak_force"] == 12.5
    assert rows[2]["kind"] == "lasting contact"
    assert rows[2]["onset_ns"] == T0 + 1009 * MS
    assert rows[0]["channels"] == ["imu.accel_x", "wrench.force_z"]


def test_parquet_without_pyarrow(store: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for option in ("--parquet", "--lerobot"):
        said = complaint(capsys, "events", "export", option, tmp_path / "x", store=store)
        assert said.endswith("pip install pyarrow")


def test_labels_beside_a_bag_are_read_by_training(store: Path, tmp_path: Path, capsys) -> None:
    bag = write_ros2(tmp_path / "bag", motion(0.7, start_ns=T0 - 100 * MS))
    assert tao_lora("events", "export", labels=bag, store=store) == 0
    assert "1 without a label, 1 of other times" in capsys.readouterr().out
    (span,) = read_labels(tmp_path / "bag.labels.csv")
    assert span.label == "door slam"
    assert span.start_s == pytest.approx(0.1, abs=1e-8)
    assert span.end_s == pytest.approx(0.12, abs=1e-8)
    said = complaint(capsys, "events", "export", labels=bag, store=store)
    assert "labels.csv: exists already" in said


def test_lerobot(store: Path, tmp_path: Path) -> None:
    """By the written format; LeRobot's own reader is too large a dependency for a test."""
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "set"
    assert tao_lora("events", "export", lerobot=folder, store=store) == 0
    info = json.loads((folder / "meta" / "info.json").read_text())
    frames = parquet.read_table(folder / info["data_path"].format(chunk_index=0, file_index=0))
    assert (info["codebase_version"], info["fps"]) == ("v3.0", 1000)
    assert info["total_frames"] == frames.num_rows
    assert set(info["features"]) == set(frames.column_names)
    episodes = parquet.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    tasks = parquet.read_table(folder / "meta/tasks.parquet").to_pydict()
    assert tasks["task"] == ["door slam", "unknown", "impact"]
    rows = frames.to_pylist()
    assert [row["index"] for row in rows] == list(range(len(rows)))
    for number, episode in enumerate(episodes):
        own = rows[episode["dataset_from_index"] : episode["dataset_to_index"]]
        assert {row["episode_index"] for row in own} == {number}
        assert [row["frame_index"] for row in own] == list(range(episode["length"]))
        assert own[3]["timestamp"] == pytest.approx(3 / info["fps"])
        assert tasks["task"][own[0]["task_index"]] == episode["tasks"][0]
    first = event(0).event
    state = np.array([row["observation.state"] for row in rows[:50]])
    np.testing.assert_allclose(state[:, :6], first.raw[0].values, rtol=1e-5, atol=1e-6)
    assert [row["event.active"] for row in rows[:50]] == [20 <= n <= 40 for n in range(50)]
    assert {row["event.kind"] for row in rows[episodes[2]["dataset_from_index"] :]} == {0, 3}
    held = np.array([row["observation.state"] for row in rows[-60:]])
    assert np.isfinite(held[:, :6]).all()
    assert np.isnan(held[20:40, 6:]).all()
    assert np.isfinite(held[:20, 6:]).all()
    assert episodes[0]["event/peak_force"] == 12.5


@pytest.fixture
def replayed(tmp_path: Path) -> tuple[Path, Path, dict]:
    bag = write_ros2(tmp_path / "struck", motion(4.0, [3.0], seed=1))
    artifact = replace(small_artifact(), label_filter=LabelFilter(20.0, 1.0, 1.5))
    save_artifact(artifact, tmp_path / "model")
    out = tmp_path / "out"
    return bag, out, json_of("replay", bag, model=tmp_path / "model", out=out)


def test_a_replay_as_a_bag_holds_inputs_and_results(replayed) -> None:
    bag, out, numbers = replayed
    with AnyReader([bag]) as one, AnyReader([out]) as other:
        inputs = [c for c in other.connections if not c.topic.startswith("/tao_lora")]
        left = [(c.topic, t, bytes(data)) for c, t, data in one.messages()]
        right = [(c.topic, t, bytes(data)) for c, t, data in other.messages(inputs)]
        assert left == right
        counts = {c.topic: c.msgcount for c in other.connections}
        assert counts["/tao_lora/inference"] == numbers["inferences"]
        assert counts["/tao_lora/state"] == len(numbers["states"]) > 0
        assert counts["/tao_lora/events"] == counts["/tao_lora/event_samples"] == 2
        assert "/tao_lora/contact_wrench" in counts


def test_readers_of_mcap_decode_it_by_its_own_definitions(replayed) -> None:
    _, out, numbers = replayed
    (file,) = out.glob("*.mcap")
    with file.open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        found = [(c.topic, m.log_time, d) for _, c, m, d in reader.iter_decoded_messages()]
    times = [time for _, time, _ in found]
    assert times == sorted(times)
    *_, end = [message for topic, _, message in found if topic == "/tao_lora/events"]
    first = found[0][2].header.stamp
    onset_s = end.onset.sec - first.sec + (end.onset.nanosec - first.nanosec) * 1e-9
    assert onset_s == pytest.approx(numbers["events"][0]["onset_s"])
    states = [m for topic, _, m in found if topic == "/tao_lora/state"]
    assert [m.labels[0] for m in states] == [state["label"] for state in numbers["states"]]
    inferences = [(time, m) for topic, time, m in found if topic == "/tao_lora/inference"]
    for time, message in inferences:
        stamp_ns = message.window_end.sec * 10**9 + message.window_end.nanosec
        assert 0 <= time - stamp_ns < 50 * MS


def test_an_existing_bag_is_refused_before_work(replayed, tmp_path: Path, capsys) -> None:
    _, out, _ = replayed
    said = complaint(capsys, "replay", tmp_path / "no such bag", out=out)
    assert said.endswith("out: exists already; --force writes over it")


def test_nothing_is_left_of_a_replay_that_fails(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", motion(4.0))
    (file,) = bag.glob("*.mcap")
    save_artifact(small_artifact(), tmp_path / "model")
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    file.write_bytes(data)
    assert tao_lora("replay", bag, model=tmp_path / "model", out=tmp_path / "out") == 1
    assert not (tmp_path / "out").exists()
