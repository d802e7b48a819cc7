"""Windows of whole runs: drawn at random for training, evenly spaced for scoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import Run
from tao_lora_ros.messages.label_span import FREE
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.training.window_sizes import fitting

UNKNOWN = -1  # the label of a window of a run without labels


@dataclass(frozen=True)
class Batch:
    """Raw windows [B, T, C], the rows that follow [B, H, C], and labels [B] (-1: unknown)."""

    windows: Tensor
    following: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(*(x.to(device) for x in self.tensors))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Its parts, in the order of its arguments."""
        return self.windows, self.following, self.labels


@dataclass(frozen=True)
class _Pieces:
    """Windows of one label: numbers `first` to `first + count`, [pieces], and each one's run."""

    first: NDArray[np.int64]
    count: NDArray[np.int64]
    run: NDArray[np.int64]


class WindowSet:
    """All windows of some runs; a window's label is that of its newest row.

    Nothing is held but the spans of the labels: rows are read from the runs' arrays, which may be
    memory-mapped, when a window is taken.

    Args:
        runs: whole recordings.
        labels: label names in the model's order.
        window: rows of a window.
        horizon: rows that follow it.
    """

    def __init__(
        self, runs: Sequence[Run], labels: tuple[str, ...], window: int, horizon: int
    ) -> None:
        self._values = [run.values for run in runs]
        self._window, self._horizon = window, horizon
        self._label_count = len(labels)
        counts = np.array([max(0, len(run.values) - horizon - window) for run in runs])
        self._first = np.concatenate(([0], np.cumsum(counts)))
        self._everything = _Pieces(self._first[:-1], counts, np.arange(len(runs)))
        pieces = [
            (max(0, span.first + 1 - window), min(n, span.end + 1 - window), run, span.label)
            for run, n in enumerate(counts)
            for span in runs[run].spans
        ]
        kept = [(int(self._first[r]) + a, b - a, r, name) for a, b, r, name in pieces if b > a]
        self._starts = np.array([first for first, *_ in kept], dtype=np.int64)
        self._ends = self._starts + np.array([count for _, count, *_ in kept], dtype=np.int64)
        self._codes = np.array(
            [labels.index(name) if name in labels else UNKNOWN for *_, name in kept], dtype=np.int64
        )
        self._of_label = [self._pieces(kept, code) for code in np.unique(self._codes)]

    def _pieces(self, kept: list[tuple[int, int, int, str]], code: int) -> _Pieces:
        chosen = [kept[i][:3] for i in np.flatnonzero(self._codes == code)]
        return _Pieces(*np.array(chosen, dtype=np.int64).T)

    def __len__(self) -> int:
        return int(self._first[-1])

    def labels(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Labels of the windows of these numbers, -1 where there is none."""
        if not len(self._starts):
            return np.full(len(numbers), UNKNOWN)
        piece = np.maximum(np.searchsorted(self._starts, numbers, side="right") - 1, 0)
        inside = (self._starts[piece] <= numbers) & (numbers < self._ends[piece])
        return np.where(inside, self._codes[piece], UNKNOWN)

    def counts(self) -> NDArray[np.int64]:
        """How many windows each label has, [L]."""
        known = self._codes != UNKNOWN
        sizes = (self._ends - self._starts)[known]
        return np.bincount(self._codes[known], sizes, self._label_count).astype(np.int64)

    def run_numbers(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The run of each of these windows."""
        return np.searchsorted(self._first, numbers, side="right") - 1

    def take(self, numbers: NDArray[np.int64]) -> Batch:
        """The windows of these numbers."""
        count, runs = self._window + self._horizon, self.run_numbers(numbers)
        taken = np.empty((len(numbers), count, self._values[0].shape[1]), np.float32)
        for rows, run, begin in zip(taken, runs, numbers - self._first[runs], strict=True):
            rows[:] = self._values[run][begin : begin + count]
        windows, following = torch.from_numpy(taken).split((self._window, self._horizon), dim=1)
        labels = torch.from_numpy(self.labels(numbers))
        return Batch(windows.contiguous(), following.contiguous(), labels)

    def draw(self, size: int, rng: np.random.Generator) -> Batch:
        """Random windows: half from anywhere, half spread evenly over the labels.

        A run counts by the square root of its length, so that a long one does not drown the rest.
        """
        half = size // 2 if self._of_label else 0
        shares = [half // len(self._of_label)] * len(self._of_label) if half else []
        for i in range(half - sum(shares)):
            shares[i] += 1
        drawn = [_draw(self._everything, size - half, rng)]
        drawn += [_draw(of, n, rng) for of, n in zip(self._of_label, shares, strict=True)]
        return self.take(np.concatenate(drawn))

    def spaced(self, count: int) -> Batch:
        """About `count` windows at even distances."""
        return self.take(self.spaced_numbers(count))

    def spaced_numbers(self, count: int) -> NDArray[np.int64]:
        """Numbers of about `count` windows at even distances."""
        return np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64)


def _draw(pieces: _Pieces, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    length = np.bincount(pieces.run, pieces.count)
    share = pieces.count / np.sqrt(np.maximum(length, 1))[pieces.run]
    chosen = rng.choice(len(share), size=size, p=share / share.sum())
    return pieces.first[chosen] + rng.integers(pieces.count[chosen])


def label_names(runs: Sequence[Run]) -> tuple[str, ...]:
    """Labels of the runs, `free` first where there is one; empty where no run is labelled."""
    names = {span.label for run in runs for span in run.spans}
    return (*((FREE,) if FREE in names else ()), *sorted(names - {FREE}))


def too_short(runs: Sequence[Run], sizes: MixerConfig) -> str:
    """That none of the runs holds a window, and which window would do."""
    rows = max((len(run.values) for run in runs), default=0)
    window, horizon = fitting(runs, sizes.horizon)
    remedy = "record longer"
    if rows > window + horizon:
        remedy = f"train with --window auto, which takes {window} and --horizon {horizon} here"
    return (
        f"the longest recording has {rows} rows, more than the {sizes.window + sizes.horizon} of a "
        f"window and its forecast are needed: {remedy}"
    )


def windows_of(runs: list[Run], labels: tuple[str, ...], sizes: MixerConfig) -> WindowSet:
    """The windows of runs.

    Raises:
        BagError: all of them are too short.
    """
    windows = WindowSet(runs, labels, sizes.window, sizes.horizon)
    if not len(windows):
        raise BagError(too_short(runs, sizes))
    return windows
