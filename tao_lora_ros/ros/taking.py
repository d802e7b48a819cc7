"""Messages taken off subscriptions as bytes, without an executor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

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
