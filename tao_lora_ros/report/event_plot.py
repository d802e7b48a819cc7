"""One stored event as a page: every quantity of every source over its whole stretch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tao_lora_ros.messages.files import naming
from tao_lora_ros.messages.results import Event
from tao_lora_ros.preservation.event_record import StoreError
from tao_lora_ros.report.provenance import of_software
from tao_lora_ros.report.record import RunRecord, Signal
from tao_lora_ros.report.report import run_page


def plot_event(event: Event, title: str, store: Path, file: Path) -> None:
    """Draw an event as a page that needs nothing else; seconds count from its onset.

    Args:
        event: with its raw samples.
        title: what to write above it.
        store: where it comes from.
        file: an `.html` page.

    Raises:
        StoreError: another kind of file, or it cannot be written.
    """
    if file.suffix != ".html":
        raise StoreError(f"{file}: expected a name that ends in .html; its page prints as PDF")
    provenance = {"store": f"{store}", "onset": f"{event.onset_ns} ns"} | of_software()
    record = replace(event_run(event), title=title, provenance=provenance)
    frames = ", ".join(f"{raw.source} in {raw.frame_id}" for raw in event.raw)
    with naming(StoreError, file):
        file.write_text(run_page(record, f"0 s is the onset; {frames}", [], []), "utf-8")


def event_run(event: Event) -> RunRecord:
    """An event with its raw samples as a run of its own; seconds count from the onset."""
    return RunRecord(
        title="",
        start_ns=event.onset_ns,
        channels=tuple(name for raw in event.raw for name in raw.channels),
        signals={raw.source: Signal(raw.stamps_ns, raw.values) for raw in event.raw},
        lags_s={raw.source: raw.lag_ns * 1e-9 for raw in event.raw},
        events=[event],
    )
