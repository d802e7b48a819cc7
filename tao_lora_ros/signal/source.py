"""One input stream: its channels, its clock, and the samples that it refuses, counted by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import isfinite

from tao_lora_ros.messages.texts import shown
from tao_lora_ros.signal.cdr import (
    BARE_WRENCH,
    DECODERS,
    FORCE,
    IMU,
    JOINT_STATE,
    WRENCH,
    DecodeError,
    Sample,
    decode_bare_wrench,
)
from tao_lora_ros.signal.efforts import EffortDecoder

WRENCH_TYPES = {"WrenchStamped": WRENCH, "Wrench": BARE_WRENCH, "Vector3Stamped": FORCE}
_LOADS = ("force_x", "force_y", "force_z", "torque_x", "torque_y", "torque_z")
_CHANNELS = {
    IMU: ("accel_x", "accel_y", "accel_z", "gyro_x", "gyro_y", "gyro_z"),
    **dict.fromkeys(WRENCH_TYPES.values(), _LOADS),
}
# Messages overtake each other by less; a bag that loops goes back further.
BACK_S = 0.5
# All values of a message together read less; squares of what gets through stay far from overflow.
LARGEST = 1e9
UNITS = {"accel": "m/s^2", "gyro": "rad/s", "force": "N", "torque": "Nm", "effort": "Nm"}


class ClockJump(Exception):
    """The stamps of a source moved to another time (a bag that loops, a clock that was set)."""


@dataclass(frozen=True)
class SourceConfig:
    """What is known of a source beforehand.

    Args:
        name: short name, the first half of its channels' names.
        msgtype: `sensor_msgs/msg/Imu`, one of `WRENCH_TYPES`, or `sensor_msgs/msg/JointState`.
        lag_s: how much later than the others this source stamps the same instant, in seconds.
        joints: of a JointState, those whose efforts are its channels.
    """

    name: str
    msgtype: str
    lag_s: float = 0.0
    joints: tuple[str, ...] = ()

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names, such as `wrench.force_x` or `joint_states.effort_elbow`."""
        efforts = tuple(f"effort_{joint}" for joint in self.joints)
        return tuple(f"{self.name}.{name}" for name in _CHANNELS.get(self.msgtype, efforts))

    def decoder(self) -> Callable[[bytes], Sample] | None:
        """What decodes its messages; none for those without a header."""
        efforts = self.msgtype == JOINT_STATE
        return EffortDecoder(self.joints) if efforts else DECODERS.get(self.msgtype)

    @property
    def bare(self) -> bool:
        """Whether its messages have no header: they are stamped with the time when they came."""
        return self.msgtype == BARE_WRENCH


def unit_of(channel: str) -> str:
    """SI unit of a channel by its name, such as `N` of `wrench.force_x`."""
    return UNITS[_split(channel)[1]]


def quantities(channels: Iterable[str]) -> dict[str, slice]:
    """Where the channels of each quantity lie, such as `wrench.force`; those stand together."""
    found: dict[str, slice] = {}
    for at, channel in enumerate(channels):
        quantity = ".".join(_split(channel)[:2])
        found[quantity] = slice(found.get(quantity, slice(at, at)).start, at + 1)
    return found


def axis_of(channel: str) -> str:
    """What tells a channel from the others of its quantity: `x` of `wrench.force_x`, or a joint."""
    return _split(channel)[2]


def _split(channel: str) -> tuple[str, str, str]:
    """Source, quantity, and axis or joint."""
    source, _, name = channel.rpartition(".")
    quantity, _, axis = name.partition("_")
    return source, quantity, axis


