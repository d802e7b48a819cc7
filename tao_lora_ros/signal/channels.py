"""What a source is, and what its channels are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from tao_lora_ros.signal.cdr import (
    BARE_WRENCH,
    DECODERS,
    FORCE,
    IMU,
    JOINT_STATE,
    WRENCH,
    Form,
    Sample,
    decode_imu,
    form_of,
)
from tao_lora_ros.signal.efforts import EffortDecoder

WRENCH_TYPES = {"WrenchStamped": WRENCH, "Wrench": BARE_WRENCH, "Vector3Stamped": FORCE}
_LOADS = ("force_x", "force_y", "force_z", "torque_x", "torque_y", "torque_z")
_CHANNELS = {
    IMU: ("accel_x", "accel_y", "accel_z", "gyro_x", "gyro_y", "gyro_z"),
    **dict.fromkeys(WRENCH_TYPES.values(), _LOADS),
}
IMU_PARTS = {"both": slice(0, 6), "accel": slice(0, 3), "gyro": slice(3, 6)}
UNITS = {"accel": "m/s^2", "gyro": "rad/s", "force": "N", "torque": "Nm", "effort": "Nm"}


@dataclass(frozen=True)
class SourceConfig:
    """What is known of a source beforehand.

    Args:
        name: short name, the first half of its channels' names.
        msgtype: `sensor_msgs/msg/Imu`, one of `WRENCH_TYPES`, or `sensor_msgs/msg/JointState`.
        lag_s: how much later than the others this source stamps the same instant, in seconds.
        joints: of a JointState, those whose efforts are its channels.
        part: of an Imu, what is read of it, one of `IMU_PARTS`.
    """

    name: str
    msgtype: str
    lag_s: float = 0.0
    joints: tuple[str, ...] = ()
    part: str = "both"

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names, such as `wrench.force_x` or `joint_states.effort_elbow`."""
        efforts = tuple(f"effort_{joint}" for joint in self.joints)
        names = _CHANNELS.get(self.msgtype, efforts)
        if self.msgtype == IMU:
            names = names[IMU_PARTS[self.part]]
        return tuple(f"{self.name}.{name}" for name in names)

    def decoder(self) -> Callable[[bytes], Sample] | None:
        """What decodes its messages; none for those without a header."""
        if self.msgtype == JOINT_STATE:
            return EffortDecoder(self.joints)
        if self.part != "both":
            return partial(_decode_part, IMU_PARTS[self.part])
        return DECODERS.get(self.msgtype)

    def form_of(self, data: bytes) -> Form | None:
        """The form of one of its messages, by which others can be decoded; see `cdr.form_of`.

        Raises:
            DecodeError: the bytes are not such a message.
        """
        return form_of(self.msgtype, data, IMU_PARTS[self.part])

    @property
    def bare(self) -> bool:
        """Whether its messages have no header: they are stamped with the time when they came."""
        return self.msgtype == BARE_WRENCH


def _decode_part(part: slice, data: bytes) -> Sample:
    """A part of an Imu: of a topic that has no more, the rest may hold anything."""
    sample = decode_imu(data)
    values = sample.values[part]
    return sample._replace(values=values, magnitude=float(np.abs(values).sum()))


def unit_of(channel: str) -> str:
    """SI unit of a channel by its name, such as `N` of `wrench.force_x`."""
    return UNITS[split_name(channel)[1]]


def quantities(channels: Iterable[str]) -> dict[str, slice]:
    """Where the channels of each quantity lie, such as `wrench.force`; those stand together."""
    found: dict[str, slice] = {}
    for at, channel in enumerate(channels):
        quantity = ".".join(split_name(channel)[:2])
        found[quantity] = slice(found.get(quantity, slice(at, at)).start, at + 1)
    return found


def axis_of(channel: str) -> str:
    """What tells a channel from the others of its quantity: `x` of `wrench.force_x`, or a joint."""
    return split_name(channel)[2]


def split_name(channel: str) -> tuple[str, str, str]:
    """Source, quantity, and axis or joint of a channel."""
    source, _, name = channel.rpartition(".")
    quantity, _, axis = name.partition("_")
    return source, quantity, axis
