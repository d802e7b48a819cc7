"""The workers of a Ray cluster that runs already; it has this package, and sees the bags."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable
from typing import Any

from tao_lora_ros.fleet.errors import FleetError

_ANSWER_S = 5.0
_AHEAD = 2  # tasks a core: one works, one waits there


def check_address(address: str) -> None:
    """Whether somebody listens there: Ray itself takes minutes to say that nobody does.

    Raises:
        FleetError: nobody does.
    """
    found = re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d{1,5})", address)
    try:
        if found:
            socket.create_connection((found[1], int(found[2])), _ANSWER_S).close()
    except (OSError, OverflowError) as error:
        remedy = "`ray status` tells the address of a cluster, auto takes the one that runs here"
        raise FleetError(f"--ray {address}: no cluster there ({error}); {remedy}") from None


class RayWorkers:
    """Tasks of a Ray cluster, one a core, see `Workers`.

    Args:
        work: what is done to an item, picklable; what it raises, `take` raises.
        address: of the cluster, as `ray.init` takes it; "auto" finds one that runs here.

    Raises:
        FleetError: Ray is not installed, or there is no such cluster.
    """

    def __init__(self, work: Callable[[Any], Any], address: str) -> None:
        try:
            import ray
        except ImportError as error:
            reason = f"{error}; this needs Ray: pip install ray"
            raise FleetError(f"--ray {address}: {reason}") from None
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise FleetError(f"--ray {address}: {' '.join(str(error).split())}") from None
        self._ray = ray
        # Tries are counted by `done`; Ray's own would not be seen.
        environment = {"env_vars": {"OMP_NUM_THREADS": "1"}}
        self._call = ray.remote(num_cpus=1, max_retries=0, runtime_env=environment)(_call)
        self._work = ray.put(work)
        self._tasks: dict[Any, Any] = {}

    @property
    def free(self) -> int:
        """See `Workers`; a cluster grows and shrinks."""
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        return max(_AHEAD * cores, 1) - self.busy

    @property
    def busy(self) -> int:
        """See `Workers`."""
        return len(self._tasks)

    def give(self, item: Any) -> None:
        """See `Workers`."""
        self._tasks[self._call.remote(self._work, item)] = item

    def take(self) -> list[tuple[Any, Any]]:
        """See `Workers`."""
        ready, _ = self._ray.wait(list(self._tasks), num_returns=1)
        return [(self._tasks.pop(task), self._result(task)) for task in ready]

    def _result(self, task: Any) -> Any:
        try:
            return self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayError:  # a worker or its machine is gone
            return None

    def __enter__(self) -> RayWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()


def _call(work: Callable[[Any], Any], item: Any) -> Any:
    """Ray takes functions alone."""
    return work(item)
