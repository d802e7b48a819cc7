"""A run over bags, killed before its first write, then before its second, and so on to its end.

`python -m fleets.killed_writes BAGS TABLE`: prints how often it was killed. A process of its own
without threads, since it forks.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from fleets.tables import Here
from models import small_artifact

from tao_lora_ros.bags.reader import WHOLE
from tao_lora_ros.bags.replay import Chosen
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.fleet import table
from tao_lora_ros.fleet.find import find_bags
from tao_lora_ros.fleet.run import replay_all
from tao_lora_ros.fleet.task import How


def main(bags: str, folder: Path) -> int:
    """Run until one is not killed; how many were."""
    small_artifact()  # made once, before it forks
    for write in count(1):
        child = os.fork()
        if not child:
            _killed_before(write)
            replay_all(find_bags([bags]), How(_choose, "small", WHOLE, True), folder, Here.opened)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if os.WIFEXITED(status):
            return write - 1
    raise AssertionError


def _killed_before(write: int) -> None:
    """Have this process killed at its n-th write into the table's folder."""
    writes = count(1)

    def killing(function: Callable[..., Any]) -> Callable[..., Any]:
        def write_or_die(*arguments: Any) -> Any:
            if next(writes) == write:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)

        return write_or_die

    for name in ("replace_file", "write_parquet"):
        setattr(table, name, killing(getattr(table, name)))


def _choose(_: Path) -> Chosen:
    return Chosen(Settings(), {}, small_artifact())


if __name__ == "__main__":
    print(main(sys.argv[1], Path(sys.argv[2])))
