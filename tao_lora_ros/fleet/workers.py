"""One function over many items by processes that may die: each item is done, or given up with it.

`LocalWorkers` are processes of this machine, `RayWorkers` (fleet/ray_workers.py) tasks of a
cluster; `done` drives both in the same way.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

MOST_TRIES = 3  # of an item whose worker dies each time


class Workers(Protocol):
    """What works on items at the same time."""

    @property
    def free(self) -> int:
        """How many items it takes now; below 0 where it has become smaller."""

    @property
    def busy(self) -> int:
        """How many it has."""

    def give(self, item: Any) -> None:
        """Have an item worked on."""

    def take(self) -> list[tuple[Any, Any]]:
        """Wait for items that are done, each with its result; None where its worker died."""


Open = Callable[[Callable[[Any], Any]], AbstractContextManager[Workers]]  # workers for a function


def done(workers: Workers, items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Items with their results as they come; None for one whose workers died `MOST_TRIES` times.

    Items are hashable, and each is another.
    """
    waiting = deque(items)
    tries: Counter[Any] = Counter()
    while waiting or workers.busy:
        finished = []
        for item, result in workers.take() if workers.busy else ():
            tries[item] += 1
            if result is None and tries[item] < MOST_TRIES:
                waiting.appendleft(item)
            else:
                finished.append((item, result))
        while waiting and workers.free > 0:  # before the caller looks at what has come
            workers.give(waiting.popleft())
        yield from finished


class LocalWorkers:
    """Processes of this machine; one that dies costs its item, and another takes its place.

    Args:
        work: what is done to an item, picklable; what it raises, `take` raises.
        count: how many processes.
    """

    def __init__(self, work: Callable[[Any], Any], count: int) -> None:
        self._work, self._count = work, count
        self._context = multiprocessing.get_context("spawn")  # threads do not outlive a fork
        self._idle: list[_Worker] = []
        self._working: dict[Connection, tuple[_Worker, Any]] = {}

    @property
    def free(self) -> int:
        """See `Workers`."""
        return self._count - self.busy

    @property
    def busy(self) -> int:
        """See `Workers`."""
        return len(self._working)

    def give(self, item: Any) -> None:
        """See `Workers`."""
        while True:
            worker = self._idle.pop() if self._idle else _Worker(self._context, self._work)
            with suppress(BrokenPipeError):  # it died while it had nothing to do
                worker.pipe.send(item)
                break
        self._working[worker.pipe] = worker, item

    def take(self) -> list[tuple[Any, Any]]:
        """See `Workers`."""
        found = []
        for pipe in wait(list(self._working)):
            assert isinstance(pipe, Connection)
            worker, item = self._working.pop(pipe)
            try:
                result = pipe.recv()
                self._idle.append(worker)
            except (EOFError, ConnectionError):
                worker.end()
                result = None
            if isinstance(result, Exception):
                raise result
            found.append((item, result))
        return found

    def __enter__(self) -> LocalWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in [*self._idle, *(worker for worker, _ in self._working.values())]:
            worker.end()


class _Worker:
    """A process and our end of the pipe to it."""

    def __init__(self, context: Any, work: Callable[[Any], Any]) -> None:
        self.pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, work), daemon=True)
        with _one_thread_each():
            self._process.start()
        other.close()

    def end(self) -> None:
        self.pipe.close()
        self._process.kill()
        self._process.join()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started within compute with one thread: there is one for each core."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """Work on what comes until nobody is there any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; the first process ends us
    with suppress(EOFError, ConnectionError):
        while True:
            item = pipe.recv()
            try:
                pipe.send(work(item))
            except Exception as error:
                pipe.send(error)
