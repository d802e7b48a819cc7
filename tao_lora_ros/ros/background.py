"""Work of seconds that a thread does while the node goes on dealing with messages."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Event, Thread
from typing import TypeVar

from tao_lora_ros.messages.errors import TaoLoraError

_LOOK_S = 1e-3  # between looks for messages
T = TypeVar("T")


class GivenUpError(TaoLoraError):
    """The node is to end, and does not wait."""


def done_in_background(work: Callable[[], T], take: Callable[[], None], stopping: Event) -> T:
    """What the work returns; it shares nothing with what deals with the messages.

    Args:
        work: takes so long that no queue would hold the messages that come meanwhile.
        take: deals with the messages that came.
        stopping: set when the node is to end.

    Raises:
        GivenUpError: the node is to end; the thread is left to the end of the process.
    """
    made: Future[T] = Future()
    Thread(target=_complete, args=(made, work), daemon=True).start()
    while not made.done():
        if stopping.is_set():
            raise GivenUpError("given up: the node is to end")
        take()
        wait([made], _LOOK_S)
    return made.result()


def _complete(made: Future[T], work: Callable[[], T]) -> None:
    """What a pool does, for whose threads the end of the process would wait."""
    try:
        made.set_result(work())
    except Exception as error:
        made.set_exception(error)
