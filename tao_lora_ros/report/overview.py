"""The overview of a report: all signals, events, route and inferences over one time axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tao_lora_ros.messages.results import Kind
from tao_lora_ros.messages.route import Route
from tao_lora_ros.report.drawing import (
    BUCKETS,
    KINDS,
    TRANSIENT,
    TRUTH,
    Times,
    band,
    decimate,
    draw_panels,
    label_color,
    layout,
    mark,
    reported,
    series,
)
from tao_lora_ros.report.record import RunRecord


def overview(record: RunRecord) -> Any:
    """All panels over one time axis."""
    panels = [panel for source in record.signals for panel in reported(record, source)]
    titles = ["", *(panel.title for panel in panels)]
    titles += ["Router score (1 is the threshold)"]
    titles += ["Class probabilities"] if record.labels else []
    titles += ["Anomaly score (error of the forecast)"]
    heights = [70, *(130 for _ in titles[1:])]
    gap, margin = 28, dict(l=60, r=20, t=40, b=44)
    inner = sum(heights) + gap * (len(titles) - 1)
    figure = make_subplots(
        rows=len(titles),
        shared_xaxes=True,
        vertical_spacing=gap / inner,
        row_heights=heights,
        subplot_titles=titles,
    )
    figure.update_layout(shapes=_shades(record))
    _draw_timeline(figure, record)
    rows = enumerate(panels, start=2)
    draw_panels(figure, ((row, panel, *series(record, panel)) for row, panel in rows))
    _draw_inferences(figure, record, row=len(panels) + 2)
    figure.update_layout(
        **layout(height=inner + margin["t"] + margin["b"]),
        barmode="overlay",
        legend=dict(orientation="h", x=0, y=1, yanchor="bottom"),
        margin=margin,
    )
    figure.update_xaxes(range=[0, max(record.duration_s, 1e-3)])
    figure.update_xaxes(title_text="seconds from the first stamp", row=len(titles), col=1)
    figure.update_annotations(font_size=12, x=0, xanchor="left", font_color="#475569")
    return figure


def _draw_timeline(figure: Any, record: RunRecord) -> None:
    """Lanes of truth, events and route, as bars."""
    lanes: dict[str, list[tuple[float, float, str, str]]] = {"route": _route(record)}
    lanes["events"] = _bars(record, {Kind.BLOW, Kind.TOUCHDOWN, Kind.MANUAL})
    if contacts := _bars(record, {Kind.LASTING_CONTACT}):
        lanes["contacts"] = contacts
    if record.contacts:
        lanes["truth"] = [(c.start_s, c.end_s, TRUTH, c.label) for c in record.contacts]
    for lane, bars in lanes.items():
        starts, ends, colors, texts = zip(*bars, strict=True) if bars else ((), (), (), ())
        figure.add_trace(
            go.Bar(
                y=[lane] * len(bars),
                x=np.subtract(ends, starts),
                base=starts,
                orientation="h",
                # The outline keeps a bar of a few milliseconds visible.
                marker=dict(color=colors, line=dict(color=colors, width=1.5)),
                hovertext=texts,
                hovertemplate="%{hovertext}, from %{base:.4f} s<extra></extra>",
                showlegend=False,
            ),
            row=1,
            col=1,
        )
    figure.update_yaxes(type="category", categoryarray=list(lanes), row=1, col=1)


def _bars(record: RunRecord, kinds: set[Kind]) -> list[tuple[float, float, str, str]]:
    """Events of some kinds."""
    return [
        (
            *record.span_s(event),
            KINDS[event.kind],
            f"{event.kind.text} {event.sequence} {event.label}",
        )
        for event in record.final_events
        if event.kind in kinds
    ]


def _route(record: RunRecord) -> list[tuple[float, float, str, str]]:
    """Stretches of inferences on the transient path."""
    bars, start = [], None
    for inference in record.inferences:
        now = record.seconds(inference.window_end_ns)
        if inference.path is Route.TRANSIENT and start is None:
            start = now
        elif inference.path is Route.STEADY and start is not None:
            bars.append((start, now, TRANSIENT, "transient path"))
            start = None
    if start is not None:
        bars.append((start, record.duration_s, TRANSIENT, "transient path"))
    return bars


def _draw_inferences(figure: Any, record: RunRecord, row: int) -> None:
    """Score, class probabilities and anomaly score, from this row on."""
    times = np.array([record.seconds(i.window_end_ns) for i in record.inferences])
    score = np.array([i.score for i in record.inferences])
    _add_line(figure, row, times, score, "score", "#334155")
    figure.add_hline(y=1.0, line=dict(color="#dc2626", width=1, dash="dash"), row=row, col=1)
    if record.labels:
        row += 1
        probabilities = np.array([i.probabilities for i in record.inferences])
        probabilities = probabilities.reshape(-1, len(record.labels))
        # One selection for all: stacked areas need common times.
        kept = np.unique(np.concatenate([decimate(p, BUCKETS // 3) for p in probabilities.T]))
        for number, label in enumerate(record.labels):
            figure.add_trace(
                go.Scatter(
                    x=times[kept],
                    y=probabilities[kept, number].astype(np.float32),
                    name=label,
                    stackgroup="classes",
                    legend="legend2",
                    line=dict(width=0, color=label_color(record, label)),
                    hovertemplate="%{y:.2f} at %{x:.4f}",
                ),
                row=row,
                col=1,
            )
        figure.update_yaxes(range=[0, 1], row=row, col=1)
        top = figure.layout[f"yaxis{row}"].domain[1]
        figure.update_layout(
            legend2=dict(orientation="h", x=1, xanchor="right", y=top, yanchor="bottom")
        )
    errors = np.array([i.forecast_error for i in record.inferences])
    _add_line(figure, row + 1, times, errors, "error", "#334155")


def _add_line(figure: Any, row: int, times: Times, values: Times, name: str, color: str) -> None:
    kept = decimate(values, BUCKETS)
    line = go.Scatter(
        x=times[kept],
        y=values[kept].astype(np.float32),
        mode="lines",
        name=name,
        line=dict(color=color, width=1),
        showlegend=False,
        hovertemplate="%{y:.3g} at %{x:.4f}",
    )
    figure.add_trace(line, row=row, col=1)


def _shades(record: RunRecord) -> list[dict[str, Any]]:
    bands = [band(*record.span_s(event), event.kind) for event in record.final_events]
    return bands + [mark(touch.start_s) for touch in record.touches]
