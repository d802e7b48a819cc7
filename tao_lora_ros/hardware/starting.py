"""The seconds of imports before a program is there: what ends it then is said in one line."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tao_lora_ros.messages.texts import error_line

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def starting(program: str, least_mib: int, status: int) -> Iterator[None]:
    """Import within; SIGINT and SIGTERM end the process until somebody else handles them.

    A limit of the address space (RLIMIT_AS) has to be looked at before: libraries that get no
    memory abort.

    Args:
        program: name that its lines begin with.
        least_mib: address space that it needs.
        status: of the process that a signal ends.
    """
    for number in SIGNALS:
        signal.signal(number, leaving(program, status))
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    limited = "" if limit == resource.RLIM_INFINITY else f"{limit >> 20} MiB of address space"
    if limited and limit < least_mib << 20:
        _say(program, f"cannot start: {limited}, {least_mib} MiB are needed (ulimit -v)")
        sys.exit(1)
    try:
        yield
    except (ImportError, MemoryError, OSError) as error:
        there = f"; there are {limited}" if limited else ""
        ours = str(getattr(error, "name", None) or "").startswith("tao_lora_ros")
        remedy = "; the checkout is newer than what was built of it: build or install anew" * ours
        _say(program, f"cannot start: {error_line(error)}{there}{remedy}")
        sys.exit(1)


def leaving(program: str, status: int) -> Callable[[int, FrameType | None], None]:
    """A handler of signals that ends the process at once, while nothing is open yet."""

    def leave(number: int, _: FrameType | None) -> None:
        # Nothing is there that could be closed, and no import may be left half done.
        _say(program, f"{signal.Signals(number).name} while starting")
        os._exit(status)

    return leave


def _say(program: str, text: str) -> None:
    os.write(2, f"{program}: {text}\n".encode())
