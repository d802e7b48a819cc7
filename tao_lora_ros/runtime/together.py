"""A runtime for many threads: what they ask for while it works goes into its next launch."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.runtime.runtime import Array, Output, Runtime


def in_launches(runtime: Runtime, windows: Array, paths: NDArray[np.int32], size: int) -> Output:
    """Infer on windows [B, T, C], each on its own path [B], by launches of one size.

    A GPU prepares a launch for each size, and last bits may depend on it. What is not filled is
    zeros.
    """
    parts = []
    for first in range(0, len(windows), size):
        given = windows[first : first + size]
        full = np.zeros((size, *windows.shape[1:]), np.float32)
        ways = np.zeros(size, np.int32)
        full[: len(given)], ways[: len(given)] = given, paths[first : first + size]
        parts.append([part[: len(given)] for part in runtime.infer_batch(full, ways)])
    return Output(*map(np.concatenate, zip(*parts, strict=True)))


class _Asked(NamedTuple):
    windows: Array
    paths: NDArray[np.int32]
    answer: Future[Output]


class Together:
    """Runs the windows of all threads that wait together.

    What a window gives does not depend on those beside it.

    Args:
        runtime: runs the model.
        size: of all launches, in windows.
    """

    def __init__(self, runtime: Runtime, size: int) -> None:
        self._runtime, self._size = runtime, size
        self._waiting: SimpleQueue[_Asked] = SimpleQueue()
        self._working = Lock()

    def infer_batch(self, windows: Array, paths: NDArray[np.int32]) -> Output:
        """See `Runtime`; what the runtime raises, all raise whose windows were in that launch."""
        asked = _Asked(windows, paths, Future())
        self._waiting.put(asked)
        with self._working:
            if not asked.answer.done():  # nobody has done it for us: we do it for all that wait
                self._answer([*self._taken()])
        return asked.answer.result()

    def _taken(self) -> Iterator[_Asked]:
        try:
            while True:
                yield self._waiting.get_nowait()
        except Empty:
            return

    def _answer(self, all_asked: list[_Asked]) -> None:
        windows = np.concatenate([asked.windows for asked in all_asked])
        paths = np.concatenate([asked.paths for asked in all_asked])
        try:
            found = in_launches(self._runtime, windows, paths, self._size)
        except Exception as error:
            for asked in all_asked:
                asked.answer.set_exception(error)
            return
        first = 0
        for asked in all_asked:
            last = first + len(asked.windows)
            asked.answer.set_result(Output(*(part[first:last] for part in found)))
            first = last
