"""The newest messages of every source as they came, for when something happens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.raw_data import RawMessages, RawSamples
from tao_lora_ros.signal.compiled import compiled, entry
from tao_lora_ros.signal.plain import Plain
from tao_lora_ros.signal.source import SourceConfig

# Most that a second of messages takes; an Imu's at 12 kHz.
_BYTES_A_SECOND = 4 << 20
_CAPACITY = 1024  # messages at first
# Old messages go when so many new ones came, or so many bytes.
_LATE, _LATE_BYTES = 256, 1 << 20

Times = NDArray[np.int64]


class PreRollBuffer:
    """One source's messages of the newest `keep_s` seconds, at 4 MiB a second at most.

    Refused messages may have any stamp or none, so each message has a *place* too: the newest time
    of all sources, less their lags, when it came. Places never fall, and no sample is newer than
    its place.

    Args:
        config: the source; `cut` takes times from which its lag is subtracted.
        keep_s: how far back messages are kept.

    Attributes:
        unseen: so many of the newest messages have not come yet for `cut`.
    """

    def __init__(self, config: SourceConfig, keep_s: float) -> None:
        self._config = config
        self._lag_ns = round(config.lag_s * 1e9)
        self._keep_ns = round(keep_s * 1e9)
        self._most_bytes = round(keep_s * _BYTES_A_SECOND)
        self._dropped = self.unseen = 0
        self._data: list[bytes] = []  # what is let go is empty
        self._times = np.zeros((_CAPACITY, 3), np.int64)  # place, stamp, bytes up to here
        self._known = np.zeros(_CAPACITY, np.bool_)  # accepted, with values
        self._values = np.zeros((_CAPACITY, len(config.channels)))
        arrays = self._times, self._known, self._values
        of_sources, values = np.zeros((0, 2), np.int64), np.zeros((0, 0))
        self._extend = entry(_extend, *arrays, 0, 0, 0, of_sources, values, 0, 0)
        self._fill([])
        self.let_go()  # compiles, if nobody did before

    def _fill(self, data: list[bytes]) -> None:
        """Hold these messages alone, all refused; their places and stamps are set already."""
        self._data = data
        self._begin = self._looked = 0  # the oldest that is held; up to where that was looked for
        self._bytes = 0
        for i, one in enumerate(data):
            self._bytes += len(one)
            self._times[i, 2] = self._bytes
        self._known[: len(data)] = False
        self._looked_bytes = self._bytes

    def push(
        self,
        place_ns: int,
        data: bytes,
        stamp_ns: int | None = None,
        values: NDArray[np.float64] | None = None,
    ) -> None:
        """Add a message, with stamp and values where it was accepted."""
        at = len(self._data)
        if at == len(self._known):
            self._make_room(1)
            at = len(self._data)
        self._data.append(data)
        self._bytes += len(data)
        times, known = self._times, values is not None
        times[at, 0], times[at, 2] = place_ns, self._bytes
        times[at, 1] = place_ns + self._lag_ns if stamp_ns is None else stamp_ns
        self._known[at] = known
        if known:
            self._values[at] = values
        self.tidy()

    def extend(self, data: Sequence[bytes], plain: Plain, first: int) -> None:
        """Add messages of one size, of which nothing had to be decided; `tidy` is the caller's.

        Args:
            data: their bytes.
            plain: what was decoded.
            first: the first of these, in the order of the sources.
        """
        if len(self._data) + len(data) > len(self._known):
            self._make_room(len(data))
        at, size = len(self._data), len(data[0])
        arrays = self._times, self._known, self._values
        self._extend(*arrays, at, self._bytes, size, plain.of_sources, plain.values_of_sources,
                     first, len(data))  # fmt: skip
        self._data += data
        self._bytes += size * len(data)

    def _make_room(self, count: int) -> None:
        """Have place for so many more."""
        self.let_go()
        begin, end = self._begin, len(self._data)
        capacity = len(self._known)
        while capacity < 2 * (end - begin + count):
            capacity *= 2
        for name in ("_times", "_known", "_values"):
            old = getattr(self, name)
            new = np.zeros((capacity, *old.shape[1:]), old.dtype)
            new[: end - begin] = old[begin:end]
            setattr(self, name, new)
        del self._data[:begin]
        self._begin, self._looked = 0, len(self._data)

    def tidy(self) -> None:
        """Let go of old messages where many have come."""
        many = len(self._data) - self._looked > _LATE
        if many or self._bytes - self._looked_bytes > _LATE_BYTES:
            self.let_go()

    def let_go(self) -> None:
        """Let go of old messages."""
        begin, dropped = self._first(len(self._data))
        self._data[self._begin : begin] = [b""] * (begin - self._begin)
        self._begin, self._looked = begin, len(self._data)
        self._looked_bytes = self._bytes
        self._dropped += dropped

    def _first(self, end: int) -> tuple[int, int]:
        """The oldest that was held when all before `end` had come; how many had to go earlier."""
        limits = self._keep_ns, self._most_bytes
        return _first_held(self._times, self._begin, self._looked, end, *limits)

    @property
    def dropped(self) -> int:
        """Messages that had to go earlier, because all took too many bytes."""
        self.let_go()
        return self._dropped

    def change_lag(self, config: SourceConfig) -> None:
        """Go by the lag of this configuration, which is otherwise the same."""
        self._config = config
        self._lag_ns = round(config.lag_s * 1e9)

    def cut(self, start_ns: int, end_ns: int, frame_id: str) -> tuple[RawSamples, RawMessages]:
        """Copy the samples from `start_ns` to `end_ns`, both included, and their messages.

        The messages are all that came after the last older sample (refused ones since `start_ns`)
        and before the first newer one.
        """
        first_ns, last_ns = start_ns + self._lag_ns, end_ns + self._lag_ns
        stop = len(self._data) - self.unseen
        start, _ = self._first(stop)
        held = slice(start, stop)
        places, stamps, known = self._times[held, 0], self._times[held, 1], self._known[held]
        old = np.flatnonzero(np.where(known, stamps < first_ns, places < start_ns))
        begin = start + (int(old[-1]) + 1 if len(old) else 0)
        new = np.flatnonzero(self._known[begin:stop] & (self._times[begin:stop, 1] > last_ns))
        kept = slice(begin, begin + int(new[0]) if len(new) else stop)
        known, stamps = self._known[kept], self._times[kept, 1]
        raw = RawSamples(
            self._config.name,
            frame_id,
            self._config.channels,
            stamps[known],
            self._values[kept][known],
            self._lag_ns,
        )
        # A refused message's place may be ahead of the samples after it, whose stamps rise; and a
        # source that stamps early may have none before the first second.
        times_ns = np.maximum(np.minimum.accumulate(stamps[::-1])[::-1], 0)
        return raw, RawMessages(times_ns, tuple(self._data[kept]))

    def newest(self, count: int) -> NDArray[np.float64]:
        """Values of the newest samples, [count or fewer, channels], the newest first."""
        begin, _ = self._first(len(self._data))
        samples = begin + np.flatnonzero(self._known[begin : len(self._data)])[::-1][:count]
        return self._values[samples]

    @property
    def newest_data(self) -> bytes:
        """The newest sample's message; empty where there is none."""
        begin, _ = self._first(len(self._data))
        samples = np.flatnonzero(self._known[begin : len(self._data)])
        return self._data[begin + int(samples[-1])] if len(samples) else b""

    def restart(self) -> None:
        """Forget all but what was refused since the last sample: a new time may begin with it."""
        begin, _ = self._first(len(self._data))
        samples = np.flatnonzero(self._known[begin : len(self._data)])
        first = begin + (int(samples[-1]) + 1 if len(samples) else 0)
        kept = self._data[first:]
        self._times[: len(kept)] = self._times[first : first + len(kept)].copy()
        self._fill(kept)

    def begin(self, place_ns: int) -> None:
        """Place here what was refused before there was a time."""
        self._times[: len(self._data), 0] = place_ns
        self._times[: len(self._data), 1] = place_ns + self._lag_ns
        self._known[: len(self._data)] = False


@compiled
def _extend(times, known, values, at, up_to, size, of_sources, values_of_sources, first, count):
    """Write messages of one size from place `at` on, where `up_to` bytes are held."""
    for i in range(count):
        up_to += size
        times[at + i, 0], times[at + i, 1] = of_sources[first + i, 1], of_sources[first + i, 0]
        times[at + i, 2], known[at + i] = up_to, True
        for c in range(values.shape[1]):
            values[at + i, c] = values_of_sources[first + i, c]


@compiled
def _first_held(times, begin, looked, end, keep_ns, most_bytes):
    """The oldest message that is held after `end` came; how many had to go for their bytes.

    `begin` was the oldest after `looked` had come; times are [n, 3].
    """
    dropped = 0
    for newest in range(looked, end):
        while times[begin, 0] < times[newest, 0] - keep_ns:
            begin += 1
        while begin <= newest:
            before = times[begin - 1, 2] if begin else 0
            if times[newest, 2] - before <= most_bytes:
                break
            begin += 1
            dropped += 1
    return begin, dropped
