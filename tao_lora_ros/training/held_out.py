"""What a model says of whole runs that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tao_lora_ros.messages.route import Route
from tao_lora_ros.training.dataset import WindowSet
from tao_lora_ros.training.evaluate import WindowModel, outputs
from tao_lora_ros.training.folds import Part
from tao_lora_ros.training.run_scores import RunScore, confusion_of

_CHUNK = 2048  # windows at once


@dataclass(frozen=True)
class RunOutputs:
    """What was said of a run's windows, of every half window one.

    Args:
        number: of the run.
        name: of it.
        truth: numbers of the labels, [n]; -1 where there is none.
        probabilities: [n, L].
    """

    number: int
    name: str
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def score(self, said: NDArray[np.int64]) -> RunScore:
        """How good it is to call the windows so, numbers of labels [n]."""
        labels = self.probabilities.shape[1]
        return RunScore(self.number, self.name, confusion_of(self.truth, said, labels))


def run_outputs(
    model: WindowModel, parts: Sequence[Part], labels: tuple[str, ...]
) -> list[RunOutputs]:
    """What a model with classes says of runs by the transient path, of those not too short."""
    sizes = model.config
    found = []
    for number, run in parts:
        data = WindowSet([run], labels, sizes.window, sizes.horizon)
        at = np.arange(0, len(data), hop_of(sizes.window))
        chunks = [at[i : i + _CHUNK] for i in range(0, len(at), _CHUNK)]
        logits = [
            outputs(model, data.take(chunk).windows, Route.TRANSIENT).logits for chunk in chunks
        ]
        if chunks:
            values = torch.cat([part for part in logits if part is not None]).double()
            probabilities = values.softmax(dim=1).numpy()
            found.append(RunOutputs(number, run.name, data.labels(at), probabilities))
    return found


def hop_of(window: int) -> int:
    """Rows between the windows that are scored."""
    return max(window // 2, 1)
