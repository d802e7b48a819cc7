"""Leaving the ROS graph, for a bounded time.

Fast DDS as the wheels have it hangs for good where a participant leaves while it hears of another:
it waits for that callback until a time that overflows, for which glibc refuses to wait and does not
let go of the lock that the callback needs (eProsima/Fast-DDS, issue 6513). rclpy holds the
interpreter meanwhile, so neither a signal's handler nor another thread could end the process.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_LONGEST_S = 10.0


@contextmanager
def leaving_graph() -> Iterator[None]:
    """End the process by SIGALRM where what is done within takes too long; for the main thread."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, _LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
