"""The label that holds: what the windows say together over time, until the evidence changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tao_lora_ros.messages.results import Inference, State
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.label_filter import held, ignorance


class States:
    """Follows the label over time; gives it out when it changes.

    Args:
        artifact: with its labels and the filter of these; without a filter there is no state.
    """

    def __init__(self, artifact: Artifact) -> None:
        self._filter = artifact.label_filter if artifact.labels else None
        self._labels = artifact.labels
        self._gap_rows = artifact.window
        self._window_s = artifact.window / artifact.rate_hz
        self.clear()

    def clear(self) -> None:
        """Nothing is known, as before the first window."""
        self._belief = ignorance(max(len(self._labels), 1))
        self._state = np.array(-1)
        self._empty_rows = 0
        self._last_ns = 0

    def miss(self) -> None:
        """A row without any value; a window of them breaks with what was before."""
        self._empty_rows += 1
        if self._empty_rows == self._gap_rows:
            self.clear()

    def push(self, inference: Inference) -> State | None:
        """The new state where an inference changes it."""
        self._empty_rows = 0
        if self._filter is None:
            return None
        # A window says no more than its own rows, however long ago the one before was.
        passed_s = (inference.window_end_ns - self._last_ns) * 1e-9
        seconds = min(passed_s, self._window_s) if self._last_ns else self._window_s
        self._last_ns = inference.window_end_ns
        self._belief = self._filter.step(self._belief, np.array(inference.probabilities), seconds)
        if self._belief.argmax() == self._state:  # nearly always
            return None
        before, self._state = self._state, held(self._state, self._belief)
        if self._state == before:
            return None
        probabilities = self._filter.probabilities(self._belief).tolist()
        order = sorted(
            range(len(probabilities)), key=lambda k: (k != self._state, -probabilities[k])
        )
        labels = tuple(self._labels[k] for k in order)
        return State(
            labels, replace(inference, probabilities=tuple(probabilities[k] for k in order))
        )
