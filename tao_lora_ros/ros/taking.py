"""Messages taken off subscriptions as bytes, without an executor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def take_all(subscriptions: Sequence[Any]) -> list[tuple[int, int, bytes]]:
    """All that has come: which subscription, when it was published in ns, CDR; by that time."""
    taken: list[tuple[int, int, bytes]] = []
    for index, subscription in enumerate(subscriptions):
        with subscription.handle:
            while message := subscription.handle.take_message(subscription.msg_type, True):
                data, info = message
                taken.append((index, info["source_timestamp"], data))
    return sorted(taken, key=lambda row: row[1])


def ignored(message: Any) -> None:
    """The callback that a subscription has to have, of one that is taken from."""
