"""A process whose DDS never lets go of it ends all the same."""

from __future__ import annotations

import signal
import subprocess
import sys

# ctypes.PyDLL holds the interpreter while it calls, as rclpy does in `destroy_node`.
HANGS = """
import ctypes, signal
from tao_lora_ros.ros import leaving
leaving._LONGEST_S = {longest_s}
signal.signal(signal.SIGTERM, lambda *_: print("a handler", flush=True))
with leaving.leaving_graph():
    ctypes.PyDLL(None).usleep({waits_us})
print("left")
"""


def left(longest_s: float, waits_s: float) -> tuple[int, str]:
    program = HANGS.format(longest_s=longest_s, waits_us=round(waits_s * 1e6))
    run = subprocess.run(
        [sys.executable, "-c", program], timeout=60, capture_output=True, text=True, check=False
    )
    return run.returncode, run.stdout + run.stderr


def test_it_is_ended_where_it_hangs_and_left_alone_where_it_does_not() -> None:
    assert left(0.2, 60.0) == (-signal.SIGALRM, "")
    assert left(30.0, 0.1) == (0, "left\n")
