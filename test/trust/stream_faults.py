"""What can be wrong with a stream of samples, as data: how each fault alters it, and who tells.

A fault alters a stretch of a good stream, the messages of an Imu (0) and a wrench (1) in the order
of their sending.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random

import numpy as np
from recordings import PERIOD_NS, SECOND, Message, imu, wrench

from tao_lora_ros.signal.cdr import decode_imu, decode_wrench

MS = 1_000_000
IMU, WRENCH = 0, 1
_DECODE, _PACK = (decode_imu, decode_wrench), (imu, wrench)
_LEAST_BEHIND = 20  # messages at the end that are left alone: the good stream goes on from there
Sent = tuple[Message, bool]  # and whether the fault made it what it is
Alter = Callable[[Sequence[Message], Random], Iterator[Sent]]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Args:
        name: in words.
        alter: makes what is sent of a good stretch; None where nothing is sent at all.
        said: pattern of the line that tells of it; empty where nothing is wrong with what came.
        refused: kinds under which what was injected may be counted.
        unused: likewise of what was good and reached no row.
        all_refused: each one injected has to be, and nothing else.
        seconds: of the stretch.
    """

    name: str
    alter: Alter
    said: str = ""
    refused: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    all_refused: bool = False
    seconds: float = 1.0


def values_of(message: Message) -> np.ndarray:
    """[6], as the decoder gives them."""
    return _DECODE[message.source](message.data).values


def packed(message: Message, values: Sequence[float] | None = None, **other: object) -> Message:
    """The message with other values, stamp (`stamp_ns`), frame or reported parts."""
    stamp_ns = int(other.pop("stamp_ns", message.stamp_ns))
    values = values_of(message) if values is None else values
    return Message(
        message.source, stamp_ns, _PACK[message.source](max(stamp_ns, 0), values, **other)
    )


def some(
    change: Callable[[Message, Random], Message | bytes], every: int = 5, source: int = IMU
) -> Alter:
    """Change every so-many-th message of a source; 1: all of them, to the end."""

    def alter(good: Sequence[Message], rng: Random) -> Iterator[Sent]:
        seen = 0
        for i, message in enumerate(good):
            seen += message.source == source
            hit = message.source == source and seen % every == 0
            if every > 1 and not _LEAST_BEHIND < i < len(good) - _LEAST_BEHIND:
                hit = False
            new = change(message, rng) if hit else message
            yield (replace(message, data=new) if isinstance(new, bytes) else new), hit

    return alter


def axis(value: float, which: int = 0) -> Callable[[Message, Random], Message]:
    """One axis reads this."""

    def change(message: Message, _: Random) -> Message:
        values = values_of(message).tolist()
        values[which] = value
        return packed(message, values)

    return change


def scaled(factor: float, part: slice) -> Callable[[Message, Random], Message]:
    """A part of the values in another unit."""

    def change(message: Message, _: Random) -> Message:
        values = values_of(message)
        values[part] *= factor
        return packed(message, values.tolist())

    return change


def clipped(message: Message, _: Random) -> Message:
    """An accelerometer that shakes beyond its range of 2 g."""
    values = values_of(message)
    values[0] = np.clip(60.0 * np.sin(message.stamp_ns % SECOND * 4.1e-7), -19.6, 19.6)
    return packed(message, values.tolist())


def spike(message: Message, rng: Random) -> Message:
    """One sample of one axis far off."""
    values = values_of(message)
    values[rng.randrange(3)] += 30.0
    return packed(message, values.tolist())


def at(offset_ns: int) -> Callable[[Message, Random], Message]:
    """Stamped elsewhere."""
    return lambda message, _: packed(message, stamp_ns=message.stamp_ns + offset_ns)


def jittered(message: Message, rng: Random) -> Message:
    """Stamped by a clock that is read in a hurry."""
    return packed(message, stamp_ns=message.stamp_ns + round(rng.uniform(-0.4, 0.4) * PERIOD_NS))


def raw_stamp(seconds: int, nanoseconds: int) -> Callable[[Message, Random], bytes]:
    """A stamp that is none."""
    stamp = struct.pack("<iI", seconds, nanoseconds)
    return lambda message, _: message.data[:4] + stamp + message.data[12:]


def framed(frame: str) -> Callable[[Message, Random], Message]:
    """In another frame."""
    return lambda message, _: packed(message, frame=frame)


def garbage(message: Message, rng: Random) -> bytes:
    """As long, and no message."""
    return b"\0\1\0\0" + rng.randbytes(len(message.data) - 4)


