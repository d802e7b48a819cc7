"""One run as one HTML page that needs nothing else: signals, route, events, latencies."""

from __future__ import annotations

from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

try:
    from plotly.offline import get_plotlyjs
except ImportError as error:
    raise ImportError(f"{error}; reports need plotly: pip install tao_lora_ros[report]") from None

from tao_lora_ros.messages.results import Event, name_text
from tao_lora_ros.messages.route import Route
from tao_lora_ros.report.closeups import latencies, zoom
from tao_lora_ros.report.drawing import label_color
from tao_lora_ros.report.overview import overview
from tao_lora_ros.report.record import TOLERANCE_S, RunRecord, Signal

MOST_ZOOMS = 30


def write_report(record: RunRecord, file: Path) -> None:
    """Write the page.

    Raises:
        OSError: the file cannot be written.
    """
    zoomed = record.final_events[:MOST_ZOOMS]
    figures = {"overview": overview(record)}
    figures |= {f"zoom-{event.sequence}": zoom(record, event) for event in zoomed}
    if record.inference_latencies_s:
        figures["latencies"] = latencies(record)
    template = resources.files("tao_lora_ros.report").joinpath("report.html").read_text("utf-8")
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


def tiles(record: RunRecord) -> list[tuple[str, str, str]]:
    """Name, value and a line more of each number at the top."""
    transient = sum(inference.path is Route.TRANSIENT for inference in record.inferences)
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
    names = record.true_names
    right = sum(said == true for said, true in names)
    unknown = sum(not said for said, _ in names)
    wrong = f"{unknown} unknown, {len(names) - right - unknown} called otherwise"
    return [
        ("Named right", f"{right} of {len(names)}", wrong),
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
    head += "<th>kind</th><th>label</th><th>driven by</th>"
    head += "<th>nearest truth</th>" if record.contacts else ""
    rows = "".join(_event_row(record, event) for event in record.final_events)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _event_row(record: RunRecord, event: Event) -> str:
    onset, end = record.span_s(event)
    peak_ms = (event.peak_ns - event.onset_ns) * 1e-6
    numbers = [f"{event.sequence}", f"{onset:.4f}", f"{peak_ms:.0f}"]
    numbers += [f"{1e3 * (end - onset):.0f}" if event.end_ns else "open", f"{event.peak_score:.2f}"]
    if record.onset_latencies_s:
        latency_s = record.onset_latencies_s.get(event.sequence)
        numbers.append("" if latency_s is None else f"{1e3 * latency_s:.1f}")
    cells = "".join(f'<td class="n">{number}</td>' for number in numbers)
    shares = "".join(
        f'<span class="share" style="--w:{share:.0%}">{escape(name)} {share:.0%}</span>'
        for name, share in event.channels[:3]
    )
    cells += f"<td>{_kind(event)}</td><td>{_label(record, event)}</td><td>{shares}</td>"
    if truth := record.nearest_truth(event):
        text, offset = truth
        kind = "near" if abs(offset) <= TOLERANCE_S else "far"
        cells += f'<td class="{kind}">{escape(text)} {1e3 * offset:+.1f} ms</td>'
    return f'<tr data-from="{onset - 0.3:.3f}" data-to="{end + 0.3:.3f}">{cells}</tr>'


def _kind(event: Event) -> str:
    """What found an event, and how hard it was."""
    return ", ".join(filter(None, (event.kind.text, event.size.text)))


def _label(record: RunRecord, event: Event) -> str:
    text = escape(name_text(event.label, event.probability))
    if not text:
        return ""
    color = label_color(record, event.label)
    return f'<span class="label" style="background:{color}">{text}</span>'


def _zoom_card(record: RunRecord, event: Event, figures: dict[str, Any]) -> str:
    onset = f"<span>{record.seconds(event.onset_ns):.4f} s</span>"
    head = f"<b>{event.sequence}</b>{_label(record, event)}<span>{_kind(event)}</span>{onset}"
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
