"""One finished event, as the store takes it and gives it back."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from tao_lora_ros.preservation.outlier_buffer import RawSamples


class StoreError(Exception):
    """The store cannot do what it was asked; the text names the path and the reason."""


@dataclass(frozen=True, eq=False)
class EventRecord:
    """A transient that is over, with the raw samples around it.

    Times are ns. `channels` holds (name, share), largest share first. `kind` and `regime_change`
    are those of TransientEvent.msg. `raw` has one entry a source: pre-roll, event and post-roll at
    the source's own rate and stamps. Records are equal only to themselves: they hold arrays.
    """

    sequence: int
    frame_id: str
    onset_ns: int
    peak_ns: int
    end_ns: int
    peak_score: float
    channels: tuple[tuple[str, float], ...]
    kind: int
    regime_change: bool
    label: str
    probability: float
    raw: tuple[RawSamples, ...]

    @classmethod
    def of(cls, event: Any) -> EventRecord:
        """The record of anything with these attributes, such as the engine's `Event`."""
        values = {field.name: getattr(event, field.name) for field in fields(cls)}
        values["kind"] = int(event.kind)  # without the engine's enumeration
        return cls(**values)

    @property
    def sample_count(self) -> int:
        """Samples of all sources."""
        return sum(len(raw.stamps_ns) for raw in self.raw)
