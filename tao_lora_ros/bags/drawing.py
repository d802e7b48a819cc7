"""What the figures of a report share: colours, decimation, traces of three axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from tao_lora_ros.bags.record import RunRecord
from tao_lora_ros.signal.source import unit_of

AXES = {"x": "#d1495b", "y": "#2e8b57", "z": "#2f6fb5"}
LABELS = ("#94a3b8", "#d9480f", "#1c7ed6", "#7048e8", "#0ca678", "#f08c00", "#c2255c", "#5c940d")
EVENT, TRUTH, TRANSIENT = "#f59f00", "#0f766e", "#7c3aed"
QUANTITIES = {
    "accel": "Acceleration",
    "gyro": "Angular velocity",
    "force": "Force",
    "torque": "Torque",
}
BUCKETS = 1500  # about one a pixel of the widest plot

Times = NDArray[np.float64]


def decimate(values: NDArray[np.float64], buckets: int) -> NDArray[np.int64]:
    """Indices, ascending, of the samples to draw: each bucket's least, greatest and first NaN.

    So no spike is lost, however short, and no gap; short signals are kept whole.
    """
    count = len(values)
    if count <= 3 * buckets:
        return np.arange(count)
    size = -(-count // buckets)
    table = np.full((-(-count // size), size), np.nan)
    table.reshape(-1)[:count] = values
    gaps = np.isnan(table)
    least = np.where(gaps, np.inf, table).argmin(axis=1)
    greatest = np.where(gaps, -np.inf, table).argmax(axis=1)
    picked = np.stack([least, greatest, np.where(gaps.any(axis=1), gaps.argmax(axis=1), least)])
    kept = np.unique(picked + size * np.arange(len(table)))
    return kept[kept < count]


def reported(record: RunRecord, source: str, at: int) -> list[tuple[int, str]]:
    """Column and quantity of the halves of a source that hold any value."""
    values = record.signals[source].values
    halves = ((column, record.channels[at + column]) for column in (0, 3))
    return [
        (column, channel.rpartition("_")[0])
        for column, channel in halves
        if np.isfinite(values[:, column]).any()
    ]


def panel_title(source: str, channel: str) -> str:
    quantity = QUANTITIES[channel.rpartition(".")[2]]
    return f"{quantity} · {source} [{unit_of(channel).replace('^2', '²')}]"


def series(record: RunRecord, source: str, columns: slice) -> tuple[Times, Times]:
    """Times in seconds with the lag taken off, and values, a row of NaN in every hole."""
    stamps, values = record.signals[source]
    times = (stamps - record.start_ns) * 1e-9 - record.lags_s.get(source, 0.0)
    steps = np.diff(times)
    limit = max(5 * np.median(steps), 0.02) if steps.size else np.inf
    holes = np.flatnonzero(steps > limit) + 1
    return np.insert(times, holes, times[holes]), np.insert(values[:, columns], holes, np.nan, 0)


def axes_traces(times: Times, values: Times, legend: bool, mode: str = "lines") -> list[Any]:
    traces = []
    for (axis, color), column in zip(AXES.items(), values.T, strict=True):
        kept = decimate(column, BUCKETS)
        traces.append(
            go.Scatter(
                x=times[kept],
                y=column[kept].astype(np.float32),
                mode=mode,
                name=axis,
                legendgroup=axis,
                showlegend=legend,
                line=dict(color=color, width=1),
                marker=dict(size=3),
                hovertemplate="%{y:.4g} at %{x:.4f}",
            )
        )
    return traces


def label_color(record: RunRecord, label: str) -> str:
    known = label in record.labels
    return LABELS[record.labels.index(label) % len(LABELS)] if known else LABELS[0]


def band(start: float, end: float) -> dict[str, Any]:
    shape = dict(type="rect", xref="x", yref="paper", y0=0, y1=1, layer="below", line_width=0)
    return shape | dict(x0=start, x1=end, fillcolor=EVENT, opacity=0.18)


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
