"""One sensor's recorded messages, their bytes, and ROS 2 bags of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.messages.cdr_writer import CdrWriter
from tao_lora_ros.messages.files import refuse_existing
from tao_lora_ros.messages.stamps import split_all
from tao_lora_ros.signal.cdr import IMU

_STORE = get_typestore(Stores.ROS2_JAZZY)


@dataclass(frozen=True)
class SourceRecording:
    """One sensor's messages: stamps_ns [n], increasing, and values [n, 6], or [n, joints].

    Values of an IMU: specific force (m/s^2, +9.81 upward at rest, REP-145) and angular rate
    (rad/s); of a wrench: force (N) and torque (Nm) of the tool on the sensor; of a JointState the
    efforts (Nm) of `joints`.
    """

    topic: str
    msgtype: str
    frame_id: str
    stamps_ns: NDArray[np.int64]
    values: NDArray[np.float64]
    joints: tuple[str, ...] = ()


def joined(parts: Sequence[SourceRecording]) -> SourceRecording:
    """One sensor's recordings on end."""
    return replace(
        parts[0],
        stamps_ns=np.concatenate([part.stamps_ns for part in parts]),
        values=np.concatenate([part.values for part in parts]),
    )


def write_bag(sources: Sequence[SourceRecording], path: Path) -> None:
    """Write an MCAP bag in the folder `path`: log time is the header's stamp, in stamp order.

    Raises:
        BagError: there is something of that name.
        OSError: the disk does not take it.
    """
    write_parts([sources], path)


def write_parts(parts: Iterable[Sequence[SourceRecording]], path: Path) -> None:
    """Write a bag as `write_bag` does, of recordings that come part by part.

    Args:
        parts: the next messages of each source, later than those of the last part.
        path: the folder.

    Raises:
        BagError: there is something of that name.
        OSError: the disk does not take it.
    """
    refuse_existing(path, BagError)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: list[Connection] = []
        waiting: list[SourceRecording] = []  # what the next part may hold something before
        for part in parts:
            if not connections:
                connections = [
                    writer.add_connection(source.topic, source.msgtype, typestore=_STORE)
                    for source in part
                ]
            waiting = waiting or [_cut(source, slice(0)) for source in part]
            sources = [joined(pair) for pair in zip(waiting, part, strict=True)]
            newest_ns = [int(s.stamps_ns[-1]) for s in sources if len(s.stamps_ns)]
            until_ns = min(newest_ns, default=0)
            ends = [int(np.searchsorted(s.stamps_ns, until_ns, "right")) for s in sources]
            cuts = list(zip(sources, ends, strict=True))
            _write(writer, connections, [_cut(s, slice(end)) for s, end in cuts])
            waiting = [_cut(s, slice(end, None)) for s, end in cuts]
        _write(writer, connections, waiting)


def _cut(source: SourceRecording, rows: slice) -> SourceRecording:
    return replace(source, stamps_ns=source.stamps_ns[rows], values=source.values[rows])


def _write(
    writer: Writer, connections: Sequence[Connection], sources: Sequence[SourceRecording]
) -> None:
    stamps = np.concatenate([source.stamps_ns for source in sources])
    which = np.repeat(np.arange(len(sources)), [len(source.stamps_ns) for source in sources])
    messages = [message for source in sources for message in serialised(source)]
    for index in np.argsort(stamps, kind="stable"):
        writer.write(connections[which[index]], int(stamps[index]), messages[index].tobytes())


def serialised(source: SourceRecording) -> NDArray[np.uint8]:
    """CDR bytes [n, size] of an Imu's, a WrenchStamped's or a JointState's messages.

    They differ in stamp and values only, so all are laid out at once as one array.
    """
    doubles = _imu_doubles(source.values) if source.msgtype == IMU else source.values
    head = np.frombuffer(_head(source), np.uint8)
    layout = [
        ("encapsulation", "u1", 4),
        ("seconds", "<i4"),
        ("nanoseconds", "<u4"),
        ("constant", "u1", len(head) - 12),
        ("doubles", "<f8", doubles.shape[1]),
    ]
    messages = np.zeros(len(doubles), dtype=layout)
    messages["encapsulation"], messages["constant"] = head[:4], head[12:]
    messages["seconds"], messages["nanoseconds"] = split_all(source.stamps_ns)
    messages["doubles"] = doubles
    return messages.view(np.uint8).reshape(len(doubles), messages.itemsize)


def _head(source: SourceRecording) -> bytes:
    """What comes before the values, at time 0."""
    out = CdrWriter()
    out.time(0)
    out.text(source.frame_id)
    if source.joints:
        out.texts(source.joints)
        for count in (0, 0, len(source.joints)):  # positions, velocities, efforts
            out.put("I", count)
    out.align(8)
    return out.message


def _imu_doubles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """All 37 doubles of an Imu: orientation 4 + 9, rate 3 + 9, acceleration 3 + 9.

    A part that is NaN counts as not reported (REP-145).
    """
    doubles = np.zeros((len(values), 37))
    doubles[:, 3] = 1.0  # no rotation
    doubles[:, 4] = -1.0  # orientation not reported (sensor_msgs/Imu)
    doubles[:, 13:16] = values[:, 3:]
    doubles[:, 25:28] = values[:, :3]
    for part, covariance in ((values[:, 3:], 16), (values[:, :3], 28)):
        doubles[np.isnan(part).all(axis=1), covariance] = -1.0
    return doubles
