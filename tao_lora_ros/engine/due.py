"""Windows that are due wait for each other, as long as nobody asks what the model says of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.engine.counts import Counts
from tao_lora_ros.engine.describer import EventDescriber
from tao_lora_ros.engine.inferrer import Inferrer, NoInferrer
from tao_lora_ros.engine.states import States
from tao_lora_ros.messages.results import Inference, Result
from tao_lora_ros.messages.route import Route


class _Window(NamedTuple):
    """One that is due: its row's number and stamp, what the router says there, and how many rows
    without any value there were since the one before."""

    row: int
    stamp_ns: int
    path: Route
    score: float
    begin_ns: int
    end_ns: int
    values: NDArray[np.float32]
    missed: int


class DueWindows:
    """Collects windows, and infers on all of them together.

    Args:
        inferrer: runs the model.
        describer: is told what it says.
        states: likewise.
        counts: of the inferences.
    """

    def __init__(
        self,
        inferrer: Inferrer | NoInferrer,
        describer: EventDescriber,
        states: States,
        counts: Counts,
    ) -> None:
        self._inferrer, self._describer = inferrer, describer
        self._states, self._counts = states, counts
        self.clear()

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting: list[_Window] = []

    def add(
        self,
        stamp_ns: int,
        path: Route,
        score: float,
        row: int,
        missed: int,
        times_ns: NDArray[np.int64],
        values: NDArray[np.float64],
    ) -> None:
        """Take a window, times [T] and values [T, C], that ends at a row of this number.

        `missed` rows without any value came since the one before.
        """
        begin_ns, end_ns = int(times_ns[0]), int(times_ns[-1])
        kept = values.astype(np.float32)
        self._waiting.append(_Window(row, stamp_ns, path, score, begin_ns, end_ns, kept, missed))

    def infer(self, frame_id: str) -> list[Result]:
        """Infer on the windows that wait, in the frame of the first source; oldest first.

        An inference that changes the label that holds is followed by the new one.
        """
        if not self._waiting:
            return []
        windows, self._waiting = self._waiting, []
        said = self._inferrer.infer(
            [window.row for window in windows],
            [window.values for window in windows],
            [window.path for window in windows],
        )
        results: list[Result] = []
        for window, (probabilities, error) in zip(windows, said, strict=True):
            inference = self._told(window, probabilities, error, frame_id)
            results.append(inference)
            for _ in range(window.missed):
                self._states.miss()
            if changed := self._states.push(inference):
                results.append(changed)
        return results

    def _told(
        self, window: _Window, probabilities: tuple[float, ...], error: float, frame_id: str
    ) -> Inference:
        transient = window.path is Route.TRANSIENT
        self._counts.transient += transient
        self._counts.steady += not transient
        self._describer.add(probabilities, transient)
        return Inference(
            stamp_ns=window.stamp_ns,
            frame_id=frame_id,
            path=window.path,
            score=window.score,
            probabilities=probabilities,
            forecast_error=error,
            window_start_ns=window.begin_ns,
            window_end_ns=window.end_ns,
        )
