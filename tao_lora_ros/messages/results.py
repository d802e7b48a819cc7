"""What the pipeline gives out. All of it follows from the input's stamps and values alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tao_lora_ros.messages.raw_data import RawMessages, RawSamples
from tao_lora_ros.messages.route import Route


@dataclass(frozen=True)
class Inference:
    """One inference.

    Times are ns; `stamp_ns` is the newest input stamp in the window. `probabilities` follow the
    artifact's labels. `forecast_error` is the RMS error of the last forecast that has come due, in
    squashed standard units; NaN before the first.
    """

    stamp_ns: int
    frame_id: str
    path: Route
    score: float
    probabilities: tuple[float, ...]
    forecast_error: float
    window_start_ns: int
    window_end_ns: int


class Phase(IntEnum):
    """Phase of an event; the values of TransientEvent.msg."""

    ONSET = 0
    END = 1


class Kind(IntEnum):
    """What an event was, or how long it lasted; the values of TransientEvent.msg."""

    UNKNOWN = 0  # it goes on
    IMPULSIVE = 1
    SUSTAINED = 2
    TOUCHDOWN = 4  # a load that steady motion always bears came back


IMPULSIVE_S = 0.15


@dataclass(frozen=True)
class Event:
    """A transient, when it begins and again when it is over.

    `channels` holds (name, share), largest share first, those above 1 %. `end_ns` is 0 in the
    ONSET phase. `label` is empty where the model has no labels or its window was not full yet.
    `regime_change`: it lasted so long that what it brought is now taken as steady. `raw` has the
    samples of each source, from the pre-roll to the row that decided the phase.
    """

    phase: Phase
    sequence: int
    frame_id: str
    onset_ns: int
    peak_ns: int
    end_ns: int
    peak_score: float
    channels: tuple[tuple[str, float], ...]
    label: str
    probability: float
    raw: tuple[RawSamples, ...]
    regime_change: bool = False
    touchdown: bool = False

    @property
    def kind(self) -> Kind:
        """A touchdown, else by duration alone: up to `IMPULSIVE_S` seconds is impulsive."""
        if self.touchdown:
            return Kind.TOUCHDOWN
        if self.phase is Phase.ONSET:
            return Kind.UNKNOWN
        short = self.end_ns - self.onset_ns <= IMPULSIVE_S * 1e9
        return Kind.IMPULSIVE if short else Kind.SUSTAINED


@dataclass(frozen=True)
class Kept:
    """An event that is over, once its post-roll has come.

    `received` has the messages of each source byte for byte, refused ones too, from the pre-roll to
    the end of the post-roll.
    """

    event: Event
    received: tuple[RawMessages, ...]


Result = Inference | Event | Kept
