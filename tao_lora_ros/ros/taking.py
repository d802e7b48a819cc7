"""Messages taken off subscriptions as bytes, without an executor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Taken(NamedTuple):
    """Place of the subscription, ns when published, CDR, publisher's number (not in Humble)."""

    place: int
    published_ns: int
    data: bytes
    number: int | None


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


def ignored(message: Any) -> None:
    """The callback that a subscription has to have, of one that is taken from."""
