"""How the loss of a training fell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tao_lora_ros.report.charts import chart, line, write_charts
from tao_lora_ros.report.traces import AXES


def plot_losses(losses: Mapping[int, float], file: Path) -> None:
    """Write an HTML page of the loss by step."""
    drawn = line("training", losses, losses.values(), AXES[2])
    write_charts("Training", [chart("Loss", "step", "loss", [drawn], log=True)], [], file)
