"""Tries a GPU again, now and then, after the CPU had to take over."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from math import inf
from queue import Empty, SimpleQueue

from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.runtime.runtime import Runtime

Made = tuple[Runtime, str]

FIRST_S, LAST_S = 10.0, 600.0  # from try to try; each time twice as long

_log = logging.getLogger(__name__)


class GpuReturn:
    """Makes a runtime in a thread of its own, so that inference goes on meanwhile.

    Args:
        make: makes the runtime, says how it works, and raises while it does not.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._made: SimpleQueue[Made] = SimpleQueue()
        self._wait_s = 0.0
        self._since_s = -inf  # the latest runtime is there, steady clock
        self._stop = threading.Event()
        weakref.finalize(self, self._stop.set)

    def begin(self) -> None:
        """Try until there is one; later where the one before did not work for long."""
        worked = time.monotonic() - self._since_s > LAST_S
        self._wait_s = FIRST_S if worked else min(2 * self._wait_s, LAST_S)
        arguments = self._make, self._made, self._stop, self._wait_s
        threading.Thread(target=_try, args=arguments, daemon=True, name="gpu-return").start()

    def taken(self) -> Made | None:
        """The runtime and how it works, once it is there."""
        try:
            made = self._made.get_nowait()
        except Empty:
            return None
        self._since_s = time.monotonic()
        return made


def _try(
    make: Callable[[], Made],
    made: SimpleQueue[Made],
    stop: threading.Event,
    wait_s: float,
) -> None:
    while not stop.wait(wait_s):
        try:
            made.put(make())
            return
        except Exception as error:  # whatever a driver or a compiler in trouble brings
            wait_s = min(2 * wait_s, LAST_S)
            what = shown(f"{type(error).__name__}: {error}", MOST_LINE)
            _log.warning("the GPU does not work yet, next try in %g s: %s", wait_s, what)
