"""The example that reads a bag, run as its reader runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from recordings import motion, write_ros2

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "find_events.py"


def printed(*arguments: object) -> list[str]:
    command = [sys.executable, str(EXAMPLE), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_find_events_prints_an_impact(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", motion(4.0, [3.0], seed=1))
    (line,) = printed(bag, "imu=/imu")
    found = re.fullmatch(
        r"(\S+) s: (?:\w+|unknown), (\S+) N, \S+ s long, score (\S+), \d+% by \S+", line
    )
    assert found, line
    assert abs(float(found[1]) - 3.0) < 0.01
    assert float(found[2]) > 0.0
    assert float(found[3]) >= 1.0
