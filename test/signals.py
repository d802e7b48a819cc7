"""Signals to processes under test."""

from __future__ import annotations

import signal
import time
from pathlib import Path


def wait_for_handler(pid: int) -> None:
    """Wait until a process catches SIGTERM (proc(5), SigCgt)."""
    deadline = time.monotonic() + 20.0
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text()
        (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        if int(caught, 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError("no handler within 20 s")
