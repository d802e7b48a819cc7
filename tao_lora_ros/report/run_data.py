"""A run as the data of its page: panels of signals, lanes, events, numbers.

Long signals come as least and greatest of buckets of time, and as every sample around the events;
the page draws those where few enough are in sight. All seconds count from the run's first stamp.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.results import Event, Kind, name_text
from tao_lora_ros.messages.route import Route
from tao_lora_ros.report.envelope import Seconds, Span, bucket_edges, envelope, spans_within
from tao_lora_ros.report.panels import (
    INFERENCES,
    Series,
    inference_series,
    label_color,
    names_in,
    panel_row,
    signal_series,
)
from tao_lora_ros.report.record import TOLERANCE_S, RunRecord

EVENT, TRUTH, TRANSIENT = "#f59f00", "#12897d", "#7c3aed"
KINDS = {
    Kind.BLOW: EVENT,
    Kind.LASTING_CONTACT: "#2f7bf0",
    Kind.TOUCHDOWN: "#16a34a",
    Kind.MANUAL: "#64748b",
}
_BUCKETS = 4000  # two a pixel of a wide screen
_ENVELOPE_BYTES, _SAMPLE_BYTES = 1_600_000, 8_000_000  # a third more as text
_BEFORE_S, _AFTER_S = 0.1, 0.25  # of an event, every sample


def run_data(record: RunRecord) -> dict[str, Any]:
    """Everything that the page draws, ready for JSON."""
    series = {name: signal_series(record, name) for name in record.signals}
    series[INFERENCES] = inference_series(record, record.inferences)
    wanted = [
        (onset - _BEFORE_S, end + _AFTER_S)
        for onset, end in map(record.span_s, record.final_events)
    ]
    return {
        "end": record.duration_s,
        "start_ms": record.start_ns / 1e6,
        **drawn(series, wanted),
        "lanes": lanes(record),
        "events": [event_row(record, event) for event in record.final_events],
        "labels": {name: label_color(record, name) for name in names_in(record)},
    }


def drawn(series: dict[str, Series], wanted: Sequence[Span]) -> dict[str, Any]:
    """Buckets, samples and panels of all sources, within what a page may hold."""
    series = {name: of for name, of in series.items() if len(of.times) and of.panels}
    begin = min((of.times[0] for of in series.values()), default=0.0)
    end = max((of.times[-1] for of in series.values()), default=0.0)
    count = sum(len(panel.channels) for of in series.values() for panel in of.panels)
    buckets = int(min(_BUCKETS, _ENVELOPE_BYTES / (8 * max(count, 1))))
    large = [of for of in series.values() if len(of.times) > 2 * buckets]
    held = sum(len(of.times) * (8 + 4 * of.values.shape[1]) for of in large)
    spans, cut_s = [(begin, end)], None
    if held > _SAMPLE_BYTES:
        spans, cut_s = spans_within(wanted, (end - begin) * _SAMPLE_BYTES / held)
    edges = bucket_edges((begin, end), buckets, spans)
    found: dict[str, Any] = {"sources": {}, "panels": []}
    for name, of in series.items():
        whole = len(of.times) <= 2 * buckets
        source, panels = _source(name, of, [(begin, end)] if whole else spans, edges, not whole)
        found["sources"][name] = source
        found["panels"] += panels
    return found | {"edges": packed(edges), "cut": cut_s, "whole": cut_s is None}


def _source(
    name: str, of: Series, spans: Sequence[Span], edges: Seconds, enveloped: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Times of a source's samples within spans, and its panels."""
    bounds = np.searchsorted(of.times, np.reshape(spans, (-1, 2)))
    if len(bounds):
        bounds[-1, 1] = np.searchsorted(of.times, spans[-1][1], "right")
    rows = np.concatenate([np.arange(0), *(np.arange(*pair) for pair in bounds)])
    source = {
        "spans": [
            [*span, int(count)] for span, count in zip(spans, np.diff(bounds).ravel(), strict=True)
        ],
        "times": packed(of.times[rows]),
        "enveloped": enveloped,
        "rate": _rate(of.times),
    }
    low, high = envelope(of.times, of.values, edges) if enveloped else (None, None)
    panels = [panel_row(name, panel) for panel in of.panels]
    for line in (line for panel in panels for line in panel["lines"]):
        column = line["column"]
        line["values"] = packed(of.values[rows, column].astype(np.float32))
        if low is not None and high is not None:
            line |= {"low": packed(low[column]), "high": packed(high[column])}
    return source, panels


def packed(values: NDArray[Any]) -> str:
    """Numbers as the page unpacks them: little-endian bytes in base64."""
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(little.tobytes()).decode()


def _rate(times: Seconds) -> float | None:
    steps = np.diff(times)
    return round(1.0 / float(np.median(steps)), 1) if steps.size and np.median(steps) > 0 else None


def lanes(record: RunRecord) -> list[dict[str, Any]]:
    """Stretches over time by what they are: from, to, colour, text, and the event's number."""
    names = {Kind.LASTING_CONTACT: "contacts"}
    found: dict[str, list[list[Any]]] = {}
    if record.inferences:
        found |= {"route": _route(record), "events": []}
    for event in record.final_events:
        lane = found.setdefault(names.get(event.kind, "events"), [])
        text = f"{event.kind.text} {event.sequence} {event.label}".strip()
        lane.append([*record.span_s(event), KINDS[event.kind], text, event.sequence])
    if record.contacts:
        found["truth"] = [[c.start_s, c.end_s, TRUTH, c.label] for c in record.contacts]
    return [{"name": name, "bars": bars} for name, bars in found.items()]


def _route(record: RunRecord) -> list[list[Any]]:
    """Stretches of inferences on the transient path."""
    ends = np.array([record.seconds(i.window_end_ns) for i in record.inferences])
    on = np.array([i.path is Route.TRANSIENT for i in record.inferences], np.int8)
    turns = np.flatnonzero(np.diff(on, prepend=0, append=0))
    ends = np.append(ends, record.duration_s)
    return [
        [ends[begin], ends[end], TRANSIENT, "transient path"]
        for begin, end in turns.reshape(-1, 2).tolist()
    ]


def event_row(record: RunRecord, event: Event) -> dict[str, Any]:
    """What the table says of an event; None where it is not known."""
    onset, end = record.span_s(event)
    truth = record.nearest_truth(event)
    text, offset = truth or (None, 0.0)
    latency_s = record.onset_latencies_s.get(event.sequence)
    return {
        "number": event.sequence,
        "from": onset,
        "to": end,
        "open": not event.end_ns,
        "peak": record.seconds(event.peak_ns),
        "peak_score": round(event.peak_score, 3),
        "kind": event.kind.text,
        "color": KINDS[event.kind],
        "label": event.label or None,
        "called": name_text(event.label, event.probability) or None,
        "probability": round(event.probability, 4),
        "size": event.size.text,
        "peak_force": _known(event.size.peak_force),
        "duration": end - onset,
        "reported_ms": None if latency_s is None else round(1e3 * latency_s, 2),
        "truth": text,
        "truth_ms": None if text is None else round(1e3 * offset, 1),
        "near": bool(abs(offset) <= TOLERANCE_S),
        "channels": [[name, round(share, 3)] for name, share in event.channels[:3]],
    }


def _known(value: float) -> float | None:
    return None if value != value else round(value, 3)
