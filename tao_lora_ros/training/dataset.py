"""Windows from whole runs, for training and for validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tao_lora_ros.bags.rows import FREE, Run


@dataclass(frozen=True)
class Batch:
    """Raw windows [B, T, C], the rows that follow [B, H, C], and labels [B] (-1: unknown)."""

    windows: Tensor
    following: Tensor
    labels: Tensor


class WindowSet:
    """All windows of some runs; a window's label is that of its newest row.

    Args:
        runs: whole recordings.
        labels: label names in the model's order.
        window: rows of a window.
        horizon: rows that follow it.
    """

    def __init__(self, runs: list[Run], labels: tuple[str, ...], window: int, horizon: int) -> None:
        self._values = [torch.from_numpy(run.values.astype(np.float32)) for run in runs]
        self._window, self._horizon = window, horizon
        index = {label: i for i, label in enumerate(labels)}
        run_of, end_of, label_of = [], [], []
        for number, run in enumerate(runs):
            ends = np.arange(window, len(run.values) - horizon)
            run_of.append(np.full(len(ends), number))
            end_of.append(ends)
            label_of.append(_label_numbers(run, index)[ends - 1])
        self._run = np.concatenate(run_of)
        self._end = np.concatenate(end_of)
        self.labels = np.concatenate(label_of)

    def __len__(self) -> int:
        return len(self._end)

    def take(self, numbers: NDArray[np.int64]) -> Batch:
        """The windows of these numbers."""
        windows, following = [], []
        for number in numbers:
            values, end = self._values[self._run[number]], self._end[number]
            windows.append(values[end - self._window : end])
            following.append(values[end : end + self._horizon])
        labels = torch.from_numpy(self.labels[numbers].astype(np.int64))
        return Batch(torch.stack(windows), torch.stack(following), labels)

    def draw(self, size: int, rng: np.random.Generator) -> Batch:
        """Random windows: half from anywhere, half spread evenly over the labels."""
        numbers = rng.integers(len(self), size=size)
        known = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
        for i in range(size // 2):
            numbers[i] = rng.choice(known[i % len(known)])
        return self.take(numbers)

    def spaced(self, count: int) -> Batch:
        """About `count` windows at even distances."""
        return self.take(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64))


def label_names(runs: list[Run]) -> tuple[str, ...]:
    """Labels of the runs, `free` first; empty where no run is labelled."""
    names = {
        str(label) for run in runs if run.labels is not None for label in np.unique(run.labels)
    }
    return (FREE, *sorted(names - {FREE})) if names else ()


def _label_numbers(run: Run, index: dict[str, int]) -> NDArray[np.int64]:
    if run.labels is None:
        return np.full(len(run.values), -1)
    names, inverse = np.unique(run.labels, return_inverse=True)
    return np.array([index.get(str(name), -1) for name in names])[inverse]
