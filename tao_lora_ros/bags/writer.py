"""One sensor's recorded messages, and ROS 2 bags of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

_STORE = get_typestore(Stores.ROS2_JAZZY)
_TYPES: Any = _STORE.types  # made at run time: unknown to a type checker


@dataclass(frozen=True)
class SourceRecording:
    """One sensor's messages: stamps_ns [n], increasing, and values [n, 6].

    Values of an IMU: specific force (m/s^2, +9.81 upward at rest, REP-145) and angular rate
    (rad/s); of a wrench: force (N) and torque (Nm) of the tool on the sensor.
    """

    topic: str
    msgtype: str
    frame_id: str
    stamps_ns: NDArray[np.int64]
    values: NDArray[np.float64]


def write_bag(sources: Sequence[SourceRecording], path: Path) -> None:
    """Write an MCAP bag in the folder `path`: log time is the header's stamp, in stamp order."""
    stamps = np.concatenate([source.stamps_ns for source in sources])
    which = np.repeat(np.arange(len(sources)), [len(source.stamps_ns) for source in sources])
    row = np.concatenate([np.arange(len(source.stamps_ns)) for source in sources])
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = [
            writer.add_connection(source.topic, source.msgtype, typestore=_STORE)
            for source in sources
        ]
        for index in np.argsort(stamps, kind="stable"):
            source, stamp_ns = sources[which[index]], int(stamps[index])
            message = _BUILD[source.msgtype](
                _header(stamp_ns, source.frame_id), source.values[row[index]]
            )
            writer.write(
                connections[which[index]],
                stamp_ns,
                _STORE.serialize_cdr(message, source.msgtype),
            )


def _header(stamp_ns: int, frame_id: str) -> Any:
    time = _TYPES["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 1_000_000_000))
    return _TYPES["std_msgs/msg/Header"](time, frame_id)


def _vector(values: NDArray[np.float64]) -> Any:
    return _TYPES["geometry_msgs/msg/Vector3"](*values.tolist())


def _imu(header: Any, values: NDArray[np.float64]) -> Any:
    unknown = np.zeros(9)
    absent = np.array([-1.0, *unknown[1:]])  # sensor_msgs/Imu: this part is not reported
    return _TYPES["sensor_msgs/msg/Imu"](
        header=header,
        orientation=_TYPES["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
        orientation_covariance=absent,
        angular_velocity=_vector(values[3:]),
        angular_velocity_covariance=unknown,
        linear_acceleration=_vector(values[:3]),
        linear_acceleration_covariance=unknown,
    )


def _wrench(header: Any, values: NDArray[np.float64]) -> Any:
    wrench = _TYPES["geometry_msgs/msg/Wrench"](_vector(values[:3]), _vector(values[3:]))
    return _TYPES["geometry_msgs/msg/WrenchStamped"](header, wrench)


_BUILD = {"sensor_msgs/msg/Imu": _imu, "geometry_msgs/msg/WrenchStamped": _wrench}
