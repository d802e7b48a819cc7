"""Messages in, aligned rows out: what is decoded, refused, kept raw, tared and put on one grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.engine.accounts import Account, accounts_of
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import aligner_for, source_configs
from tao_lora_ros.preservation.preroll_buffer import PreRollBuffer
from tao_lora_ros.signal.align import Rows, joined
from tao_lora_ros.signal.block import Block
from tao_lora_ros.signal.cdr import IMU, Sample, upward_of
from tao_lora_ros.signal.condition import LOOK
from tao_lora_ros.signal.plain import Plain, PlainMessages
from tao_lora_ros.signal.repeats import RepeatCheck
from tao_lora_ros.signal.source import ClockJump, FrameChange, Source
from tao_lora_ros.signal.track import Track
from tao_lora_ros.signal.units import SAMPLES, UnitCheck

_LOOK = 1024  # samples from look to look at the units
# A transient is known after its end, and sources may run ahead of the row that ended it.
_MARGIN_S = 1.5


class Taken(NamedTuple):
    """What became of one message.

    Args:
        rows: that became complete, oldest first.
        refusal: why the message was refused; empty where it was taken.
    """

    rows: Rows
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
            Source(config, settings.clock_jump_s, clock, offset_s, settings.source_timeout_s)
            for config in configs
        ]
        self._checks = [UnitCheck(config) for config in configs]
        self._repeats = [RepeatCheck(config) for config in configs]
        event_s = settings.store_pre_roll_s + settings.max_transient_s + settings.post_roll_s
        keep_s = event_s + settings.source_timeout_s + _MARGIN_S
        self.buffers = [PreRollBuffer(config, keep_s) for config in configs]
        self.channels = [name for config in configs for name in config.channels]
        edges = np.cumsum([0, *(len(config.channels) for config in configs)])
        self._columns = [slice(*edges[i : i + 2]) for i in range(len(configs))]
        self._offsets = np.zeros((len(configs), max(len(c.channels) for c in configs)))
        self._tared = False
        self._aligner = aligner_for(configs, settings, rate_hz)
        self._tracks = self._aligner.tracks
        self._lags_ns = [round(config.lag_s * 1e9) for config in configs]
        self._auto_lags = settings.auto_lags
        self._jump_ns = round(settings.clock_jump_s * 1e9)
        self._newest_ns = 0  # of all sources, less their lags
        self._newest_received_ns = self._leader = 0  # when that came, and from which
        self._plain = PlainMessages(self.sources, self._jump_ns, self._until_look)
        self._run = np.zeros(0, np.int64)  # sources of the newest block's messages

    def push(self, source: int, data: bytes, received_ns: int = 0) -> Taken:
        """Take one message of a source; `received_ns` is as for `Source.accept`.

        Raises:
            ClockJump: the stamps moved to another time. Nothing was taken: `restart`, and push the
                message again.
        """
        stream = self.sources[source]
        refused = stream.refused
        self._plain.doubt(source)
        try:
            outcomes = stream.accept(data, received_ns)
        except FrameChange as change:
            stream.change_frame()
            self._aligner.restart(source, change.stamp_ns)
            outcomes = stream.accept(data, received_ns)
        if not outcomes:
            self._aligner.wait_for(source, stream.held_ns)
        parts: list[Rows] = []
        buffer = self.buffers[source]
        for known, sample in outcomes:
            try:
                timely = sample is not None and self._timely(source, sample, received_ns)
            except ClockJump:
                if known is not data:  # that one comes again, this one does not
                    stream.unused["restart"] += 1
                raise
            if sample is None or not timely:
                buffer.push(self._newest_ns, known)
                continue
            stamp_ns, _, values, _ = sample
            buffer.push(self._newest_ns, known, stamp_ns, values)
            if self._tared:
                values = values - self._offsets[source, : len(values)]
            parts.append(self._aligner.push(source, stamp_ns, values))
        track = self._tracks[source]
        if track.pushed % _LOOK == SAMPLES:
            self._look(source)
        if self._auto_lags and track.behind and track.behind_constantly:
            self._take_off(source, track)
        rows = joined(parts) if parts else self._aligner.nothing
        return Taken(rows, stream.reason if stream.refused > refused else "")

    def push_block(self, block: Block, begin: int) -> tuple[Rows, int]:
        """Take messages from number `begin` on, up to the first that has to be pushed alone.

        Returns:
            The rows that became complete, by the messages counted from `begin`, and the number of
            that message. `look_at` one of them before events are described, `let_go` in the end.
        """
        if self._auto_lags or not self._newest_ns:
            return self._aligner.nothing, begin
        count, leader, looks = self._plain.decode(block, begin, self._newest_ns)
        if not count:
            return self._aligner.nothing, begin
        self._run = run = block.sources[begin : begin + count]
        plain = self._plain.plain
        self._note(block, plain)
        if leader >= 0:
            self._newest_ns = int(plain.newest_ns[count - 1])
            self._newest_received_ns = block.received_ns(begin + leader)
            self._leader = int(run[leader])
        values = plain.values[:count]
        if self._tared:
            values = values - self._offsets[run]
        rows = self._aligner.push_block(run, plain.stamps_ns[:count], values)
        if looks:
            for number, track in enumerate(self._tracks):
                if track.pushed % _LOOK == SAMPLES and number in run:
                    self._look(number)
        return rows, begin + count

    def _note(self, block: Block, plain: Plain) -> None:
        """Have sources and buffers know what was decoded."""
        edges = plain.edges.tolist()
        count = edges[-1]
        order, stamps_ns = plain.order[:count].tolist(), plain.of_sources[:count, 0].tolist()
        for number, source in enumerate(self.sources):
            first, end = edges[number], edges[number + 1]
            if first == end:
                continue
            data = [block.data[i] for i in order[first:end]]
            source.take(stamps_ns[first:end], data[-1])
            self.buffers[number].extend(data, plain, first)

    def _until_look(self, source: int) -> int:
        """So many samples of a source until somebody looks at it."""
        return (SAMPLES - 1 - self._tracks[source].pushed) % _LOOK + 1

    def look_at(self, message: int) -> None:
        """Have the buffers hold what had come when this message of the newest block came."""
        later = self._run[message + 1 :]
        for number, buffer in enumerate(self.buffers):
            buffer.unseen = int(np.count_nonzero(later == number)) if len(later) else 0

    def let_go(self) -> None:
        """The newest block is over."""
        self._run = self._run[:0]
        for buffer in self.buffers:
            buffer.unseen = 0
            buffer.tidy()

    def _take_off(self, source: int, track: Track) -> None:
        """Take off how far a source is behind; to 10 ms, as arrival tells no more."""
        stream = self.sources[source]
        behind_s = round(track.behind_ns * 1e-9, 2)
        where = "behind" if behind_s > 0 else "ahead of"
        whom = self.sources[track.behind_whom].config.name
        config = replace(stream.config, lag_s=round(stream.config.lag_s - behind_s, 2))
        stream.say(f"{abs(behind_s):.2f} s {where} {whom}: lag is now {config.lag_s:.2f} s")
        self._lags_ns[source] = round(config.lag_s * 1e9)
        track.change_lag(self._lags_ns[source])
        stream.change_lag(config)
        self.buffers[source].change_lag(config)

    def _look(self, source: int) -> None:
        """Look how the newest samples came, and whether they are in the right units."""
        if clump_ns := self._tracks[source].clump_ns:
            late = (
                f"messages come in clumps, up to {clump_ns * 1e-9:.1f} s late: rows wait for them"
            )
            self.sources[source].say(late)
        values = self.buffers[source].newest(SAMPLES)[::-1]
        if len(values) == SAMPLES:
            period_s = self._tracks[source].measured_period_ns * 1e-9
            stream = self.sources[source]
            data = self.buffers[source].newest_data
            upward = upward_of(data) if stream.config.msgtype == IMU else None
            for text in self._checks[source].look(values, period_s, upward):
                stream.warn(text)
            for text in self._repeats[source].look(values, period_s):
                stream.warn(text)

    def _timely(self, source: int, sample: Sample, received_ns: int) -> bool:
        """Whether a sample is of the same time as those of the other sources."""
        stamp_ns = sample.stamp_ns - self._lags_ns[source]
        ahead_ns = stamp_ns - (self._newest_ns or stamp_ns)
        if not -self._jump_ns <= ahead_ns <= self._jump_ns:
            return self._on_other_clock(source, stamp_ns, received_ns)
        if not self._newest_ns:
            for buffer in self.buffers:
                buffer.begin(stamp_ns)
        if ahead_ns >= 0:
            self._newest_ns, self._newest_received_ns, self._leader = stamp_ns, received_ns, source
        return True

    def _on_other_clock(self, source: int, stamp_ns: int, received_ns: int) -> bool:
        """Refuse a sample of another time, unless its clock is the one to go by.

        That is the one nearer to the times of arrival (without these the one ahead); one whose
        source has fallen silent does not count.
        """
        ahead_ns = stamp_ns - self._newest_ns
        right = ahead_ns > 0
        if received_ns:
            off_ns = abs(received_ns - stamp_ns) + self._jump_ns // 2
            silent = received_ns - self._newest_received_ns > self._jump_ns
            right = silent or off_ns < abs(self._newest_received_ns - self._newest_ns)
        if right:
            raise ClockJump(f"stamps of all sources moved by {ahead_ns * 1e-9:.1f} s")
        self._tracks[source].note_behind(stamp_ns, self._leader, -ahead_ns)
        where = "behind" if ahead_ns < 0 else "ahead of"
        off = f"stamp {stamp_ns} ns is {abs(ahead_ns) * 1e-9:.1f} s {where} the others'"
        self.sources[source].refuse("other_clock", off)
        return False

    def restart(self) -> None:
        """Forget all samples, clocks and frames; counts and offsets stay."""
        self.let_go()
        self._plain.doubt_all()
        self._aligner.clear()
        for source, buffer in zip(self.sources, self.buffers, strict=True):
            if source.held:
                buffer.push(self._newest_ns, source.held)
            source.restart()
            buffer.restart()
        self._newest_ns = 0

    def source_of(self, channel: int) -> Source:
        """The source of a channel, by its number."""
        at = next(i for i, columns in enumerate(self._columns) if channel < columns.stop)
        return self.sources[at]

    def finish(self) -> None:
        """No more will come: what waits for a row is counted as never used."""
        self._aligner.finish()
        for source in self.sources:
            source.finish()

    def tare(self, level: NDArray[np.float64]) -> None:
        """Take `level` [C] off whatever comes from now on, besides what is taken off already."""
        for offsets, columns in zip(self._offsets, self._columns, strict=True):
            offsets[: columns.stop - columns.start] += level[columns]
        self._tared = True

    @property
    def offsets(self) -> dict[str, float]:
        """What is taken off each channel, where that is not 0."""
        found = [
            offset
            for source, offsets in zip(self.sources, self._offsets.tolist(), strict=True)
            for offset in offsets[: len(source.config.channels)]
        ]
        return {name: off for name, off in zip(self.channels, found, strict=True) if off}

    @property
    def rejected(self) -> Counter[str]:
        """Refused messages of all sources by kind."""
        return sum((source.rejected for source in self.sources), Counter())

    @property
    def accounts(self) -> list[Account]:
        """What became of the messages of each source."""
        return accounts_of(self.sources, self._tracks)

    def newest(self, source: int) -> NDArray[np.float64]:
        """The newest samples of a source that were taken, [`LOOK` at most, channels]."""
        return self.buffers[source].newest(LOOK)
