"""The small figures of a report: raw samples around an onset, and latencies."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tao_lora_ros.messages.results import Event, Kind
from tao_lora_ros.messages.route import Route
from tao_lora_ros.report.drawing import (
    EVENT,
    TRANSIENT,
    Panel,
    band,
    draw_panels,
    layout,
    mark,
    reported,
    series,
)
from tao_lora_ros.report.record import RunRecord

_CONTACT_S = 10.0  # of a contact that is shown


def zoom(record: RunRecord, event: Event) -> Any:
    """Raw samples around an onset, of each source what changed more; time in ms."""
    onset, end = record.span_s(event)
    longest = _CONTACT_S if event.kind is Kind.LASTING_CONTACT else 0.4
    after = float(np.clip(1.3 * (end - onset), 0.12, longest))
    before = max(0.06, 0.1 * after)
    shares = dict(event.channels)
    panels: list[Panel] = []
    for source in record.signals:
        if found := reported(record, source):
            weights = [sum(shares.get(name, 0.0) for name in panel.channels) for panel in found]
            panels.append(found[int(np.argmax(weights))])
    figure = make_subplots(
        rows=max(len(panels), 1),
        shared_xaxes=True,
        vertical_spacing=0.14,
        subplot_titles=[panel.title for panel in panels],
    )
    rows = []
    for row, panel in enumerate(panels, start=1):
        times, values = series(record, panel)
        near = (times >= onset - before) & (times <= onset + after)
        rows.append((row, panel, (times[near] - onset) * 1e3, values[near]))
    draw_panels(figure, rows, "lines+markers")
    marks = [mark((touch.start_s - onset) * 1e3) for touch in record.touches]
    figure.update_layout(
        **layout(height=110 * max(len(panels), 1) + 70),
        shapes=[band(0.0, (end - onset) * 1e3, event.kind), *marks],
        legend=dict(orientation="h", x=1, xanchor="right", y=1, yanchor="bottom"),
        margin=dict(l=46, r=12, t=30, b=36),
    )
    figure.update_xaxes(range=[-before * 1e3, after * 1e3])
    figure.update_xaxes(title_text="ms from the onset", row=len(panels), col=1)
    figure.update_annotations(font_size=11, x=0, xanchor="left", font_color="#475569")
    return figure


def latencies(record: RunRecord) -> Any:
    """Histograms of the inferences' and the onsets' latencies, in ms."""
    onsets = [1e3 * value for value in record.onset_latencies_s.values()]
    titles = (
        "Newest sample's arrival to inference published [ms]",
        "Onset sample published to event published [ms]",
    )
    figure = make_subplots(cols=2, subplot_titles=titles, horizontal_spacing=0.07)
    values = 1e3 * np.array(record.inference_latencies_s)
    paths = np.array([inference.path for inference in record.inferences])
    for path, color in ((Route.STEADY, "#94a3b8"), (Route.TRANSIENT, TRANSIENT)):
        bars = go.Histogram(
            x=values[paths == path],
            name=f"{path.name.lower()} path",
            marker_color=color,
            nbinsx=120,
        )
        figure.add_trace(bars, row=1, col=1)
    for share, dash in ((50, "solid"), (99, "dash")):
        at = float(np.percentile(values, share))
        text = f"p{share} {at:.2f}"
        line = dict(color="#334155", width=1, dash=dash)
        figure.add_vline(x=at, line=line, annotation_text=text, row=1, col=1)
    figure.add_trace(
        go.Histogram(x=onsets, marker_color=EVENT, nbinsx=60, showlegend=False), row=1, col=2
    )
    figure.update_layout(
        **layout(height=260),
        barmode="stack",
        legend=dict(orientation="h", x=0.46, xanchor="right", y=1, yanchor="top"),
        margin=dict(l=46, r=20, t=34, b=30),
    )
    figure.update_annotations(font_size=12, font_color="#475569")
    return figure
