"""What workers do in tests: processes find it here by its name."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

from tao_lora_ros.bags.replay import Chosen
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.fleet.errors import FleetError
from tao_lora_ros.model.artifact import load_artifact
from tao_lora_ros.model.network import Network
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.runtime.runtime import Runtime


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


def choose(model: Path, bag: Path) -> Chosen:
    """One model for every bag."""
    return Chosen(Settings(), {}, load_artifact(model))


def counted_runtime(folder: Path, model: Network) -> Runtime:
    """The CPU's; leaves a file for each that is made."""
    os.close(tempfile.mkstemp(dir=folder)[0])
    return CpuRuntime(model)


def no_runtime(model: Network) -> Runtime:
    """Raises, as where a model does not fit a GPU."""
    raise ValueError("a size that the kernel cannot take")


def killing_runtime(model: Network) -> Runtime:
    """Ends its process."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
