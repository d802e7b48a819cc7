"""How well the thresholds fit: how often steady motion exceeds a level, measured and fitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.detection.calibration import block_s, return_levels
from tao_lora_ros.model.artifact import Artifact


def plot_calibration(artifact: Artifact, maxima: NDArray[np.float64], file: Path) -> None:
    """Write an HTML page: how often each scale exceeds a level, measured and fitted.

    Raises:
        ImportError: plotly is missing.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    blocks_an_hour = 3600.0 / block_s(artifact.rate_hz)
    hours = len(maxima) / blocks_an_hour
    fitted_rates = np.geomspace(blocks_an_hour, artifact.calibration.alarms_per_hour / 10, 50)
    fit = np.array([return_levels(maxima, blocks_an_hour / rate) for rate in fitted_rates])
    for i, (rows, threshold) in enumerate(
        zip(artifact.calibration.scales, artifact.calibration.thresholds, strict=True)
    ):
        levels = np.sort(maxima[:, i])[::-1]
        rates = np.arange(1, len(levels) + 1) / hours
        name = f"{rows} rows, threshold {threshold:.2f}"
        figure.add_scatter(x=levels, y=rates, mode="markers", name=name, legendgroup=name)
        figure.add_scatter(
            x=fit[:, i], y=fitted_rates, mode="lines", legendgroup=name, showlegend=False
        )
    figure.update_layout(
        title=f"{artifact.model_id}: steady motion, {hours * 60:.1f} min, "
        f"target {artifact.calibration.alarms_per_hour:g} alarms an hour",
        xaxis_title="log-ratio of energies",
        yaxis_title="blocks an hour above it",
        yaxis_type="log",
        template="plotly_white",
    )
    figure.write_html(file, include_plotlyjs=True)
