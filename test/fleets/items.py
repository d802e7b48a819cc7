"""What workers do in tests: processes find it here by its name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tao_lora_ros.fleet.errors import FleetError


def square(folder: Path, item: int) -> int:
    """The item's square; 2 kills its worker at the first try, 3 always."""
    marker = folder / str(item)
    if item == 3 or (item == 2 and not marker.exists()):
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def refuse(item: int) -> int:
    """Raises."""
    raise FleetError(f"{item}: another version")


def work(bag: Path) -> int:
    """Its number; of those called so it fails."""
    if bag.name == "cut":
        raise FleetError(f"{bag}: not a readable bag")
    if bag.name == "fault":
        raise ZeroDivisionError("of ours")
    if bag.name == "kills":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2 if bag.name == "0" else 0.0)  # the first one ends last
    return int(bag.name)
