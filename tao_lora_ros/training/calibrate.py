"""Set a trained artifact's router to a user's own steady recordings, and show the fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.rows import read_run
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import check_channels
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.router.calibration import block_s, calibrated, return_levels


def recalibrate(
    artifact: Artifact,
    bags: Sequence[Path],
    settings: Settings,
    topics: Mapping[str, str],
    alarms_per_hour: float,
) -> tuple[Artifact, NDArray[np.float64]]:
    """The artifact calibrated on steady bags, and the block maxima of its thresholds.

    Raises:
        BagError: a bag cannot be used.
        SettingsError: the bags' sources are not the model's.
        CalibrationError: the bags are too short.
    """
    check_channels(settings, artifact)
    runs = [
        np.asarray(read_run(bag, settings, artifact.rate_hz, topics).values, np.float64)
        for bag in bags
    ]
    calibration, maxima = calibrated(artifact.calibration, runs, artifact.rate_hz, alarms_per_hour)
    provenance = artifact.provenance | {"calibration_runs": [bag.name for bag in bags]}
    return replace(artifact, calibration=calibration, provenance=provenance), maxima


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