def everything(shift_ns: int) -> Alter:
    """Both clocks move, for good."""
    return lambda good, _: ((packed(m, stamp_ns=m.stamp_ns + shift_ns), True) for m in good)


def twice(good: Sequence[Message], _: Random) -> Iterator[Sent]:
    for i, message in enumerate(good):
        yield message, False
        if i % 5 == 0 and i < len(good) - _LEAST_BEHIND:
            yield message, True


def overtaken(by: int, every: int, good: Sequence[Message], _: Random) -> Iterator[Sent]:
    """Every so-many-th message of the Imu arrives so many messages too late."""
    late: list[tuple[int, Message]] = []
    for i, message in enumerate(good):
        if message.source == IMU and i % every == 0 and by < i < len(good) - by - _LEAST_BEHIND:
            late.append((i + by, message))
            continue
        yield message, False
        if late and late[0][0] <= i:
            yield late.pop(0)[1], True


def hole(begin_s: float, end_s: float, good: Sequence[Message], _: Random) -> Iterator[Sent]:
    """Nothing comes of the Imu."""
    for message in good:
        at_s = (message.stamp_ns - good[0].stamp_ns) / SECOND
        if message.source != IMU or not begin_s <= at_s < end_s:
            yield message, False


def thinned(keep: int, good: Sequence[Message], _: Random) -> Iterator[Sent]:
    """The Imu comes so many times more seldom."""
    seen = 0
    for message in good:
        seen += message.source == IMU
        if message.source != IMU or seen % keep == 0:
            yield message, message.source == IMU


