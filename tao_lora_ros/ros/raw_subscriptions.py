"""Subscriptions whose messages are taken as bytes, by polls, without an executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from tao_lora_ros.messages.texts import MOST_LINE, error_line, shown


class Taken(NamedTuple):
    """Place of the subscription, ns when published, CDR, publisher's number (not in Humble)."""

    place: int
    published_ns: int
    data: bytes
    number: int | None


class Unread:
    """Counts messages that say nothing: any process may publish on any topic."""

    def __init__(self) -> None:
        self._count, self._last = 0, ""

    @contextmanager
    def passed_over(self, topic: str) -> Iterator[None]:
        """Pass over the message that is read meanwhile, where that fails."""
        try:
            yield
        except Exception as error:  # whatever foreign bytes bring
            self._count += 1
            self._last = f"{topic}: {type(error).__name__}: {error_line(error)}"

    @property
    def text(self) -> str:
        """How many, and why the last of them; empty where there was none."""
        said = f"{self._count} messages passed over, the last on {self._last}"
        return shown(said, MOST_LINE) if self._count else ""


def subscribed(node: Node, topics: Iterable[tuple[Any, str, QoSProfile]]) -> list[Subscription]:
    """Subscriptions to topics, each by type, name and QoS."""
    return [
        node.create_subscription(kind, topic, lambda _: None, qos, raw=True)
        for kind, topic, qos in topics
    ]


def take_all(subscriptions: Sequence[Any]) -> list[Taken]:
    """All that has come, by the time when it was published."""
    taken: list[Taken] = []
    for index, subscription in enumerate(subscriptions):
        with subscription.handle:
            while message := subscription.handle.take_message(subscription.msg_type, True):
                data, info = message
                number = info.get("publication_sequence_number")
                taken.append(Taken(index, info["source_timestamp"], data, number))
    return sorted(taken, key=lambda row: row.published_ns)
