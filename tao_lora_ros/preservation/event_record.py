"""One finished event, as the store takes it and gives it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from rosbags.interfaces import Connection, Qos

from tao_lora_ros.preservation.outlier_buffer import RawMessages, RawSamples

TRANSIENT_EVENT = "tao_lora_ros/msg/TransientEvent"


class StoreError(Exception):
    """The store cannot do what it was asked; the text names the path and the reason."""


@dataclass(frozen=True)
class Topic:
    """A topic as a bag describes it: full name, message type, and what its publishers offer."""

    name: str
    msgtype: str
    qos: tuple[Qos, ...] = ()

    @classmethod
    def of(cls, connection: Connection) -> Topic:
        """The topic of a bag's connection; ROS 1 knows no QoS."""
        qos = getattr(connection.ext, "offered_qos_profiles", ())
        return cls(connection.topic, connection.msgtype, tuple(qos))


EVENTS = Topic("/tao_lora/events", TRANSIENT_EVENT)  # where nothing else is known


@dataclass(frozen=True, eq=False)
class EventRecord:
    """A transient that is over, with the raw data around it.

    Times are ns. `channels` holds (name, share), largest share first. `kind` and `regime_change`
    are those of TransientEvent.msg. `raw` has an entry a source: pre-roll and event, at the rate
    and stamps of its own. `received` has the messages of each topic as they came, post-roll too.
    `message` is the TransientEvent in CDR, as it was published on `topic`. Records are equal only
    to themselves: they hold arrays.
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
    topic: Topic
    message: bytes
    received: tuple[tuple[Topic, RawMessages], ...]

    @classmethod
    def of(
        cls, kept: Any, message: bytes, sources: Sequence[Topic], topic: Topic = EVENTS
    ) -> EventRecord:
        """The record of anything with the attributes of the engine's `Kept`.

        Args:
            kept: the event and what was received.
            message: the event in CDR.
            sources: the topics that `kept.received` came from.
            topic: where the message was published.
        """
        known: dict[str, Any] = dict(
            kind=int(kept.event.kind),  # without the engine's enumeration
            topic=topic,
            message=message,
            received=tuple(zip(sources, kept.received, strict=True)),
        )
        names = {field.name for field in fields(cls)} - known.keys()
        return cls(**known, **{name: getattr(kept.event, name) for name in names})
