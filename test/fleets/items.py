"""What workers do in tests: processes find it here by its name."""

from __future__ import annotations

import os
import signal
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
