"""What the pipeline gives out. All of it follows from the input's stamps and values alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

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
    """What found an event; the values of TransientEvent.msg."""

    BLOW = 1  # the signals changed as they do not in steady motion
    LASTING_CONTACT = 3  # a wrench has more load than motion explains, and keeps it
    TOUCHDOWN = 4  # a load that steady motion always bears came back

    @property
    def text(self) -> str:
        """Its name in words."""
        return self.name.lower().replace("_", " ")

    @classmethod
    def _missing_(cls, value: object) -> Kind | None:
        """What earlier versions called sustained was a blow too."""
        return cls.BLOW if value in (0, 2) else None


@dataclass(frozen=True)
class Event:
    """A blow or a lasting contact, when it begins and again when it is over.

    Each has a number of its own; they may overlap. `channels` holds (name, share), largest share
    first, those above 1 %. `end_ns` is 0 in the ONSET phase. `label` is empty where the model has
    no labels or its window was not full yet. `regime_change`: it lasted so long that what it
    brought is now taken as steady. `raw` has the samples of each source, from the pre-roll to the
    row that decided the phase; of a contact longer than a transient may be, its beginning and its
    end. `mean_load` and `peak_load` are a lasting contact's force in N, 0 of a blow.
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
    kind: Kind = Kind.BLOW
    mean_load: float = 0.0
    peak_load: float = 0.0


@dataclass(frozen=True)
class Kept:
    """An event that is over, once its post-roll has come.

    `received` has the messages of each source byte for byte, refused ones too, from the pre-roll to
    the end of the post-roll.
    """

    event: Event
    received: tuple[RawMessages, ...]


@dataclass(frozen=True, eq=False)
class ContactLoad:
    """What touches a sensor, by the wrench that motion does not explain.

    `wrench` is the name of its source; `values` are force x y z (N) and torque x y z (Nm) in its
    frame, [6], NaN where an axis is not reported; `stamp_ns` the middle of what they are a mean of.
    """

    stamp_ns: int
    frame_id: str
    wrench: str
    values: NDArray[np.float64]


Result = Inference | Event | Kept | ContactLoad
