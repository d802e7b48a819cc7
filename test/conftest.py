"""What tests share.

Hypothesis: the same examples every time, and no deadlines on shared machines. Tests that need ROS
ask for `wire` and `start_node`, and are skipped where there is none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import settings

if TYPE_CHECKING:
    from wire import Process, Wire

ROOT = Path(__file__).resolve().parent.parent

# The compiled loops that the build has left, also where the tests' other caches lie elsewhere.
cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tao_lora_ros"
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache))
# No array is misread in silence; nodes and commands that tests start look too.
os.environ["TAO_LORA_CHECK_ARRAYS"] = "1"
# Without a GPU the kernels run in Triton's interpreter; they ask for it when they are imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

settings.register_profile("project", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("project")


@pytest.fixture(autouse=True, scope="session")
def own_ros_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nodes keep their events and logs here, and commands their caches, not among the user's."""
    os.environ["ROS_HOME"] = str(tmp_path_factory.mktemp("ros"))
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def data_folder() -> Path:
    """Recorded data for development, which is no part of the project."""
    folder = Path(os.environ.get("TAO_LORA_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recorded data: {folder} does not exist; set TAO_LORA_DATA")
    return folder


@pytest.fixture
def wire() -> Iterator[Wire]:
    """The other end of the node's topics and services."""
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
    from wire import open_wire

    wire = open_wire()
    yield wire
    wire.close()


@pytest.fixture
def run(wire: Wire, tmp_path: Path) -> Iterator[Callable[[list[str]], Process]]:
    """Run a command on the wire's domain; it ends with the test at the latest."""
    from wire import Process

    processes: list[Process] = []

    def start(command: list[str]) -> Process:
        processes.append(Process(tmp_path / f"process_{len(processes)}.log", command))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()


@pytest.fixture
def start_node(wire: Wire, run: Callable[[list[str]], Process]) -> Callable[..., Process]:
    """Start a node with parameters `name:=value`, and wait until it listens."""
    from wire import node_command

    def start(*parameters: str) -> Process:
        process = run(node_command(parameters))
        wire.until_listening(process)
        return process

    return start
