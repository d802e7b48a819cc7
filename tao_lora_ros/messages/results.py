"""What the pipeline gives out. All of it follows from the input's stamps and values alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from math import isnan, nan
from typing import Any

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


@dataclass(frozen=True)
class State:
    """The label that holds from an inference on, by all windows until then.

    `labels` are those of the artifact, the one that holds first, then the likeliest; the
    `inference` is the one that decided it, with their probabilities over time in its own's place.
    """

    labels: tuple[str, ...]
    inference: Inference

    @property
    def label(self) -> str:
        """The label that holds."""
        return self.labels[0]

    @property
    def probability(self) -> float:
        """Of the label that holds."""
        return self.inference.probabilities[0]


class Phase(IntEnum):
    """Phase of an event; the values of TransientEvent.msg."""

    ONSET = 0
    END = 1


class Kind(IntEnum):
    """What found an event; the values of TransientEvent.msg."""

    BLOW = 1  # the signals changed as they do not in steady motion
    LASTING_CONTACT = 3  # a wrench has more load than motion explains, and keeps it
    TOUCHDOWN = 4  # a load that steady motion always bears came back
    MANUAL = 5  # somebody asked for it

    @property
    def text(self) -> str:
        """Its name in words."""
        return self.name.lower().replace("_", " ")

    @classmethod
    def _missing_(cls, value: object) -> Kind | None:
        """What earlier versions called sustained was a blow too."""
        return cls.BLOW if value in (0, 2) else None


@dataclass(frozen=True)
class Size:
    """How hard an event was; NaN where not measured.

    `duration` (s) is from onset to end, of what goes on until now. `peak_force` (N), `impulse`
    (N s, the size of the contact force's integral) and `peak_torque` (Nm) are of the contact load
    alone; `acceleration_change` (m/s²) is an accelerometer's, `mean_load` (N) a lasting contact's.
    `direction` is a unit vector in the frame `frame_id` of the source `sensor`: of the contact
    force at its peak, else of the change of the acceleration.
    """

    duration: float = nan
    peak_force: float = nan
    impulse: float = nan
    peak_torque: float = nan
    acceleration_change: float = nan
    mean_load: float = nan
    sensor: str = ""
    frame_id: str = ""
    direction: tuple[float, float, float] = (nan, nan, nan)

    @property
    def text(self) -> str:
        """The largest force in words, and a lasting contact's mean; else what else was measured."""
        if not isnan(self.mean_load):
            most = "" if isnan(self.peak_force) else f", at most {self.peak_force:.1f} N"
            return f"{self.mean_load:.1f} N{most}"
        sizes = (self.peak_force, "N"), (self.peak_torque, "Nm"), (self.acceleration_change, "m/s²")
        return next((f"{value:.1f} {unit}" for value, unit in sizes if not isnan(value)), "")

    def row(self) -> dict[str, Any]:
        """Its fields by name, None where one is NaN: JSON knows no NaN."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        row = {name: None if value != value else value for name, value in named}
        return row | {"direction": None if isnan(self.direction[0]) else list(self.direction)}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Size:
        """Undo `row`; fields that are missing or None are not known."""
        return cls(**{f.name: row[f.name] for f in fields(cls) if row.get(f.name) is not None})


def name_text(label: str, probability: float) -> str:
    """An event's label in words: "unknown" where it was not sure, "" where nothing names events."""
    return f"{label} {probability:.0%}" if label else "unknown" * (probability > 0.0)


@dataclass(frozen=True)
class Event:
    """A blow, a lasting contact or a wish, when it begins and again when it is over.

    Each has a number of its own; they may overlap. `channels` holds (name, share), largest share
    first, those above 1 %. `end_ns` is 0 in the ONSET phase. `label` is a first guess at the
    onset; it is empty where it is not sure, and, with `probability` 0, where nothing names events.
    `regime_change`: it lasted so long that what it
    brought is now taken as steady. `raw` has the samples of each source, from the pre-roll to the
    row that decided the phase; of a contact longer than a transient may be, its beginning and its
    end. `reason` is what was said with a wish.
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
    size: Size = Size()
    reason: str = ""


@dataclass(frozen=True)
class RouterState:
    """What router and contacts remembered after the row of a time, for a replay to take on."""

    time_ns: int
    data: bytes


@dataclass(frozen=True)
class Kept:
    """An event that is over, once its post-roll has come.

    `received` has the messages of each source byte for byte, refused ones too, from the pre-roll to
    the end of the post-roll, which `spans_ns` gives: one span, of a long event two. `state` is from
    shortly before the onset, where there was one.
    """

    event: Event
    received: tuple[RawMessages, ...]
    state: RouterState | None = None
    spans_ns: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, eq=False)
class ContactLoad:
    """What touches a sensor, by the wrench that motion does not explain.

    `wrench` is the name of its source; `values` are force x y z (N) and torque x y z (Nm) in its
    frame, [6], NaN where an axis is not reported; `stamp_ns` the middle of what they are a mean of,
    as the sensor stamps it.
    """

    stamp_ns: int
    frame_id: str
    wrench: str
    values: NDArray[np.float64]


Result = Inference | State | Event | Kept | ContactLoad
