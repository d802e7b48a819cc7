"""The log of a training's losses: a CSV that grows, and a curve for TensorBoard where it is."""

from __future__ import annotations

import csv
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

EVERY = 10  # steps
BOARD = "tensorboard"  # the package, and the folder beside the logs


class LossLog:
    """Appends to a CSV with `step,loss`; a resumed training goes on in the same file."""

    def __init__(self, file: Path, every: int = EVERY) -> None:
        self._file, self._every = file, every

    def add(self, step: int, loss: float) -> None:
        """Note the loss of a step, if it is one of every so many."""
        if step % self._every:
            return
        new = not self._file.exists()
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", newline="") as out:
            csv.writer(out).writerows([("step", "loss")] * new + [(step, f"{loss:.6f}")])
        if self._board:
            self._board.add_scalar("loss", loss, step)
            self._board.flush()

    def read(self) -> dict[int, float]:
        """Loss by step; of a step that was repeated after an interruption, the last."""
        if not self._file.exists():
            return {}
        with self._file.open(newline="") as lines:
            found = {int(row["step"]): float(row["loss"]) for row in csv.DictReader(lines)}
        return dict(sorted(found.items()))

    @cached_property
    def _board(self) -> Any:
        """Writes the curve, named after the file; None without TensorBoard."""
        if find_spec(BOARD) is None:
            return None
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self._file.parent / BOARD / self._file.stem))
