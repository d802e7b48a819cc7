"""One run as one HTML page that needs nothing else: signals, route, events, latencies."""

from __future__ import annotations

from html import escape
from importlib import resources
from pathlib import Path as FilePath
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.record import TOLERANCE_S, RunRecord, Signal
from tao_lora_ros.engine.results import Event
from tao_lora_ros.router.router import Path
from tao_lora_ros.signal.source import unit_of

try:
    import plotly.graph_objects as go
    from plotly.offline import get_plotlyjs
    from plotly.subplots import make_subplots
except ImportError as error:
    raise ImportError(f"{error}; reports need plotly: pip install tao_lora_ros[report]") from None

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
MOST_ZOOMS = 30

Times = NDArray[np.float64]


def write_report(record: RunRecord, file: FilePath) -> None:
    """Write the page.

    Raises:
        OSError: the file cannot be written.
    """
    zoomed = record.final_events[:MOST_ZOOMS]
    figures = {"overview": overview(record)}
    figures |= {f"zoom-{event.sequence}": zoom(record, event) for event in zoomed}
    if record.inference_latencies_s:
        figures["latencies"] = latencies(record)
    template = resources.files("tao_lora_ros.bags").joinpath("report.html").read_text("utf-8")
    page = Template(template).substitute(
        title=escape(record.title),
        subtitle=escape(_subtitle(record)),
        tiles="".join(_tile(*tile) for tile in tiles(record)),
        events=_event_table(record),
        overview=_plot("overview", figures),
        zooms="".join(_zoom_card(record, event, figures) for event in zoomed) or _none("None."),
        latency=_plot("latencies", figures) or _none("Not measured in a replay."),
        figures="\n".join(_embedded(name, figure) for name, figure in figures.items()),
        plotly=get_plotlyjs(),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, "utf-8")


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


def overview(record: RunRecord) -> Any:
    """All panels over one time axis."""
    signals = [
        (source, column, quantity)
        for source, at in zip(record.signals, range(0, len(record.channels), 6), strict=True)
        for column, quantity in _reported(record, source, at)
    ]
    titles = ["", *(_title(source, quantity) for source, _, quantity in signals)]
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
    for row, (source, column, _) in enumerate(signals, start=2):
        times, values = _series(record, source, slice(column, column + 3))
        for trace in _axes_traces(times, values, legend=row == 2):
            figure.add_trace(trace, row=row, col=1)
    _draw_inferences(figure, record, row=len(signals) + 2)
    figure.update_layout(
        **_layout(height=inner + margin["t"] + margin["b"]),
        barmode="overlay",
        legend=dict(orientation="h", x=0, y=1, yanchor="bottom"),
        margin=margin,
    )
    figure.update_xaxes(range=[0, max(record.duration_s, 1e-3)])
    figure.update_xaxes(title_text="seconds from the first stamp", row=len(titles), col=1)
    figure.update_annotations(font_size=12, x=0, xanchor="left", font_color="#475569")
    return figure


def _reported(record: RunRecord, source: str, at: int) -> list[tuple[int, str]]:
    """Column and quantity of the halves of a source that hold any value."""
    values = record.signals[source].values
    halves = ((column, record.channels[at + column]) for column in (0, 3))
    return [
        (column, channel.rpartition("_")[0])
        for column, channel in halves
        if np.isfinite(values[:, column]).any()
    ]


def _title(source: str, channel: str) -> str:
    quantity = QUANTITIES[channel.rpartition(".")[2]]
    return f"{quantity} · {source} [{unit_of(channel).replace('^2', '²')}]"


def _series(record: RunRecord, source: str, columns: slice) -> tuple[Times, Times]:
    """Times in seconds with the lag taken off, and values, a row of NaN in every hole."""
    stamps, values = record.signals[source]
    times = (stamps - record.start_ns) * 1e-9 - record.lags_s.get(source, 0.0)
    steps = np.diff(times)
    limit = max(5 * np.median(steps), 0.02) if steps.size else np.inf
    holes = np.flatnonzero(steps > limit) + 1
    return np.insert(times, holes, times[holes]), np.insert(values[:, columns], holes, np.nan, 0)


def _axes_traces(times: Times, values: Times, legend: bool, mode: str = "lines") -> list[Any]:
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


def _draw_timeline(figure: Any, record: RunRecord) -> None:
    """Lanes of truth, events and route, as bars."""
    lanes: dict[str, list[tuple[float, float, str, str]]] = {"route": _route(record)}
    lanes["events"] = [
        (*record.span_s(event), EVENT, f"event {event.sequence} {event.label}")
        for event in record.final_events
    ]
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


