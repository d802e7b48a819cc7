"""What killed processes left of Fast DDS in the machine's shared memory is not taken over.

Participants of one machine pass messages through memory that is known by a port's number alone. A
process that was killed between two messages leaves its port as one that is served, and who has sent
to it goes on sending there for good. Another process that takes the number, with new memory, hears
nothing of him, neither messages nor requests. So ours takes another number.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

_SHARED = Path("/dev/shm")
# Two a participant. Those of one machine look for each other at the first 32 numbers.
_MOST = 32


@contextmanager
def dead_ports_left() -> Iterator[None]:
    """While a participant is made: hold the locks of ports that nobody serves any more."""
    with ExitStack() as held:
        for lock in islice(_dead(), _MOST):
            held.enter_context(lock)
        yield


def _dead() -> Iterator[IO[str]]:
    """Lock files of ports whose process is gone, each locked by us."""
    for file in sorted(_SHARED.glob("*_port*_el")):
        try:
            lock = file.open()
        except OSError:  # another user's, or gone
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # its process lives
            lock.close()
        else:
            yield lock
