"""A run as a recording for the Rerun viewer, with a layout of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tao_lora_ros.report.panels import INFERENCES, Series, inference_series, signal_series
from tao_lora_ros.report.record import RunRecord


def write_rerun(record: RunRecord, file: Path) -> None:
    """Write every sample, inference, event and label, by seconds from the first stamp.

    Raises:
        ImportError: there is no `rerun-sdk`.
    """
    import rerun as rr
    import rerun.blueprint as rrb

    out = rr.RecordingStream("tao_lora")
    series = {name: signal_series(record, name) for name in record.signals}
    series[INFERENCES] = inference_series(record, record.inferences)
    views = []
    for name, of in series.items():
        for panel, entity in _send(rr, out, name, of):
            views.append(rrb.TimeSeriesView(origin=entity, name=panel))
    for event in record.final_events:
        onset, end = record.span_s(event)
        words = [event.kind.text, event.label or "unknown", event.size.text, f"{end - onset:.3f} s"]
        out.set_time("run", duration=onset)
        text = rr.TextLog(", ".join(filter(None, words)), level="WARN")
        out.log("events", text)
    for contact in record.contacts:
        out.set_time("run", duration=contact.start_s)
        out.log("truth", rr.TextLog(contact.label, level="INFO"))
    views.append(rrb.TextLogView(origin="/", name="Events and truth"))
    out.save(file, default_blueprint=rrb.Blueprint(rrb.Vertical(*views)))


def _send(rr: Any, out: Any, name: str, of: Series) -> list[tuple[str, str]]:
    """Send a source; title and entity of each of its panels."""
    sent = []
    for number, panel in enumerate(of.panels):
        entity = f"{name}/{number}"
        columns = [channel.column for channel in panel.channels]
        lines = rr.SeriesLines(
            names=[channel.axis for channel in panel.channels],
            colors=[_rgb(channel.color) for channel in panel.channels],
        )
        out.log(entity, lines, static=True)
        known = np.isfinite(of.values[:, columns]).any(axis=1)
        scalars = rr.Scalars.columns(scalars=of.values[known][:, columns])
        times = rr.TimeColumn("run", duration=of.times[known])
        out.send_columns(entity, indexes=[times], columns=scalars)
        sent.append((panel.title, entity))
    return sent


def _rgb(color: str) -> list[int]:
    return list(bytes.fromhex(color.removeprefix("#")))
