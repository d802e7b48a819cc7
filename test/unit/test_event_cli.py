"""`tao-lora events` as a user meets it."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
from commands import tao_lora
from event_records import MS, T0, assert_equal, event, raw

from tao_lora_ros.preservation.event_bag import read_bag
from tao_lora_ros.preservation.event_export import export_csv, merged
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.signal.cdr import IMU, WRENCH


@pytest.fixture
def folder(tmp_path):
    """Two events 30 ms apart, whose stretches overlap, and one without label or gyroscope."""
    alone = raw("imu", IMU, T0 + np.arange(980, 987) * MS, 2)
    alone.values[:, 3:] = np.nan
    beside = raw("wrench", WRENCH, alone.stamps_ns, 3)
    bare = event(2, onset_ns=T0 + 1000 * MS, label="", sources=(alone, beside))
    with EventStore(tmp_path / "store", 2**30, 0) as store:
        first = event(0)
        store.append(first)
        tails = [_tail(r, 20) for r in first.event.raw]
        store.append(event(1, onset_ns=T0 + 30 * MS, sources=tails))
        store.append(bare)
    return tmp_path / "store"


def _tail(source, count):
    return replace(source, stamps_ns=source.stamps_ns[-count:], values=source.values[-count:])


def test_list(folder, capsys):
    assert tao_lora("events", "list", store=folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["number", "onset", "(UTC)"]
    assert re.search(
        r"^1 +2023-11-14 22:13:20\.000  0\.020 s +3\.25 +blow +12\.5 N +- +impact +\d+ KiB +"
        r"imu\.accel_x 75%, wrench\.force_z 25%$",
        lines[1],
    )
    assert " unknown " in lines[3]
    assert re.match(r"3 events, \d+ KiB, ", lines[4])


def test_list_of_an_empty_store(tmp_path, capsys):
    EventStore(tmp_path).close()
    assert tao_lora("events", "list", store=tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 events, 0 KiB")


def test_store_is_where_ros_keeps_its_state(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ROS_HOME", str(tmp_path))
    EventStore(tmp_path / "tao_lora" / "events").close()
    assert tao_lora("events", "list") == 0


def test_show(folder, capsys):
    assert tao_lora("events", "show", 3, store=folder) == 0
    out = capsys.readouterr().out
    assert "event     3, number 2 of its run, frame imu_link" in out
    assert "topic     /robot/imu (sensor_msgs/msg/Imu): 7 messages" in out
    assert "topic     /robot/ft/wrench (geometry_msgs/msg/WrenchStamped): 7 messages" in out
    assert "source    imu (frame imu_link)" in out
    assert "7 samples, -0.0200 to -0.0140 s from the onset" in out
    assert re.search(r"imu\.gyro_x +not reported", out)
    assert re.search(r"wrench\.force_x +-?\d.* N", out)


def test_export_of_one_is_the_event(folder, tmp_path, capsys):
    assert tao_lora("events", "export", 1, out=tmp_path / "bag", store=folder) == 0
    assert "102 messages of 1 events" in capsys.readouterr().out
    assert_equal(read_bag(tmp_path / "bag"), event(0))


def test_export_holds_shared_samples_once(folder, tmp_path, capsys):
    assert tao_lora("events", "export", 1, 2, 2, out=tmp_path / "bag", store=folder) == 0
    assert "104 messages of 2 events" in capsys.readouterr().out


def test_export_csv(folder, tmp_path):
    assert tao_lora("events", "export", 1, 2, 3, csv=tmp_path / "csv", store=folder) == 0
    assert sorted(f.name for f in (tmp_path / "csv").iterdir()) == ["imu.csv", "wrench.csv"]
    with (tmp_path / "csv" / "imu.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:2] == ["stamp_ns", "imu.accel_x [m/s^2]"]
    source = event(0).event.raw[0]
    assert [int(row[0]) for row in rows[:50]] == source.stamps_ns.tolist()
    assert [[float(v) for v in row[1:]] for row in rows[:50]] == source.values.tolist()
    assert rows[50][4:] == ["", "", ""]
    assert len(rows) == 57


def test_export_csv_of_odd_names(tmp_path):
    one = raw("/arm/left", IMU, T0 + np.arange(3))
    record = event()
    two = replace(record.event, raw=(one, replace(one, frame_id="other")))
    record = replace(record, event=two)
    files = export_csv([record], tmp_path)
    assert [file.name for file in files] == ["arm_left.csv", "arm_left_2.csv"]


def test_samples_that_events_share_are_in_the_csv_once():
    whole = raw("imu", IMU, T0 + np.arange(10) * MS)
    whole.values[4] = np.nan
    first, second = (
        replace(whole, stamps_ns=whole.stamps_ns[s], values=whole.values[s])
        for s in (slice(0, 7), slice(3, 10))
    )
    (union,) = merged([second, first])
    np.testing.assert_array_equal(union.stamps_ns, whole.stamps_ns)
    np.testing.assert_array_equal(union.values, whole.values)


def test_other_values_at_one_stamp_are_kept():
    """Simulated time starts over: the same stamps, another run."""
    stamps = T0 + np.arange(4) * MS
    (union,) = merged([raw("imu", IMU, stamps, 1), raw("imu", IMU, stamps, 2)])
    assert len(union.stamps_ns) == 2 * len(stamps)


def test_plot(folder, tmp_path):
    assert tao_lora("events", "plot", 3, out=tmp_path / "event.html", store=folder) == 0
    page = (tmp_path / "event.html").read_text()
    assert "imu in imu_link" in page
    assert "Acceleration" in page
    assert "Angular velocity" not in page  # not reported


def test_verify(folder, capsys):
    assert tao_lora("events", "verify", store=folder) == 0
    assert capsys.readouterr().out == "3 events checked, 0 damaged\n"
    (mcap,) = folder.glob("events/000002_*/*.mcap")
    mcap.write_bytes(mcap.read_bytes()[:-100])
    assert tao_lora("events", "verify", store=folder) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{mcap.parent}: the mcap file is not what was written (SHA-256 differs)"
    assert out[1] == "3 events checked, 1 damaged"
