"""Messages as CDR bytes, packed by hand, and small bags of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from tao_lora_ros.signal.cdr import FORCE, IMU, JOINT_STATE, WRENCH

ROS2 = get_typestore(Stores.ROS2_JAZZY)
ROS1 = get_typestore(Stores.ROS1_NOETIC)
SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND
PERIOD_NS = 2_000_000  # of the recordings made here: 500 Hz
REST = (0.0, 0.0, 9.81, 0.0, 0.0, 0.0)  # an Imu that lies still
LOAD = (0.0, 0.0, -20.0, 0.0, 0.0, 0.0)  # a wrench under a tool of 2 kg
STD = np.array([0.05, 0.05, 0.05, 0.005, 0.005, 0.005])
WRENCH_STD = np.array([0.2, 0.2, 0.2, 0.01, 0.01, 0.01])


def _pack(stamp_ns: int, frame: str, doubles: Sequence[float], order: str) -> bytes:
    text = frame.encode() + b"\0"
    body = struct.pack(order + "iII", *divmod(stamp_ns, SECOND), len(text)) + text
    body += bytes(-len(body) % 8)
    return bytes([0, order == "<", 0, 0]) + body + struct.pack(f"{order}{len(doubles)}d", *doubles)


def imu(
    stamp_ns: int,
    values: Sequence[float] = REST,
    frame: str = "imu_link",
    order: str = "<",
    accel: bool = True,
    gyro: bool = True,
) -> bytes:
    """An Imu; `accel` and `gyro` say which parts its covariances report."""
    known, unknown = [0.01] * 9, [-1.0] + [0.0] * 8
    doubles = [0.0, 0.0, 0.0, 1.0, *unknown]
    doubles += [*values[3:], *(known if gyro else unknown)]
    doubles += [*values[:3], *(known if accel else unknown)]
    return _pack(stamp_ns, frame, doubles, order)


def wrench(
    stamp_ns: int, values: Sequence[float] = LOAD, frame: str = "ft_link", order: str = "<"
) -> bytes:
    """A WrenchStamped."""
    return _pack(stamp_ns, frame, values, order)


def joint_state(
    stamp_ns: int,
    efforts: Mapping[str, float],
    frame: str = "",
    position: Sequence[float] = (),
    velocity: Sequence[float] = (),
    effort: Sequence[float] | None = None,
    little_endian: bool = True,
) -> bytes:
    """A JointState of these joints, by rosbags; `effort` in place of their own efforts."""
    types: Any = ROS2.types
    stamp = types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, SECOND))
    doubles = (position, velocity, [*efforts.values()] if effort is None else effort)
    message = types[JOINT_STATE](
        types["std_msgs/msg/Header"](stamp, frame),
        [*efforts],
        *(np.array(values, dtype=np.float64) for values in doubles),
    )
    return bytes(ROS2.serialize_cdr(message, JOINT_STATE, little_endian=little_endian))


def force(
    stamp_ns: int, values: Sequence[float] = LOAD, frame: str = "ft_link", order: str = "<"
) -> bytes:
    """A Vector3Stamped of the first three values."""
    return _pack(stamp_ns, frame, values[:3], order)


def bare_wrench(values: Sequence[float] = LOAD, order: str = "<") -> bytes:
    """A Wrench."""
    return bytes([0, order == "<", 0, 0]) + struct.pack(f"{order}6d", *values)


@dataclass(frozen=True)
class Message:
    """One message of a recording; `source` is 0 for the Imu, 1 for the wrench."""

    source: int
    stamp_ns: int
    data: bytes


def motion(
    seconds: float,
    impacts_s: Iterable[float] = (),
    seed: int = 0,
    start_ns: int = START_NS,
    offset_ns: int = 300_000,
) -> list[Message]:
    """An Imu and a wrench at rest with noise, 500 Hz each, and impacts that ring for 20 ms.

    The wrench is stamped `offset_ns` after the Imu.
    """
    rng = np.random.default_rng(seed)
    n = round(seconds * SECOND / PERIOD_NS)
    times = np.arange(n) * PERIOD_NS * 1e-9
    ringing = np.zeros(n)
    for impact in impacts_s:
        after = times - impact
        ringing += (after >= 0) * np.exp(-np.maximum(after, 0.0) / 0.005) * np.cos(800 * after)
    accel = np.array(REST) + STD * (rng.standard_normal((n, 6)) + 60 * ringing[:, None])
    force = np.array(LOAD) + WRENCH_STD * (rng.standard_normal((n, 6)) + 60 * ringing[:, None])
    messages = []
    for i in range(n):
        stamp = start_ns + i * PERIOD_NS
        messages.append(Message(0, stamp, imu(stamp, accel[i])))
        messages.append(Message(1, stamp + offset_ns, wrench(stamp + offset_ns, force[i])))
    return messages


TOPICS = (("/imu", IMU), ("/wrench", WRENCH))


def write_ros2(
    path: Path,
    messages: Iterable[Message],
    topics: Sequence[tuple[str, str]] = TOPICS,
    sqlite: bool = False,
) -> Path:
    """Write a ROS 2 bag; a message's source is its place among the topics."""
    plugin = StoragePlugin.SQLITE3 if sqlite else StoragePlugin.MCAP
    with Writer2(path, version=9, storage_plugin=plugin) as writer:
        connections = [writer.add_connection(*topic, typestore=ROS2) for topic in topics]
        for message in messages:
            writer.write(connections[message.source], message.stamp_ns, message.data)
    return path


def write_ros1(
    path: Path, messages: Iterable[Message], topics: Sequence[tuple[str, str]] = TOPICS
) -> Path:
    """Write a ROS 1 bag of the same messages."""
    with Writer1(path) as writer:
        connections = [writer.add_connection(*topic, typestore=ROS1) for topic in topics]
        for message in messages:
            name = topics[message.source][1]
            data = ROS2.cdr_to_ros1(message.data, name)  # ROS 1's header has a seq
            writer.write(connections[message.source], message.stamp_ns, bytes(data))
    return path


def rosbags_message(name: str, stamp_ns: int, frame: str, values: Sequence[float]) -> Any:
    """An Imu, a WrenchStamped or a Vector3Stamped as rosbags' own class."""
    types: Any = ROS2.types
    stamp = types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, SECOND))
    header = types["std_msgs/msg/Header"](stamp, frame)
    first, second = (types["geometry_msgs/msg/Vector3"](*values[i : i + 3]) for i in (0, 3))
    if name == FORCE:
        return types[FORCE](header, first)
    if name == WRENCH:
        return types[WRENCH](header, types["geometry_msgs/msg/Wrench"](first, second))
    return types[IMU](
        header=header,
        orientation=types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
        orientation_covariance=np.zeros(9),
        angular_velocity=second,
        angular_velocity_covariance=np.zeros(9),
        linear_acceleration=first,
        linear_acceleration_covariance=np.zeros(9),
    )
