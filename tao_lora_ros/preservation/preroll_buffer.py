"""The newest messages of every source as they came, for when something happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice, takewhile

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.raw_data import RawMessages, RawSamples
from tao_lora_ros.signal.source import SourceConfig

# Most that a second of messages takes; an Imu's at 12 kHz.
_BYTES_A_SECOND = 4 << 20

# Place, time, CDR bytes, and the values where the message was accepted. No object with a
# dictionary or fields: Python's garbage collection passes over plain tuples.
_Entry = tuple[int, int, bytes, NDArray[np.float64] | None]


class PreRollBuffer:
    """Ring of one source's messages that spans `keep_s` seconds, at 4 MiB a second at most.

    Refused messages may have any stamp or none, so each message has a *place* too: the newest time
    of all sources, less their lags, when it came. Places never fall, and no sample is newer than
    its place.

    Args:
        config: the source; `cut` takes times from which its lag is subtracted.
        keep_s: how far back messages are kept.

    Attributes:
        dropped: messages that had to go earlier, because all took too many bytes.
    """

    def __init__(self, config: SourceConfig, keep_s: float) -> None:
        self._config = config
        self._lag_ns = round(config.lag_s * 1e9)
        self._keep_ns = round(keep_s * 1e9)
        self._most_bytes = round(keep_s * _BYTES_A_SECOND)
        self.dropped = 0
        self._fill(())

    def _fill(self, entries: Iterable[_Entry]) -> None:
        self._ring: deque[_Entry] = deque(entries)
        self._bytes = sum(len(data) for _, _, data, _ in self._ring)

    def push(
        self,
        place_ns: int,
        data: bytes,
        stamp_ns: int | None = None,
        values: NDArray[np.float64] | None = None,
    ) -> None:
        """Add a message, with stamp and values where it was accepted, and let go of old ones."""
        ring = self._ring
        ring.append(
            (place_ns, place_ns + self._lag_ns if stamp_ns is None else stamp_ns, data, values)
        )
        self._bytes += len(data)
        oldest_ns = place_ns - self._keep_ns
        while ring[0][0] < oldest_ns:
            self._bytes -= len(ring.popleft()[2])
        while self._bytes > self._most_bytes:
            self._bytes -= len(ring.popleft()[2])
            self.dropped += 1

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

        def young(entry: _Entry) -> bool:
            return entry[0] >= start_ns if entry[3] is None else entry[1] >= first_ns

        # From the newest backwards: at an onset only the last of seconds of samples are wanted.
        since = [*takewhile(young, reversed(self._ring))][::-1]
        kept = [*takewhile(lambda entry: entry[3] is None or entry[1] <= last_ns, since)]
        samples = [(stamp_ns, values) for _, stamp_ns, _, values in kept if values is not None]
        channels = self._config.channels
        joined = b"".join([values.data for _, values in samples])  # a fifth of the time of np.array
        raw = RawSamples(
            self._config.name,
            frame_id,
            channels,
            np.array([stamp_ns for stamp_ns, _ in samples], dtype=np.int64),
            np.frombuffer(joined, np.float64).reshape(-1, len(channels)),
        )
        times_ns = np.array([time_ns for _, time_ns, _, _ in kept], dtype=np.int64)
        # A refused message's place may be ahead of the samples after it, whose stamps rise; and a
        # source that stamps early may have none before the first second.
        times_ns = np.maximum(np.minimum.accumulate(times_ns[::-1])[::-1], 0)
        return raw, RawMessages(times_ns, tuple([data for _, _, data, _ in kept]))

    def newest(self, count: int) -> NDArray[np.float64]:
        """Values of the newest samples, [count or fewer, channels], the newest first."""
        samples = (entry[3] for entry in reversed(self._ring) if entry[3] is not None)
        values = list(islice(samples, count))
        return np.array(values).reshape(-1, len(self._config.channels))

    def restart(self) -> None:
        """Forget all but what was refused since the last sample: a new time may begin with it."""
        refused = takewhile(lambda entry: entry[3] is None, reversed(self._ring))
        self._fill([*refused][::-1])

    def begin(self, place_ns: int) -> None:
        """Place here what was refused before there was a time."""
        time_ns = place_ns + self._lag_ns
        self._fill([(place_ns, time_ns, data, None) for _, _, data, _ in self._ring])
