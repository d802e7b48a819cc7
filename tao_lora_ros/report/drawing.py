"""What the figures of a report share: colours, decimation, traces of three axes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from tao_lora_ros.messages.results import Kind
from tao_lora_ros.report.record import RunRecord
from tao_lora_ros.report.traces import AXES, decimate, title_of
from tao_lora_ros.signal.source import axis_of, quantities

LABELS = ("#94a3b8", "#d9480f", "#1c7ed6", "#7048e8", "#0ca678", "#f08c00", "#c2255c", "#5c940d")
EVENT, TRUTH, TRANSIENT = "#f59f00", "#0f766e", "#7c3aed"
KINDS = {
    Kind.BLOW: EVENT,
    Kind.LASTING_CONTACT: "#2563eb",
    Kind.TOUCHDOWN: "#16a34a",
    Kind.MANUAL: "#475569",
}
BUCKETS = 1500  # about one a pixel of the widest plot

Times = NDArray[np.float64]


class Panel(NamedTuple):
    """One quantity of a source: its channels, and their columns among the source's values."""

    source: str
    channels: tuple[str, ...]
    columns: slice

    @property
    def title(self) -> str:
        return title_of(self.channels[0])


def reported(record: RunRecord, source: str) -> list[Panel]:
    """The quantities of a source that hold any value."""
    values = record.signals[source].values
    own = tuple(name for name in record.channels if name.rpartition(".")[0] == source)
    return [
        Panel(source, own[columns], columns)
        for columns in quantities(own).values()
        if np.isfinite(values[:, columns]).any()
    ]


def series(record: RunRecord, panel: Panel) -> tuple[Times, Times]:
    """Times in seconds with the lag taken off, and values, a row of NaN in every hole."""
    stamps, values = record.signals[panel.source]
    times = (stamps - record.start_ns) * 1e-9 - record.lags_s.get(panel.source, 0.0)
    steps = np.diff(times)
    limit = max(5 * np.median(steps), 0.02) if steps.size else np.inf
    holes = np.flatnonzero(steps > limit) + 1
    values = np.insert(values[:, panel.columns], holes, np.nan, 0)
    return np.insert(times, holes, times[holes]), values


def draw_panels(
    figure: Any, rows: Iterable[tuple[int, Panel, Times, Times]], mode: str = "lines"
) -> None:
    """Draw times and values of panels into rows; each axis is in the legend once."""
    named: set[str] = set()
    for row, panel, times, values in rows:
        for trace in _traces(panel, times, values, mode):
            trace.showlegend = trace.name not in named
            named.add(trace.name)
            figure.add_trace(trace, row=row, col=1)


def _traces(panel: Panel, times: Times, values: Times, mode: str) -> list[Any]:
    traces = []
    for channel, color, column in zip(panel.channels, cycle(AXES), values.T, strict=False):
        axis = axis_of(channel)
        kept = decimate(column, BUCKETS)
        traces.append(
            go.Scatter(
                x=times[kept],
                y=column[kept].astype(np.float32),
                mode=mode,
                name=axis,
                legendgroup=axis,
                line=dict(color=color, width=1),
                marker=dict(size=3),
                hovertemplate="%{y:.4g} at %{x:.4f}",
            )
        )
    return traces


def label_color(record: RunRecord, label: str) -> str:
    names = {event.label for event in record.events} - {*record.labels, ""}
    known = [*record.labels, *sorted(names)]
    return LABELS[known.index(label) % len(LABELS)] if label in known else LABELS[0]


def band(start: float, end: float, kind: Kind) -> dict[str, Any]:
    shape = dict(type="rect", xref="x", yref="paper", y0=0, y1=1, layer="below", line_width=0)
    return shape | dict(x0=start, x1=end, fillcolor=KINDS[kind], opacity=0.18)


def mark(time: float) -> dict[str, Any]:
    shape = dict(type="line", xref="x", yref="paper", y0=0, y1=1, layer="below")
    return shape | dict(x0=time, x1=time, line=dict(color=TRUTH, width=1, dash="dot"))


def layout(height: int) -> dict[str, Any]:
    return dict(
        template="plotly_white",
        height=height,
        font=dict(size=11, color="#334155"),
        hovermode="closest",
    )
