"""Tries a GPU again, now and then, after the CPU had to take over."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue

from tao_lora_ros.runtime.runtime import Runtime

FIRST_S, LAST_S = 10.0, 600.0  # from try to try; each time twice as long

_log = logging.getLogger(__name__)


class GpuReturn:
    """Makes a runtime in a thread of its own, so that inference goes on meanwhile.

    Args:
        make: makes the runtime, and raises a RuntimeError while that does not work.
    """

    def __init__(self, make: Callable[[], Runtime]) -> None:
        self._made: SimpleQueue[Runtime] = SimpleQueue()
        stop = threading.Event()
        arguments = make, self._made, stop
        threading.Thread(target=_try, args=arguments, daemon=True, name="gpu-return").start()
        weakref.finalize(self, stop.set)

    def taken(self) -> Runtime | None:
        """The runtime, once it is there."""
        try:
            return self._made.get_nowait()
        except Empty:
            return None


def _try(make: Callable[[], Runtime], made: SimpleQueue[Runtime], stop: threading.Event) -> None:
    wait_s = FIRST_S
    while not stop.wait(wait_s):
        try:
            made.put(make())
            return
        except RuntimeError as error:
            wait_s = min(2 * wait_s, LAST_S)
            _log.info("the GPU does not work yet, next try in %g s: %s", wait_s, error)
