"""How the losses of a training fell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tao_lora_ros.report.charts import Chart, chart, line, write_charts
from tao_lora_ros.report.panels import AXES

Losses = Mapping[int, float]  # by step


def plot_losses(training: Losses, held_out: Sequence[Losses], file: Path) -> None:
    """Write an HTML page of the losses by step.

    Args:
        training: of what is fitted on, varied as it is drawn.
        held_out: of what was not fitted on, as it is, a line each; empty ones are left out.
        file: the page.

    Raises:
        OSError: the file cannot be written.
    """
    drawn = [_line("training", training, AXES[2])]
    unseen = [losses for losses in held_out if losses]
    names = ["held out", *[""] * (len(unseen) - 1)]  # told once: they share a colour
    drawn += [_line(name, losses, AXES[0]) for name, losses in zip(names, unseen, strict=False)]
    about = (
        "Training windows are varied as they are drawn, so their loss may lie above that of those "
        "held out, which are as they were recorded. A line held out is of the fit of one fold, on "
        "what it did not see; where it rises again the fit learns its runs by heart."
    )
    write_charts("Training", [chart("Loss", "step", "loss", drawn, log=True)], [about], file)


def _line(name: str, losses: Losses, color: str) -> Chart:
    finite = {step: loss for step, loss in losses.items() if np.isfinite(loss)}
    return line(name, finite, finite.values(), color, "line" if len(finite) > 1 else "dots")
