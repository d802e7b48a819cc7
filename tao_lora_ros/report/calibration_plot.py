"""How well the thresholds fit: how often steady motion exceeds a level, measured and fitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tao_lora_ros.detection import tail
from tao_lora_ros.detection.findings import Findings
from tao_lora_ros.model.artifact import Artifact


def plot_calibration(
    artifact: Artifact, findings: Findings, left_out: Sequence[str], file: Path
) -> None:
    """Write an HTML page: how often each statistic exceeds a level, measured, fitted and set.

    Args:
        artifact: with the calibration.
        findings: what it was made of.
        left_out: what was not steady, a line each.
        file: the page.

    Raises:
        ImportError: plotly is missing.
    """
    import plotly.graph_objects as go
    from plotly.colors import qualitative

    calibration, rate_hz = artifact.calibration, artifact.rate_hz
    names = [f"{rows} rows" for rows in calibration.scales]
    names += [
        f"level of {artifact.channels[level[0]].rpartition('_')[0]}"
        for level in calibration.level_channels
    ]
    values = tail.join(findings.statistics, rate_hz)
    figure = go.Figure()
    for i, threshold in enumerate(calibration.all_thresholds):
        fit = tail.tail_of(values[:, i], rate_hz)
        if threshold >= tail.NEVER or not fit.excess:
            continue
        color = qualitative.Plotly[i]
        at = tail.peaks(values[:, i], tail.cluster_rows(rate_hz), 4 * fit.known)
        hours = findings.used_s / 3600.0
        style = {"legendgroup": names[i], "line_color": color}
        figure.add_scatter(
            x=values[at, i],
            y=np.arange(1, len(at) + 1) / hours,
            mode="markers",
            name=f"{names[i]}, threshold {threshold:.2f}",
            legendgroup=names[i],
            marker_color=color,
        )
        rates = np.array([fit.per_hour, calibration.alarms_per_hour / 10])
        levels = [fit.at(rate) for rate in rates]
        figure.add_scatter(x=levels, y=rates, mode="lines", showlegend=False, **style)
        figure.add_vline(x=threshold, line_color=color, line_dash="dash")
    figure.update_layout(
        title=f"{artifact.model_id}: steady motion, {findings.used_s / 60:.1f} min, "
        f"target {calibration.alarms_per_hour:g} alarms an hour",
        xaxis_title="logarithm of energy over what it is held against",
        yaxis_title="peaks an hour above it",
        yaxis_type="log",
        template="plotly_white",
    )
    figure.add_annotation(
        text="<br>".join(["left out:", *(left_out or ["nothing"])]),
        **{"xref": "paper", "yref": "paper", "x": 1.0, "y": 1.0, "showarrow": False},
        align="right",
    )
    figure.write_html(file, include_plotlyjs=True)
