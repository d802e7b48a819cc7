"""How the loss of a training fell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def plot_losses(losses: Mapping[int, float], file: Path) -> None:
    """Write an HTML page of the loss by step; nothing where plotly is not installed."""
    try:
        import plotly.graph_objects as go
    except ImportError:
        return
    figure = go.Figure(go.Scatter(x=list(losses), y=list(losses.values()), mode="lines"))
    figure.update_layout(
        xaxis_title="step", yaxis_title="loss", yaxis_type="log", template="plotly_white"
    )
    figure.write_html(file, include_plotlyjs=True)