@dataclass
class Source:
    """Decodes and checks the messages of one source.

    Args:
        config: name, type and lag.
        jump_s: stamps that move further ahead than this, or back by more than `BACK_S`, and stay
            there, are a clock jump.
        now_ns: the clock that stamps are held against; None: they are not.
        offset_s: stamps further ahead or behind of it are refused.
    """

    config: SourceConfig
    jump_s: float
    now_ns: Callable[[], int] | None = None
    offset_s: float = 0.0
    rejected: Counter[str] = field(default_factory=Counter)  # by kind
    refused: int = 0  # all kinds together
    reason: str = ""
    frame_id: str = ""
    newest_ns: int | None = None  # of what was accepted
    _jumped_to_ns: int | None = None

    def __post_init__(self) -> None:
        self._jump_ns = round(self.jump_s * 1e9)
        self._offset_ns = round(self.offset_s * 1e9)
        self._back_ns = min(round(BACK_S * 1e9), self._jump_ns)
        self._decode = self.config.decoder()

    def decode(self, data: bytes, received_ns: int = 0) -> Sample:
        """Decode one message, that came at `received_ns`, without a further check.

        Raises:
            DecodeError: it is not a message of this source's type.
        """
        return decode_bare_wrench(data, received_ns) if self._decode is None else self._decode(data)

    def accept(self, data: bytes, received_ns: int = 0) -> Sample | None:
        """Decode one message; None where it is refused, counted under its kind in `rejected`.

        Args:
            data: CDR bytes.
            received_ns: when it came, which is the stamp of what has no header.

        Raises:
            ClockJump: a second sample confirms that the clock moved.
        """
        try:
            sample = self.decode(data, received_ns)
        except DecodeError as error:
            return self.refuse(error.kind, shown(error))
        if not sample.magnitude <= LARGEST:  # written so that a NaN fails too
            kind = "out_of_range" if isfinite(sample.magnitude) else "not_finite"
            return self.refuse(kind, f"values {sample.values.tolist()}")
        if self.frame_id and sample.frame_id != self.frame_id:
            found, expected = shown(sample.frame_id), shown(self.frame_id)
            return self.refuse("wrong_frame", f"'{found}', not '{expected}'")
        if self.now_ns is not None:
            off_ns = sample.stamp_ns - self.now_ns()
            if abs(off_ns) > self._offset_ns:
                far = f"stamp {sample.stamp_ns} ns is {off_ns * 1e-9:+.1f} s off the node clock"
                return self.refuse("future" if off_ns > 0 else "past", far)
        return self._in_order(sample)

    def _in_order(self, sample: Sample) -> Sample | None:
        newest = self.newest_ns
        if newest is not None:
            ahead_ns = sample.stamp_ns - newest
            if not -self._back_ns <= ahead_ns <= self._jump_ns:
                return self._far_away(sample)
            if ahead_ns <= 0:
                self._jumped_to_ns = None
                kind = "out_of_order" if ahead_ns else "duplicate"
                return self.refuse(kind, f"stamp {sample.stamp_ns} ns after {newest} ns")
        self._jumped_to_ns = None
        self.newest_ns = sample.stamp_ns
        self.frame_id = sample.frame_id
        return sample

    def _far_away(self, sample: Sample) -> None:
        """One far stamp may be a broken message; two near each other are a clock that moved."""
        candidate, self._jumped_to_ns = self._jumped_to_ns, sample.stamp_ns
        if candidate is not None and 0 < sample.stamp_ns - candidate <= self._jump_ns:
            raise ClockJump(
                f"{self.config.name}: stamps moved from {self.newest_ns} ns to {candidate} ns"
            )
        self.refuse("clock_jump", f"stamp {sample.stamp_ns} ns after {self.newest_ns} ns")

    def refuse(self, kind: str, reason: str) -> None:
        """Count a message as refused, and keep the reason."""
        self.rejected[kind] += 1
        self.refused += 1
        self.reason = f"{self.config.name}: {kind.replace('_', ' ')}: {reason}"

    def restart(self) -> None:
        """Forget the clock and the frame; the counts stay."""
        self.newest_ns = self._jumped_to_ns = None
        self.frame_id = ""
