"""Sensors in types that no source has become bags, by what the bag says of these types."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import json_of
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from tao_lora_ros.bags.discover import discover
from tao_lora_ros.bags.import_layout import Layout
from tao_lora_ros.bags.importing import import_tables
from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import read_run
from tao_lora_ros.engine.settings import Settings

COUNT, HZ, START_NS = 60, 100.0, 1_700_000_000_000_000_000
VALUES = np.random.default_rng(0).normal(size=(COUNT, 6))
VECTOR = "geometry_msgs/msg/Vector3"
DEFINITIONS = {
    "a/msg/Pack": "std_msgs/Header header\nsensor_msgs/Imu imu\nuint8[] picture\n",
    "a/msg/Combined": "uint64 timestamp\nfloat32[3] gyro_rad\nfloat32[3] accelerometer_m_s2\n",
    "a/msg/State": "float64[7] q\ngeometry_msgs/Wrench ext\nstring label\n",
    "a/msg/Motor": "float32 tau_est\n",
    "a/msg/Low": "float64[3] gyroscope\nfloat64[3] accelerometer\na/Motor[4] motor_state\n",
}
STORE = get_typestore(Stores.ROS2_JAZZY)
for name, text in DEFINITIONS.items():
    STORE.register(get_types_from_msg(text, name))


def new(kind: str, *args: Any, **fields: Any) -> Any:
    return STORE.types[kind](*args, **fields)


def header(number: int, stamped: bool = True) -> Any:
    stamp_ns = (START_NS + round(number * 1e9 / HZ)) * stamped
    stamp = new("builtin_interfaces/msg/Time", *divmod(stamp_ns, 10**9))
    return new("std_msgs/msg/Header", stamp, "link")


def imu(number: int, stamped: bool = True, accel_said: float = 0.0) -> Any:
    none, (accel, gyro) = np.zeros(9), np.split(VALUES[number], 2)
    said = np.array([accel_said, *none[1:]])
    turned, rate = new("geometry_msgs/msg/Quaternion", 0.0, 0.0, 0.0, 1.0), new(VECTOR, *gyro)
    return new(
        "sensor_msgs/msg/Imu", header(number, stamped), turned, none, rate, none,
        new(VECTOR, *accel), said,
    )  # fmt: skip


def pack(number: int, stamped: bool = True) -> Any:
    return new("a/msg/Pack", header(number, stamped), imu(number), np.zeros(5000, np.uint8))


def state(number: int) -> Any:
    force, torque = np.split(VALUES[number], 2)
    wrench = new("geometry_msgs/msg/Wrench", new(VECTOR, *force), new(VECTOR, *torque))
    return new("a/msg/State", np.zeros(7), wrench, "push" if number >= COUNT // 2 else "rest")


def low(number: int) -> Any:
    accel, gyro = np.split(VALUES[number], 2)
    motors = [new("a/msg/Motor", float(joint)) for joint in range(4)]
    return new("a/msg/Low", gyro, accel, motors)


def written(
    bag: Path, topics: dict[str, list[Any]], storage: StoragePlugin = StoragePlugin.MCAP
) -> Path:
    with Writer(bag, version=9, storage_plugin=storage) as writer:
        for topic, messages in topics.items():
            kind = messages[0].__msgtype__
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for number, message in enumerate(messages):
                log_ns = START_NS + round(number * 1e9 / HZ)
                writer.write(connection, log_ns, STORE.serialize_cdr(message, kind))
    return bag


def of_imu(**settings: Any) -> Settings:
    return Settings(wrenches=("",), wrench_lags_s=(0.0,), **settings)


def combined(number: int) -> Any:
    accel, gyro = np.split(VALUES[number].astype(np.float32), 2)
    return new("a/msg/Combined", number * 10_000, gyro, accel)


def vectors(part: int) -> list[Any]:
    kind = "geometry_msgs/msg/Vector3Stamped"
    return [new(kind, header(i), new(VECTOR, *np.split(v, 2)[part])) for i, v in enumerate(VALUES)]


@pytest.mark.parametrize(
    "topics",
    [
        {"/pack": list(map(pack, range(COUNT)))},
        {"/pack": [pack(number, stamped=False) for number in range(COUNT)]},
        {"/fmu/out/sensor_combined": list(map(combined, range(COUNT)))},
        {"/imu/acceleration": vectors(0), "/imu/angular_velocity": vectors(1)},
        {"/lowstate": list(map(low, range(COUNT)))},
    ],
    ids=["in another", "no stamps", "arrays", "vectors", "beside motors"],
)
def test_an_imu_in_other_types_reads_back(tmp_path: Path, topics: dict[str, list[Any]]) -> None:
    source = written(tmp_path / "run", topics)
    (found,) = import_tables([source], tmp_path / "bags", Layout())
    assert found.bag == tmp_path / "bags" / "run"
    run = read_run(found.bag, of_imu(), HZ)
    np.testing.assert_allclose(run.values, VALUES, atol=1e-6)


# Fields of a time, and what they hold where `t` seconds have passed since the robot's start.
CLOCKS: dict[str, tuple[str, Any]] = {
    "timestamp in us": ("uint64 timestamp", lambda t: [round(t * 1e6)]),
    "timestamp in ns since 1970": ("int64 timestamp", lambda t: [START_NS + round(t * 1e9)]),
    "t": ("float64 t", lambda t: [t]),
    "time": ("float64 time", lambda t: [100.0 + t]),
    "stamp_us": ("uint32 stamp_us", lambda t: [7 + round(t * 1e6)]),
    "time_boot_ms": ("uint32 time_boot_ms", lambda t: [round(t * 1e3)]),
    "tick in ms": ("uint32 tick", lambda t: [round(t * 1e3)]),
    "a time": (
        "builtin_interfaces/Time measured_at",
        lambda t: [new("builtin_interfaces/msg/Time", *divmod(START_NS + round(t * 1e9), 10**9))],
    ),
    "two numbers": ("int32 sec\nuint32 nanosec", lambda t: divmod(round(t * 1e9), 10**9)),
    "among others": (
        "float64 timestamp_ros_rx\nfloat64 timestamp_ros\nuint32 timestamp_raw",
        lambda t: [1.7e9 + t, 1.7e9 + t, round(t * 1e6)],
    ),
    "within another": (
        "builtin_interfaces/Time[1] times",
        lambda t: [[new("builtin_interfaces/msg/Time", *divmod(round(t * 1e9), 10**9))]],
    ),
    "after what is none": (
        "uint32 counter_t\nstring time\nuint64 sample_time",
        lambda t: [0, "now", round(t * 1e6)],
    ),
}
_JITTER_S = np.random.default_rng(1).uniform(0.0, 0.009, COUNT)  # of the way to the log


def clocked(bag: Path, fields: str, clock: Any, drift: float = 0.0, count: int = COUNT) -> Path:
    """A bag of accelerations and rates without header, logged as they came."""
    store, kind = get_typestore(Stores.ROS2_JAZZY), "a/msg/Timed"
    text = f"{fields}\nfloat64[3] accel\nfloat64[3] gyro\n"
    store.register(get_types_from_msg(text, kind))
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/sensor", kind, typestore=store)
        for i in range(count):
            t, late_s = i / HZ, _JITTER_S[i % COUNT]
            message = store.types[kind](*clock(t * (1 + drift)), *np.split(VALUES[i % COUNT], 2))
            log_ns = START_NS + round((t + late_s) * 1e9)
            writer.write(connection, log_ns, store.serialize_cdr(message, kind))
    return bag


@pytest.mark.parametrize("name", CLOCKS)
def test_a_field_of_times_stamps_what_has_no_header(tmp_path: Path, name: str) -> None:
    source = clocked(tmp_path / "run", *CLOCKS[name])
    (found,) = import_tables([source], tmp_path / "bags", Layout())
    (note,) = (note for note in found.notes if "; times by " in note)
    used = note.partition("; times by ")[2].split()[0].rstrip(";")
    assert used not in note.partition("not used: ")[2].split(", ")
    run = read_run(found.bag, of_imu(), HZ)
    np.testing.assert_allclose(run.values, VALUES, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "clock"),
    [
        ("uint32 t", lambda t: [round(t * HZ)]),  # a count
        ("uint64 time", lambda t: [0]),  # never set
        ("uint16 time_ms", lambda t: [round(t * 1e3 + 65_300) % 65_536]),  # overflows
        ("float64 t", lambda t: [np.nan]),
        ("int64 stamp", lambda t: [int(t)]),  # too coarse
        ("uint8 mode", lambda t: [0]),
    ],
    ids=["count", "zero", "overflow", "nan", "coarse", "none"],
)
def test_where_no_field_is_a_clock_the_log_s_times_are_taken_and_that_is_said(
    tmp_path: Path, fields: str, clock: Any
) -> None:
    source = clocked(tmp_path / "run", fields, clock)
    (found,) = import_tables([source], tmp_path / "bags", Layout())
    (note,) = (note for note in found.notes if "; times of the log, no stamps" in note)
    name = fields.split()[1]
    assert (f"no stamps: {'field.' * (name == 'time')}{name} does not go" in note) == (
        name != "mode"
    )
    assert len(read_run(found.bag, of_imu(), HZ).values) >= COUNT - 2


def test_a_clock_that_drifts_is_held_against_the_log_s(tmp_path: Path) -> None:
    """0.1 % in two minutes are 0.12 s, more than any other source would be waited for."""
    source = clocked(tmp_path / "run", *CLOCKS["stamp_us"], drift=1e-3, count=12_000)
    (found,) = import_tables([source], tmp_path / "bags", Layout())
    run = read_run(found.bag, of_imu(), HZ)
    assert len(run.values) == pytest.approx(12_000, abs=2)


def test_a_field_of_times_is_taken_whatever_it_says_where_that_is_asked_for(tmp_path: Path) -> None:
    source = clocked(tmp_path / "run", "uint32 t", lambda t: [round(t * HZ)])
    layout = Layout(renames={"time": "t"}, units={"time": "ms"})
    (found,) = import_tables([source], tmp_path / "bags", layout)
    assert not any("; times" in note for note in found.notes)
    assert len(read_run(found.bag, of_imu(), 1000.0).values) == COUNT


def test_a_wrench_and_its_labels_in_another_type_read_back(tmp_path: Path) -> None:
    source = written(tmp_path / "run", {"/arm": list(map(state, range(COUNT)))})
    ((bag, notes),) = import_tables([source], tmp_path / "bags", Layout())
    run = read_run(bag, Settings(imus=("",), imu_lags_s=(0.0,)), HZ)
    np.testing.assert_allclose(run.values, VALUES, atol=1e-9)
    assert [span.label for span in run.spans] == ["rest", "push"]
    assert "not used: q[0]" in notes[0]


def test_what_was_wanted_is_not_measured(tmp_path: Path) -> None:
    states = list(map(state, range(COUNT)))
    source = written(tmp_path / "run", {"/arm": states, "/arm_command": states})
    ((_, notes),) = import_tables([source], tmp_path / "bags", Layout())
    assert "/arm (a/msg/State): 60 rows" in notes[0]
    assert "/arm_command (a/msg/State, commands by its name, which --topic reads)" in notes[1]
    layout = Layout(topics=("/arm_command",))
    ((_, notes),) = import_tables([source], tmp_path / "commands", layout)
    assert "/arm_command (a/msg/State): 60 rows" in notes[0]


def test_a_replay_tells_what_a_bag_holds_besides(tmp_path: Path) -> None:
    beside = {"/arm": [state(0)], "/low": [low(0)], "/imu/mag": vectors(0), "/cmd": [state(0)]}
    source = written(tmp_path / "run", {"/imu": list(map(imu, range(COUNT))), **beside})
    found = discover(source, Settings(), {})
    assert found.topics == {"imu": "/imu"}
    assert [notice.partition(":  ")[0].split(": ")[1] for notice in found.notices] == [
        "force, torque in /arm (a/msg/State)",
        "accel, effort, gyro in /low (a/msg/Low)",
    ]


def test_efforts_have_the_names_of_their_joints_whichever_messages_bring_them(
    tmp_path: Path,
) -> None:
    none = np.zeros(0)
    states = [
        new("sensor_msgs/msg/JointState", header(i), names, none, none, np.array(efforts))
        for i in range(COUNT)
        for names, efforts in [[(["elbow", "wrist"], [1.0, 2.0]), (["wrist"], [3.0])][i % 2]]
    ]
    source = written(tmp_path / "run", {"/arm": states})
    (found,) = import_tables([source], tmp_path / "bags", Layout())
    assert "effort_elbow, effort_wrist" in found.notes[0]


def test_what_is_not_reported_is_absent(tmp_path: Path) -> None:
    said = [imu(number, accel_said=-1.0) for number in range(COUNT)]
    source = written(tmp_path / "run", {"/imu": said})
    (found,) = import_tables([source], tmp_path / "bags", Layout())
    assert "wx=angular_velocity.x" in found.notes[0]
    assert "linear" not in found.notes[0]


def test_several_topics_of_one_sensor_are_chosen_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packs = list(map(pack, range(COUNT)))
    source = written(tmp_path / "run", {"/a": packs, "/b": packs, "/arm": [state(0), state(1)]})
    out = tmp_path / "bags"
    with pytest.raises(BagError, match=r"/b .*: accel is in .*/a .*too; leave one out .*--topic"):
        list(import_tables([source], out, Layout()))
    with pytest.raises(BagError, match=r"nothing on /c, but on /a, /arm, /b"):
        list(import_tables([source], out, Layout(topics=("/c",))))
    (row,) = json_of("import", source, out=out, topic="/b")["bags"]
    assert "/b (a/msg/Pack): 60 rows" in row["notes"][0]


def test_a_type_without_a_definition_is_named(tmp_path: Path) -> None:
    """An SQLite bag of before Iron holds none."""
    alone = written(tmp_path / "alone", {"/a": [pack(0), pack(1)]}, StoragePlugin.SQLITE3)
    both = {"/a": [pack(0), pack(1)], "/imu": [imu(0), imu(1)]}
    beside = written(tmp_path / "beside", both, StoragePlugin.SQLITE3)
    for bag in (alone, beside):
        with sqlite3.connect(next(bag.glob("*.db3"))) as file:
            file.execute("DELETE FROM message_definitions")
    with pytest.raises(BagError, match=r"alone: no definition of a/msg/Pack: `ros2 bag convert`"):
        list(import_tables([alone], tmp_path / "bags", Layout()))
    ((_, notes),) = import_tables([beside], tmp_path / "bags", Layout())
    assert any("/a (a/msg/Pack, which no definition" in note for note in notes)
