"""One input stream: its clock, its frame, and the samples that it refuses, counted by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isnan

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.texts import shown
from tao_lora_ros.signal.bursts import LOOK, Spreader
from tao_lora_ros.signal.cdr import (
    JOINT_STATE,
    LAST_STAMP_NS,
    DecodeError,
    Form,
    Sample,
    decode_bare_wrench,
)
from tao_lora_ros.signal.channels import (
    WRENCH_TYPES,
    SourceConfig,
    axis_of,
    quantities,
    split_name,
    unit_of,
)
from tao_lora_ros.signal.efforts import ForeignError
from tao_lora_ros.signal.limits import Limits
from tao_lora_ros.signal.order import ClockJump, Outcomes, StampOrder

__all__ = [
    "WRENCH_TYPES",
    "ClockJump",
    "FrameChange",
    "Source",
    "SourceConfig",
    "axis_of",
    "quantities",
    "unit_of",
]
_MOST_NOTICES = 16
_TURNS = 8  # messages of another frame among those of the first


class FrameChange(Exception):
    """The samples of a source come in another frame, from `stamp_ns` on."""

    def __init__(self, stamp_ns: int) -> None:
        super().__init__(stamp_ns)
        self.stamp_ns = stamp_ns


@dataclass
class Source:
    """Decodes and checks the messages of one source.

    Args:
        config: name, type and lag.
        jump_s: stamps that move further ahead than this, or back by more than `BACK_S`, and stay
            there, are a clock jump.
        now_ns: the clock that stamps are held against; None: they are not.
        offset_s: stamps further ahead or behind of it are refused.
        wait_s: how late a sample may be that others have overtaken.

    Attributes:
        rejected: refused messages by kind; `refused` counts them all, `reason` tells of the newest.
        unused: messages that are good and never become rows, by reason.
        notices: what a user should know of the source, each said once.
        warnings: those that a user has to do something about.
        incomplete: messages that were good but for an axis or several that are NaN, `lacking`.
        harmless: what the magnitudes of all values of a message together may be in any case.
        lag_ns: of its stamps.
    """

    config: SourceConfig
    jump_s: float
    now_ns: Callable[[], int] | None = None
    offset_s: float = 0.0
    wait_s: float = 0.1
    rejected: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    reason: str = ""
    frame_id: str = ""
    unused: Counter[str] = field(default_factory=Counter)
    notices: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    incomplete: int = 0
    lacking: set[str] = field(default_factory=set)
    _new_frame: str | None = None  # of the last message, where that was another than `frame_id`

    def __post_init__(self) -> None:
        self._offset_ns = round(self.offset_s * 1e9)
        self.lag_ns = round(self.config.lag_s * 1e9)
        self._decode = self.config.decoder()
        self._limits = Limits(split_name(channel)[1] for channel in self.config.channels)
        self.harmless = self._limits.harmless
        self._order = StampOrder(self.config.name, self.jump_s, self.wait_s, self.refuse)
        self._spreader = Spreader(self._order.recent)
        self._messages = 0  # that were taken or held
        # Joints in several messages of one stamp are no burst.
        self._bursts = self.config.msgtype != JOINT_STATE

    @property
    def newest_ns(self) -> int | None:
        """Newest stamp that was accepted, as it was sent; None before the first."""
        return self._order.newest_ns

    @property
    def held(self) -> bytes:
        """The message that waits for the next one to confirm it; empty where there is none."""
        return b"" if self._order.held is None else self._order.held_data

    @property
    def held_ns(self) -> int:
        """Its stamp; 0 where there is none."""
        return 0 if self._order.held is None else self._order.held.stamp_ns

    def decode(self, data: bytes, received_ns: int = 0) -> Sample:
        """Decode one message, that came at `received_ns`, without a further check.

        Raises:
            DecodeError: it is not a message of this source's type.
        """
        return decode_bare_wrench(data, received_ns) if self._decode is None else self._decode(data)

    def form_of(self, data: bytes) -> Form | None:
        """The form of a message by which the next can be decoded; None: one has to look at each."""
        if self.now_ns is not None:
            return None
        try:
            sample, form = self.decode(data), self.config.form_of(data)
        except DecodeError:
            return None
        return form if sample.frame_id == self.frame_id else None

    @property
    def undecided_ns(self) -> int | None:
        """Stamp of the newest sample, as it was sent; None where the next is to be decided of."""
        order = self._order
        decides = order.held or self._new_frame is not None or self._spreader.bursts
        return None if decides else order.newest_ns

    @property
    def until_look(self) -> int:
        """So many messages from here to the one at which it looks for bursts."""
        return LOOK - self._messages % LOOK

    def calm(self, stamps_ns: NDArray[np.int64]) -> int:
        """How many of the samples that come next, as expected, are not in bursts."""
        if not self._bursts:
            return len(stamps_ns)
        return self._spreader.calm(stamps_ns, self.until_look)

    def take(self, stamps_ns: list[int], newest_data: bytes) -> None:
        """Take samples that are as expected and calm, the newest of this message."""
        self._order.advance(stamps_ns, newest_data)
        self._messages += len(stamps_ns)

    def accept(self, data: bytes, received_ns: int = 0) -> Outcomes:
        """Take one message, and give out those whose fate is known now, oldest first.

        That is this one as a rule, with its sample, or None where it is refused (counted under its
        kind in `rejected`) or not used. One that the next has to confirm comes with that.

        Args:
            data: CDR bytes.
            received_ns: when it came; that is the stamp of what has none, else it does not matter.

        Raises:
            ClockJump: this sample confirms that the clock moved.
            FrameChange: a second sample confirms another frame.
        """
        sample = self._checked(data, received_ns)
        if sample is None:
            return ((data, None),)
        outcomes = self._order.take(sample, data)
        self._messages += 1
        if self._messages % LOOK == 0 and self._bursts and self._spreader.look():
            self.say(self._spreader.text)
        return outcomes if self._spreader.bursts is None else self._spreader.spread(outcomes)

    def _checked(self, data: bytes, received_ns: int) -> Sample | None:
        """The sample of a message, if there is nothing wrong with it but its place in time."""
        decode = self._decode
        try:
            sample = decode_bare_wrench(data, received_ns) if decode is None else decode(data)
        except ForeignError as error:
            self.unused[error.kind] += 1
            return None
        except DecodeError as error:
            return self.refuse(error.kind, shown(error))
        # Written so that a NaN fails too.
        plain = 0.0 < sample.magnitude <= self.harmless
        if not plain:
            if kind := self._limits.problem(sample.values):
                return self.refuse(kind, f"values {sample.values.tolist()}")
            self._note_lacking(sample)
        if not sample.stamp_ns and 0 < received_ns < LAST_STAMP_NS:
            self.say("stamps are 0: the time of arrival is taken instead")
            sample = sample._replace(stamp_ns=received_ns)
        known = sample.frame_id == self.frame_id and self._new_frame is None
        if not known and not self._right_frame(sample):
            return None
        if self.now_ns is not None and not self._on_time(sample, self.now_ns()):
            return None
        return sample

    def _note_lacking(self, sample: Sample) -> None:
        """Count a message of which an axis is NaN that it claims to report."""
        named = zip(self.config.channels, sample.values.tolist(), strict=True)
        lacking = {name for name, value in named if isnan(value)}
        if lacking and isnan(sample.magnitude):
            self.incomplete += 1
            self.lacking |= lacking

    def _right_frame(self, sample: Sample) -> bool:
        """One message in another frame is refused, a second one in a row begins the source anew."""
        before, self._new_frame = self._new_frame, None
        if not self.frame_id:
            self.frame_id = sample.frame_id
        if sample.frame_id == self.frame_id:
            return True
        frames = f"'{shown(sample.frame_id)}', not '{shown(self.frame_id)}'"
        if before == sample.frame_id:
            self.say(f"frame is now {frames}")
            raise FrameChange(sample.stamp_ns)
        self._new_frame = sample.frame_id
        self.refuse("wrong_frame", frames)
        if self.rejected["wrong_frame"] >= max(_TURNS, self._messages // 4):
            self.warn(
                f"frames come by turns, {frames}: two sensors on one topic, of which the first "
                "alone is used; give each a topic of its own"
            )
        return False

    def _on_time(self, sample: Sample, now_ns: int) -> bool:
        off_ns = sample.stamp_ns - self.lag_ns - now_ns
        if abs(off_ns) <= self._offset_ns:
            return True
        far = f"stamp {sample.stamp_ns} ns is {off_ns * 1e-9:+.1f} s off the node clock"
        self.refuse("future" if off_ns > 0 else "past", far)
        return False

    def refuse(self, kind: str, reason: str) -> None:
        """Count a message as refused, and keep the reason."""
        self.rejected[kind] += 1
        self.refused += 1
        self.reason = f"{self.config.name}: {kind.replace('_', ' ')}: {reason}"

    def say(self, text: str) -> None:
        """Note what a user should know, once."""
        if text not in self.notices and len(self.notices) < _MOST_NOTICES:
            self.notices.append(text)

    def warn(self, text: str) -> None:
        """Note what a user has to do something about, once."""
        if text not in self.warnings:
            self.warnings.append(text)
            self.say(text)

    def change_lag(self, config: SourceConfig) -> None:
        """Go by the lag of this configuration, which is otherwise the same."""
        self.config = config
        self.lag_ns = round(config.lag_s * 1e9)

    def change_frame(self) -> None:
        """Take the next message's frame from now on."""
        self.frame_id, self._new_frame = "", None

    def restart(self) -> None:
        """Forget the clock and the frame; the counts stay."""
        if self.held:
            self.unused["restart"] += 1
        self._order.clear()
        self._spreader.clear()
        self.change_frame()

    def finish(self) -> None:
        """No more will come: what is held is never used."""
        if self.held:
            self.unused["end"] += 1
            self._order.clear()
