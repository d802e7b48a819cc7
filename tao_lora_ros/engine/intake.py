"""Messages in, aligned rows out: what is decoded, refused, kept raw, tared and put on one grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import aligner_for, source_configs
from tao_lora_ros.preservation.preroll_buffer import PreRollBuffer
from tao_lora_ros.signal.align import Row
from tao_lora_ros.signal.cdr import Sample
from tao_lora_ros.signal.source import ClockJump, Source

_STUCK_SAMPLES = 32
# A transient is known after its end, and sources may run ahead of the row that ended it.
_MARGIN_S = 1.0


class Taken(NamedTuple):
    """What became of one message.

    Args:
        rows: that became complete, oldest first.
        refusal: why the message was refused; empty where it was taken.
    """

    rows: list[Row]
    refusal: str


class Intake:
    """All sources of one pipeline.

    Args:
        settings: the parameters.
        rate_hz: grid rate of the rows.
        now_ns: the clock that stamps are held against where the settings want it; none in replays.

    Attributes:
        sources: in the order of the settings.
        buffers: the newest messages of each as they came, from before any offset is taken off.
    """

    def __init__(
        self, settings: Settings, rate_hz: float, now_ns: Callable[[], int] | None = None
    ) -> None:
        configs = source_configs(settings)
        offset_s = settings.max_clock_offset_s
        clock = now_ns if offset_s else None
        self.sources = [
            Source(config, settings.clock_jump_s, clock, offset_s) for config in configs
        ]
        event_s = settings.pre_roll_s + settings.max_transient_s + settings.post_roll_s
        keep_s = event_s + settings.source_timeout_s + _MARGIN_S
        self.buffers = [PreRollBuffer(config, keep_s) for config in configs]
        self.channels = [name for config in configs for name in config.channels]
        edges = np.cumsum([0, *(len(config.channels) for config in configs)])
        self._columns = [slice(*edges[i : i + 2]) for i in range(len(configs))]
        self._offsets: list[NDArray[np.float64] | None] = [None] * len(configs)
        self._aligner = aligner_for(configs, settings, rate_hz)
        self._lags_ns = [round(config.lag_s * 1e9) for config in configs]
        self._jump_ns = round(settings.clock_jump_s * 1e9)
        self._newest_ns = 0  # of all sources, less their lags

    def push(self, source: int, data: bytes, received_ns: int = 0) -> Taken:
        """Take one message of a source; `received_ns` is as for `Source.accept`.

        Raises:
            ClockJump: the stamps moved to another time. Nothing was taken: `restart`, and push the
                message again.
        """
        sample = self.sources[source].accept(data, received_ns)
        if sample is None or not self._timely(source, sample):
            self.buffers[source].push(self._newest_ns, data)
            return Taken([], self.sources[source].reason)
        self.buffers[source].push(self._newest_ns, data, sample.stamp_ns, sample.values)
        offset = self._offsets[source]
        values = sample.values if offset is None else sample.values - offset
        return Taken(self._aligner.push(source, sample.stamp_ns, values), "")

    def _timely(self, source: int, sample: Sample) -> bool:
        """Whether a sample is of the same time as those of the other sources."""
        stamp_ns = sample.stamp_ns - self._lags_ns[source]
        ahead_ns = stamp_ns - (self._newest_ns or stamp_ns)
        if ahead_ns > self._jump_ns:
            raise ClockJump(f"stamps of all sources moved by {ahead_ns * 1e-9:.1f} s")
        if ahead_ns < -self._jump_ns:
            behind = f"stamp {sample.stamp_ns} ns is {-ahead_ns * 1e-9:.1f} s behind the others'"
            self.sources[source].refuse("other_clock", behind)
            return False
        if not self._newest_ns:
            for buffer in self.buffers:
                buffer.begin(stamp_ns)
        if ahead_ns >= 0:
            self._newest_ns = stamp_ns
        return True

    def restart(self) -> None:
        """Forget all samples, clocks and frames; counts and offsets stay."""
        self._aligner.clear()
        self._newest_ns = 0
        for source in self.sources:
            source.restart()
        for buffer in self.buffers:
            buffer.restart()

    def tare(self, level: NDArray[np.float64]) -> None:
        """Take `level` [C] off whatever comes from now on, besides what is taken off already."""
        for i, columns in enumerate(self._columns):
            before = self._offsets[i]
            self._offsets[i] = level[columns] + (0.0 if before is None else before)

    @property
    def offsets(self) -> dict[str, float]:
        """What is taken off each channel, where that is not 0."""
        found = [
            np.zeros(len(source.config.channels)) if offset is None else offset
            for source, offset in zip(self.sources, self._offsets, strict=True)
        ]
        named = zip(self.channels, np.concatenate(found).tolist(), strict=True)
        return {name: offset for name, offset in named if offset}

    @property
    def rejected(self) -> Counter[str]:
        """Refused messages of all sources by kind."""
        return sum((source.rejected for source in self.sources), Counter())

    def stuck(self, source: int) -> Sequence[str]:
        """Channels of a source whose newest samples are all equal; none where there are few."""
        values = self.buffers[source].newest(_STUCK_SAMPLES)
        if len(values) < _STUCK_SAMPLES:
            return ()
        still = np.ptp(values, axis=0) == 0.0  # a NaN is not 0
        channels = self.sources[source].config.channels
        return [name for name, is_still in zip(channels, still, strict=True) if is_still]
