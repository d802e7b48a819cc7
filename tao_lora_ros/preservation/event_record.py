"""One finished event, as the store takes it and gives it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rosbags.interfaces import Connection, Qos

from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.event_bytes import event_bytes, samples_bytes
from tao_lora_ros.messages.raw_data import RawMessages
from tao_lora_ros.messages.results import Event, Kept
from tao_lora_ros.messages.router_state import STATE_TOPIC, STATE_TYPE, state_bytes

OWN_TYPES = TRANSIENT_EVENT, EVENT_SAMPLES = (
    "tao_lora_ros/msg/TransientEvent",
    "tao_lora_ros/msg/EventSamples",
)


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


# Where nothing else is known.
OWN_TOPICS = tuple(map(Topic, ("/tao_lora/events", "/tao_lora/event_samples"), OWN_TYPES))


@dataclass(frozen=True, eq=False)
class EventRecord:
    """An event that is over, with all that was received around it.

    `published` has the event and its samples in CDR, each with its topic; `received` the messages
    of each topic as they came, from the pre-roll to the post-roll, and what the router remembered
    before the onset. `spans_ns` are the times, as stamps, that messages of further topics are to be
    added of; `ahead_ns` is how far the system clock is ahead of the stamps. Records are equal only
    to themselves: they hold arrays.
    """

    event: Event
    published: tuple[tuple[Topic, bytes], ...]
    received: tuple[tuple[Topic, RawMessages], ...]
    spans_ns: tuple[tuple[int, int], ...] = ()
    ahead_ns: int = 0

    @classmethod
    def of(
        cls,
        kept: Kept,
        sources: Sequence[Topic],
        own: Sequence[Topic] = OWN_TOPICS,
        ahead_ns: int = 0,
    ) -> EventRecord:
        """The record of a kept event.

        Args:
            kept: the event.
            sources: the topics that `kept.received` came from.
            own: those of the event and of its samples.
        """
        messages = event_bytes(kept.event), samples_bytes(kept.event)
        received = list(zip(sources, kept.received, strict=True))
        if kept.state:
            name = f"{own[0].name.rpartition('/')[0]}/{STATE_TOPIC}"
            stored = RawMessages(np.array([kept.state.time_ns]), (state_bytes(kept.state.data),))
            received.append((Topic(name, STATE_TYPE), stored))
        published = tuple(zip(own, messages, strict=True))
        return cls(kept.event, published, tuple(received), kept.spans_ns, ahead_ns)