def denser(good: Sequence[Message], _: Random) -> Iterator[Sent]:
    """The Imu comes four times as often."""
    for message in good:
        yield message, False
        if message.source == IMU:
            for i in (1, 2, 3):
                yield packed(message, stamp_ns=message.stamp_ns + i * PERIOD_NS // 4), True


def in_bursts(size: int, good: Sequence[Message], _: Random) -> Iterator[Sent]:
    """An adapter hands over so many at once, stamped as they come out."""
    held: list[Message] = []
    for message in good:
        if message.source != IMU:
            yield message, False
            continue
        held.append(message)
        if len(held) == size:
            last_ns = held[-1].stamp_ns
            for i, one in enumerate(held):
                yield packed(one, stamp_ns=last_ns + 50_000 * (i - size + 1)), True
            held.clear()
    yield from ((message, False) for message in held)


def frozen(good: Sequence[Message], _: Random) -> Iterator[Sent]:
    """The Imu's clock stands still for a while."""
    first = None
    for i, message in enumerate(good):
        hit = message.source == IMU and 40 < i < len(good) - 200
        first = first or (message if hit else None)
        yield (packed(message, stamp_ns=first.stamp_ns) if hit and first else message), hit


def drifting(good: Sequence[Message], _: Random) -> Iterator[Sent]:
    """The wrench's clock runs a hundredth too slow, then is set right in steps of 1 ms."""
    for i, message in enumerate(good):
        if message.source == WRENCH:
            back_ns = min(i, len(good) - i) * PERIOD_NS // 400
            yield packed(message, stamp_ns=message.stamp_ns - back_ns), True
        else:
            yield message, False


def another_frame(good: Sequence[Message], _: Random) -> Iterator[Sent]:
    """The Imu is mounted elsewhere, and back."""
    for i, message in enumerate(good):
        hit = message.source == IMU and len(good) // 4 < i < len(good) // 2
        yield (packed(message, frame="elsewhere") if hit else message), hit


NAN, INF = float("nan"), float("inf")
HOSTILE = "a\r\n[ERROR] [1.0] [tao_lora]: all is lost\x1b[2J"
_RESTARTED = dict(refused=("clock_jump", "other_clock"), unused=("restart", "late"))
_all_nan = some(lambda m, _: packed(m, [NAN] * 6))
_not_a_message = dict(said="undecodable", refused=("undecodable",), all_refused=True)

FAULTS = (
    Fault("NaN in all axes", _all_nan, "not finite", ("not_finite",), all_refused=True),
    Fault("NaN in one axis", some(axis(NAN)), "lack axes: imu.accel_x"),
    Fault("infinite", some(axis(-INF, 4)), "not finite", ("not_finite",), all_refused=True),
    Fault("infinite torque", some(axis(INF, 5), source=WRENCH), "not finite",
          ("not_finite",), all_refused=True),
    Fault("beyond any sensor", some(axis(1e300)), "out of range", ("out_of_range",),
          all_refused=True),
    Fault("gyro no longer reported", some(lambda m, _: packed(m, gyro=False), 1),
          "without imu.gyro_x", seconds=1.6),
    Fault("all axes stuck", some(lambda m, _: packed(m, [1.0, 2.0, 3.0, 0.1, 0.2, 0.3]), 1),
          "never changes: imu.accel_x", seconds=1.6),
    Fault("force stuck", some(axis(-20.0, 2), 1, WRENCH), "never changes: wrench.force_z",
          seconds=1.6),
    Fault("saturated", some(clipped, 1), "stays at its largest value: imu.accel_x", seconds=1.6),
    Fault("spikes of one axis", some(spike, 60), r"glitches mended: \d+"),
    Fault("in g", some(scaled(1 / 9.80665, slice(0, 3)), 1), "g instead of m/s", seconds=5.0),
    Fault("sent twice", twice, "duplicate", ("duplicate",), all_refused=True),
    Fault("overtaken by 8 ms", partial(overtaken, 8, 40), "unused: late", unused=("late",)),
    Fault("overtaken by 0.3 s", partial(overtaken, 300, 40), "out of order",
          ("out_of_order",), all_refused=True, seconds=1.5),
    Fault("hole of 0.2 s", partial(hole, 0.4, 0.6), r"longest_gap_ms: [2-9]\d\d",
          unused=("late",)),
    Fault("silent for 2 s", partial(hole, 0.3, 2.3), "silent for", unused=("late",),
          seconds=2.5),
    Fault("in bursts of 8", partial(in_bursts, 8), "stamped|bursts|at once", unused=("late",),
          seconds=2.0),
    Fault("clock stands still", frozen, "duplicate", ("duplicate",), ("late",)),
    Fault("stray stamps, 1 s ahead", some(at(SECOND), 25), "stray stamp", ("stray_stamp",),
          all_refused=True),
    Fault("stray stamps, 1 h ahead", some(at(3600 * SECOND), 25), "clock jump",
          ("clock_jump", "other_clock"), all_refused=True),
    Fault("stray stamps, 1 h back", some(at(-3600 * SECOND), 25), "clock jump",
          ("clock_jump", "other_clock"), all_refused=True),
    Fault("stamps before 1970", some(raw_stamp(-5, 0)), **_not_a_message),
    Fault("stamps of 2 s in ns", some(raw_stamp(5, 2_000_000_000)), **_not_a_message),
    Fault("stamps jitter", some(jittered, 2), unused=("late",)),
    Fault("clock drifts by 1 %", drifting, unused=("late",)),
    Fault("all clocks an hour ahead", everything(3600 * SECOND), r"resets: \d+", **_RESTARTED),
    Fault("all clocks an hour back", everything(-3600 * SECOND), r"resets: \d+", **_RESTARTED),
    Fault("wrench 0.3 s behind", some(at(-300 * MS), 1, WRENCH), "behind imu and was not before",
          ("out_of_order", "duplicate"), ("late",), seconds=2.5),
    Fault("wrench 100 s ahead", some(at(100 * SECOND), 1, WRENCH), "wrench_lags_s|other clock",
          ("clock_jump", "other_clock"), ("late", "restart"), seconds=2.0),
    Fault("strange frame", some(framed("elsewhere"), 50), "wrong frame", ("wrong_frame",),
          all_refused=True),
    Fault("another frame for good, and back", another_frame, "frame is now 'elsewhere'",
          ("wrong_frame",), ("restart", "late")),
    Fault("frame of 1 MB", some(framed("a" * 1_000_000), 200), r"1000000 characters",
          ("wrong_frame",), all_refused=True),
    Fault("frame that forges a log line", some(framed(HOSTILE), 50), r"a\\r\\n\[ERROR\]",
          ("wrong_frame",), all_refused=True),
    Fault("half the rate", partial(thinned, 2), unused=("late",)),
    Fault("a twentieth of the rate", partial(thinned, 20), unused=("late",), seconds=2.0),
    Fault("four times the rate", denser, unused=("late",)),
    Fault("1 Hz", partial(thinned, 500), "comes every|silent for|longest_gap_ms: 1\\d\\d\\d",
          unused=("late",), seconds=4.0),
    Fault("cut short", some(lambda m, _: m.data[:100]), **_not_a_message),
    Fault("empty", some(lambda m, _: b"\0\1\0\0"), **_not_a_message),
    Fault("random bytes", some(garbage), **_not_a_message),
    Fault("another encoding", some(lambda m, _: b"\0\3" + m.data[2:]), **_not_a_message),
    Fault("more bytes than the type has", some(lambda m, _: m.data + bytes(64))),
)  # fmt: skip
