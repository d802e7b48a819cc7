"""One run as one HTML page that needs nothing else: signals, route, events, latencies."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from tao_lora_ros.messages.route import Route
from tao_lora_ros.report.charts import Chart, histogram
from tao_lora_ros.report.page import asset, page
from tao_lora_ros.report.panels import LABELS
from tao_lora_ros.report.record import RunRecord, Signal
from tao_lora_ros.report.run_data import EVENT, TRANSIENT, run_data

Tile = tuple[str, str, str]


def write_report(record: RunRecord, file: Path) -> None:
    """Write the page: about 14 MB at most, of an hour at 1 kHz with 400 events.

    Raises:
        OSError: the file cannot be written.
    """
    about = f"model {record.model_id} {record.model_version}, {len(record.channels)} channels"
    text = run_page(record, about, tiles(record), _latency_charts(record))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8", "backslashreplace")  # a path may be no text


def run_page(record: RunRecord, about: str, tiles: Sequence[Tile], charts: Sequence[Chart]) -> str:
    """The page as text.

    Args:
        record: the run.
        about: a line below the title.
        tiles: of `tiles`.
        charts: to draw below the events.
    """
    data = run_data(record)
    data |= {"tiles": tiles, "provenance": record.provenance, "charts": charts}
    body = Template(asset("report.html")).substitute(
        title=escape(record.title), subtitle=escape(about)
    )
    return page(record.title, body, data, ["report.js", "opened.js"], ["report.css"])


def tiles(record: RunRecord) -> list[Tile]:
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
    for name, text in record.notes.items():
        value, _, more = text.partition("; ")
        found.append((name, value, more))
    return found


def _truth_tiles(record: RunRecord) -> list[Tile]:
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


def _latency_charts(record: RunRecord) -> list[Chart]:
    """How often an inference, and an onset, took how long; none of a replay."""
    charts = []
    if record.inference_latencies_s:
        values = 1e3 * np.array(record.inference_latencies_s)
        paths = np.array([inference.path for inference in record.inferences])
        groups = [
            (f"{path.name.lower()} path", color, values[paths == path])
            for path, color in ((Route.STEADY, LABELS[0]), (Route.TRANSIENT, TRANSIENT))
        ]
        charts.append(histogram("Newest sample's arrival to inference published", "ms", groups))
    if record.onset_latencies_s:
        onsets = [1e3 * value for value in record.onset_latencies_s.values()]
        title = "Onset sample published to event published"
        charts.append(histogram(title, "ms", [("", EVENT, onsets)]))
    return charts