def _route(record: RunRecord) -> list[tuple[float, float, str, str]]:
    """Stretches of inferences on the transient path."""
    bars, start = [], None
    for inference in record.inferences:
        now = record.seconds(inference.window_end_ns)
        if inference.path is Path.TRANSIENT and start is None:
            start = now
        elif inference.path is Path.STEADY and start is not None:
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
                    line=dict(width=0, color=_color(record, label)),
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


def _color(record: RunRecord, label: str) -> str:
    known = label in record.labels
    return LABELS[record.labels.index(label) % len(LABELS)] if known else LABELS[0]


def _band(start: float, end: float) -> dict[str, Any]:
    shape = dict(type="rect", xref="x", yref="paper", y0=0, y1=1, layer="below", line_width=0)
    return shape | dict(x0=start, x1=end, fillcolor=EVENT, opacity=0.18)


def _mark(time: float) -> dict[str, Any]:
    shape = dict(type="line", xref="x", yref="paper", y0=0, y1=1, layer="below")
    return shape | dict(x0=time, x1=time, line=dict(color=TRUTH, width=1, dash="dot"))


def _shades(record: RunRecord) -> list[dict[str, Any]]:
    bands = [_band(*record.span_s(event)) for event in record.final_events]
    return bands + [_mark(touch.start_s) for touch in record.touches]


def _layout(height: int) -> dict[str, Any]:
    return dict(
        template="plotly_white",
        height=height,
        font=dict(size=11, color="#334155"),
        hovermode="closest",
    )


def zoom(record: RunRecord, event: Event) -> Any:
    """The raw samples around an onset, of each source the livelier quantity; time in ms."""
    onset, end = record.span_s(event)
    before, after = 0.06, float(np.clip(1.3 * (end - onset), 0.12, 0.4))
    shares = dict(event.channels)
    panels = []
    for source, at in zip(record.signals, range(0, len(record.channels), 6), strict=True):
        halves = _reported(record, source, at)
        if halves:
            weight = [sum(shares.get(f"{q}_{axis}", 0.0) for axis in AXES) for _, q in halves]
            panels.append((source, *halves[int(np.argmax(weight))]))
    titles = [_title(source, quantity) for source, _, quantity in panels]
    figure = make_subplots(
        rows=max(len(panels), 1), shared_xaxes=True, vertical_spacing=0.14, subplot_titles=titles
    )
    for row, (source, column, _) in enumerate(panels, start=1):
        times, values = _series(record, source, slice(column, column + 3))
        near = (times >= onset - before) & (times <= onset + after)
        milliseconds = (times[near] - onset) * 1e3
        for trace in _axes_traces(milliseconds, values[near], row == 1, "lines+markers"):
            figure.add_trace(trace, row=row, col=1)
    marks = [_mark((touch.start_s - onset) * 1e3) for touch in record.touches]
    figure.update_layout(
        **_layout(height=110 * max(len(panels), 1) + 70),
        shapes=[_band(0.0, (end - onset) * 1e3), *marks],
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
    for path, color in ((Path.STEADY, "#94a3b8"), (Path.TRANSIENT, TRANSIENT)):
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
        **_layout(height=260),
        barmode="stack",
        legend=dict(orientation="h", x=0.46, xanchor="right", y=1, yanchor="top"),
        margin=dict(l=46, r=20, t=34, b=30),
    )
    figure.update_annotations(font_size=12, font_color="#475569")
    return figure


def tiles(record: RunRecord) -> list[tuple[str, str, str]]:
    """Name, value and a line more of each number at the top."""
    transient = sum(inference.path is Path.TRANSIENT for inference in record.inferences)
    total, duration = len(record.inferences), max(record.duration_s, 1e-9)
    rates = ", ".join(f"{name} {_rate(signal)}" for name, signal in record.signals.items())
    spans = [record.span_s(event) for event in record.final_events]
    duty = sum(end - onset for onset, end in spans) / duration
    found = [
        ("Duration", f"{record.duration_s:.1f} s", rates),
        (
            "Inferences",
            f"{total}",
            f"{total - transient} steady, {transient} transient; {total / duration:.0f} a second",
        ),
        ("Events", f"{len(spans)}", f"{duty:.1%} of the time"),
    ]
    found += _truth_tiles(record)
    for name, values in (
        ("Onset to event", list(record.onset_latencies_s.values())),
        ("Inference latency", record.inference_latencies_s),
    ):
        if values:
            p50, p99, most = 1e3 * np.percentile(values, (50, 99, 100))
            found.append((name, f"{p50:.2f} ms", f"p50; p99 {p99:.2f}, max {most:.2f} ms"))
    kinds = ", ".join(f"{kind.replace('_', ' ')} {n}" for kind, n in record.rejected.items())
    found.append(("Messages refused", f"{sum(record.rejected.values())}", kinds or "none"))
    return found + [(name, value, "") for name, value in record.notes.items()]


