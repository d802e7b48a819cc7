"""One finished event, as the store takes it and gives it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rosbags.interfaces import Connection, Qos

from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.raw_data import RawMessages
from tao_lora_ros.messages.results import Event, Kept

TRANSIENT_EVENT = "tao_lora_ros/msg/TransientEvent"


class StoreError(TaoLoraError):
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
    """A transient that is over, with all that was received around it.

    `message` is the event in CDR, as it was published on `topic`. `received` has the messages of
    each topic as they came, from the pre-roll to the post-roll. Records are equal only to
    themselves: they hold arrays.
    """

    event: Event
    message: bytes
    received: tuple[tuple[Topic, RawMessages], ...]
    topic: Topic = EVENTS

    @classmethod
    def of(
        cls, kept: Kept, message: bytes, sources: Sequence[Topic], topic: Topic = EVENTS
    ) -> EventRecord:
        """The record of a kept event; `kept.received` came from the topics `sources`."""
        return cls(kept.event, message, tuple(zip(sources, kept.received, strict=True)), topic)