def _truth_tiles(record: RunRecord) -> list[tuple[str, str, str]]:
    if not record.contacts:
        return []
    outcomes = [(touch, record.outcome(touch)) for touch in record.touches]
    counts = {kind: sum(o == kind for _, o in outcomes) for kind in ("found", "covered", "missed")}
    more = f"by an onset within 50 ms; {counts['covered']} within an open event, "
    more += f"{counts['missed']} missed"
    clear = [outcome for touch, outcome in outcomes if touch.peak_sigma > 5]
    if clear:
        more += f"; above 5 σ: {clear.count('found')} of {len(clear)}"
    others = sum(not record.touched(event) for event in record.final_events)
    return [
        ("Contacts found", f"{counts['found']} of {len(outcomes)}", more),
        ("Events without contact", f"{others}", f"{3600 * others / record.duration_s:.0f} an hour"),
    ]


def _rate(signal: Signal) -> str:
    steps = np.diff(signal.stamps_ns)
    return f"{1e9 / np.median(steps):.0f} Hz" if steps.size else "silent"


def _subtitle(record: RunRecord) -> str:
    return f"model {record.model_id} {record.model_version}, {len(record.channels)} channels"


def _tile(name: str, value: str, more: str) -> str:
    lines = zip(("name", "value", "more"), (name, value, more), strict=True)
    return '<div class="tile">{}</div>'.format(
        "".join(f'<div class="{kind}">{escape(text)}</div>' for kind, text in lines)
    )


def _event_table(record: RunRecord) -> str:
    if not record.final_events:
        return _none("Nothing happened.")
    names = {
        "#": "sequence number",
        "onset s": "seconds from the first stamp",
        "peak ms": "from the onset",
        "lasts ms": "from onset to end",
        "score": "highest router score; 1 is the threshold",
    }
    if record.onset_latencies_s:
        names["reported ms"] = "from the onset sample's publication to the event's"
    head = "".join(f'<th class="n" title="{help}">{name}</th>' for name, help in names.items())
    head += "<th>label</th><th>driven by</th>"
    head += "<th>nearest truth</th>" if record.contacts else ""
    rows = "".join(_event_row(record, event) for event in record.final_events)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _event_row(record: RunRecord, event: Event) -> str:
    onset, end = record.span_s(event)
    peak_ms = (event.peak_ns - event.onset_ns) * 1e-6
    numbers = [f"{event.sequence}", f"{onset:.4f}", f"{peak_ms:.0f}"]
    numbers += [f"{1e3 * (end - onset):.0f}" if event.end_ns else "open", f"{event.peak_score:.2f}"]
    if record.onset_latencies_s:
        heard = record.onset_latencies_s.get(event.sequence)
        numbers.append("" if heard is None else f"{1e3 * heard:.1f}")
    cells = "".join(f'<td class="n">{number}</td>' for number in numbers)
    shares = "".join(
        f'<span class="share" style="--w:{share:.0%}">{escape(name)} {share:.0%}</span>'
        for name, share in event.channels[:3]
    )
    cells += f"<td>{_label(record, event)}</td><td>{shares}</td>"
    if truth := record.nearest_truth(event):
        text, offset = truth
        kind = "near" if abs(offset) <= TOLERANCE_S else "far"
        cells += f'<td class="{kind}">{escape(text)} {1e3 * offset:+.1f} ms</td>'
    return f'<tr data-from="{onset - 0.3:.3f}" data-to="{end + 0.3:.3f}">{cells}</tr>'


def _label(record: RunRecord, event: Event) -> str:
    if not event.label:
        return ""
    color = _color(record, event.label)
    text = f"{escape(event.label)} {event.probability:.0%}"
    return f'<span class="label" style="background:{color}">{text}</span>'


def _zoom_card(record: RunRecord, event: Event, figures: dict[str, Any]) -> str:
    onset = f"<span>{record.seconds(event.onset_ns):.4f} s</span>"
    head = f"<b>{event.sequence}</b>{_label(record, event)}{onset}"
    plot = _plot(f"zoom-{event.sequence}", figures)
    return f'<div class="card"><div class="head">{head}</div>{plot}</div>'


def _plot(name: str, figures: dict[str, Any]) -> str:
    """The place of a figure, of its height already; nothing where there is none."""
    if name not in figures:
        return ""
    return f'<div class="plot" id="{name}" style="height:{figures[name].layout.height}px"></div>'


def _none(text: str) -> str:
    return f'<div class="none">{text}</div>'


def _embedded(name: str, figure: Any) -> str:
    data = figure.to_json().replace("</", "<\\/")
    return f'<script type="application/json" id="{name}-figure">{data}</script>'
