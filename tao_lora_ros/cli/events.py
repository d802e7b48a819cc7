"""`tao-lora events`: list, show, label, export, plot and verify what the event store holds."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from tao_lora_ros.cli.arguments import UsageError, event_number
from tao_lora_ros.cli.event_export import add_export_arguments, export_events
from tao_lora_ros.cli.outputs import add_json_and_force, add_output, table, tell, written
from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Kind, Size, name_text
from tao_lora_ros.messages.stamps import moment_of
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.preservation.event_catalogue import (
    EVENTS,
    default_store,
    find_entry,
    read_entries,
    read_event,
)
from tao_lora_ros.preservation.event_entry import Entry
from tao_lora_ros.preservation.event_labels import label_event, read_history, undo_label
from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.event_table import event_rows
from tao_lora_ros.preservation.event_verify import verify
from tao_lora_ros.preservation.parquet import Row
from tao_lora_ros.report.event_plot import plot_event
from tao_lora_ros.signal.source import unit_of

_TOP_CHANNELS = 3
_COLUMNS = (
    *("number", "onset (UTC)", "duration", "score", "kind", "how hard"),
    *("label", "model says", "size", "channels"),
)


def add_events_parser(subparsers: Any) -> None:
    """Add `events` and its own commands to the subparsers of `tao-lora`.

    The commands raise `StoreError` for what the user got wrong or the disk has lost.
    """
    events = subparsers.add_parser("events", help="list, show, export, plot, verify stored events")
    commands = events.add_subparsers(required=True, metavar="COMMAND")

    listing = _add(commands, "list", list_events, "one line an event")
    listing.add_argument("--label", metavar="NAME", help="only events that are called so")

    show = _add(commands, "show", show_event, "all that is known of an event")
    _add_number(show)

    label = _add(commands, "label", name_event, "say what an event was")
    _add_number(label)
    label.add_argument("name", nargs="?", help="what to call it; without one, tell its history")
    how = label.add_mutually_exclusive_group()
    how.add_argument("--clear", action="store_true", help="take the label away")
    how.add_argument("--undo", action="store_true", help="take the last step back")

    export = _add(commands, "export", export_events, "as bag, CSV, Parquet, labels or for LeRobot")
    add_export_arguments(export)

    plot = _add(commands, "plot", draw_event, "an event's raw samples as a picture")
    _add_number(plot)
    add_output(plot, "--out", required=True, metavar="FILE", help="an .html page")

    _add(commands, "verify", verify_events, "check every event; status 1 where one is damaged")


def _add(
    commands: Any, name: str, run: Callable[[Namespace], int | None], text: str
) -> ArgumentParser:
    parser: ArgumentParser = commands.add_parser(name, help=text)
    parser.set_defaults(run=run)
    parser.add_argument(
        "--store", type=Path, default=default_store(), metavar="DIR", help="folder of the events"
    )
    add_json_and_force(parser)
    return parser


def _add_number(parser: ArgumentParser) -> None:
    parser.add_argument("number", type=event_number, help="of an event, as `events list` says")


def list_events(options: Namespace) -> None:
    """`tao-lora events list`."""
    entries = read_entries(options.store)
    found = list(zip(entries, event_rows(options.store, entries), strict=True))
    if options.label is not None:
        found = [(entry, row) for entry, row in found if row["label"] == options.label]
    size = _size(sum(entry.size for entry, _ in found))
    total = f"{len(found)} events, {size}, {options.store}"
    rows = [_COLUMNS, *(_row(entry, row) for entry, row in found)]
    tell(options, [row for _, row in found], [*table(rows), total])


def _row(entry: Entry, row: Row) -> tuple[str, ...]:
    return (
        str(entry.number),
        _time(entry.onset_ns),
        f"{_seconds(entry.end_ns - entry.onset_ns):.3f} s",
        f"{entry.peak_score:.2f}",
        Kind(entry.kind).text,
        entry.measured.text or "-",
        shown(row["label"]) if row["labelled_by"] else "-",
        shown(entry.label or entry.reason) or name_text("", entry.probability) or "-",
        _size(entry.size),
        _channels(entry, _TOP_CHANNELS),
    )


def name_event(options: Namespace) -> None:
    """`tao-lora events label`."""
    if options.name is not None and (options.clear or options.undo):
        raise UsageError("a name, --clear or --undo, not both")
    if options.name is not None and not options.name.strip():
        raise UsageError("the name is empty; --clear takes a label away")
    entry = find_entry(options.store, options.number)
    if options.undo:
        undo_label(options.store, entry)
    elif options.clear or options.name:
        label_event(options.store, entry, options.name or "")
    history = read_history(options.store, entry)
    label = history.label.name if history.label else None
    found = {"number": entry.number, "label": label, "history": list(map(asdict, history.steps))}
    names = [shown(step.name) if step.name else "label taken away" for step in history.steps]
    lines = [
        f"{_time(step.time_ns)}  {name}, by {shown(step.who)}"
        for name, step in zip(names, history.steps, strict=True)
    ]
    now = shown(label) if label else "no label"
    tell(options, found, [*lines, f"event {entry.number}: {now}"])


def show_event(options: Namespace) -> None:
    """`tao-lora events show`."""
    entry, record = read_event(options.store, options.number)
    (row,) = event_rows(options.store, [entry])
    topics = [
        {"name": topic.name, "type": topic.msgtype, "messages": len(messages.data)}
        for topic, messages in record.received
    ]
    bag = str(options.store / EVENTS / entry.folder)
    found = row | {"size": record.event.size.row(), "topics": topics, "bag": bag}
    tell(options, found, _event_lines(options.store, entry, record))


def _event_lines(store: Path, entry: Entry, record: EventRecord) -> Iterator[str]:
    model = name_text(shown(entry.label), entry.probability) or "-"
    label = read_history(store, entry).label
    frame_id, kind = shown(record.event.frame_id), Kind(entry.kind).text
    yield f"event     {entry.number}, number {entry.sequence} of its run, frame {frame_id}"
    yield f"onset     {_time(entry.onset_ns)} UTC ({entry.onset_ns} ns)"
    yield f"peak      {_seconds(entry.peak_ns - entry.onset_ns):.4f} s after the onset"
    yield f"end       {_seconds(entry.end_ns - entry.onset_ns):.4f} s after the onset"
    yield f"score     {entry.peak_score:.2f}"
    yield f"kind      {kind}{', a new steady state' * entry.regime_change}"
    if entry.reason:
        yield f"reason    {shown(entry.reason, MOST_LINE)}"
    yield from _size_lines(record.event.size)
    if label:
        yield f"label     {shown(label.name)}, by {shown(label.who)}, {_time(label.time_ns)}"
    yield f"model     {model}"
    yield f"channels  {_channels(entry)}"
    yield f"bag       {store / EVENTS / entry.folder}"
    yield f"          {entry.messages} messages, {_size(entry.size)}, sha256 {entry.sha256}"
    for topic, messages in record.received:
        name = f"{shown(topic.name)} ({shown(topic.msgtype)})"
        yield f"topic     {name}: {len(messages.data)} messages"
    for raw in record.event.raw:
        yield from _source_lines(raw, entry.onset_ns)


def _size_lines(size: Size) -> Iterator[str]:
    named = (
        ("force", size.peak_force, "N at most"),
        ("load", size.mean_load, "N on average"),
        ("impulse", size.impulse, "N s"),
        ("torque", size.peak_torque, "Nm at most"),
        ("change", size.acceleration_change, "m/s² of the acceleration at most"),
    )
    for name, value, unit in named:
        if not isnan(value):
            yield f"{name:9} {value:.4g} {unit}"
    if size.sensor:
        x, y, z = size.direction
        where = f"{shown(size.sensor)}, frame {shown(size.frame_id)}"
        yield f"direction {x:.3f} {y:.3f} {z:.3f} ({where})"


def _source_lines(raw: RawSamples, onset_ns: int) -> Iterator[str]:
    yield f"source    {shown(raw.source)} (frame {shown(raw.frame_id)})"
    if not len(raw.stamps_ns):
        yield "          no samples"
        return
    since_ns = raw.stamps_ns[[0, -1]] - raw.lag_ns - onset_ns
    first, last = (_seconds(int(ns)) for ns in since_ns)
    yield f"          {len(raw.stamps_ns)} samples, {first:.4f} to {last:.4f} s from the onset"
    for name, column in zip(raw.channels, raw.values.T, strict=True):
        seen = column[np.isfinite(column)]
        span = (
            f"{seen.min():.5g} to {seen.max():.5g} {unit_of(name)}" if len(seen) else "not reported"
        )
        yield f"          {shown(name):20} {span}"


def draw_event(options: Namespace) -> None:
    """`tao-lora events plot`."""
    entry, record = read_event(options.store, options.number)
    title = f"Event {entry.number}, {_time(entry.onset_ns)} UTC, score {entry.peak_score:.2f}"
    title = ", ".join(filter(None, (title, entry.label, record.event.size.text)))
    with written(options.out) as file:
        plot_event(replace(record.event, sequence=entry.number), title, options.store, file)
    tell(options, {"plot": str(options.out)}, [str(options.out)])


def verify_events(options: Namespace) -> int:
    """`tao-lora events verify`: 1 where anything is damaged."""
    count, damage = verify(options.store)
    rows = [{"path": str(options.store / d.path), "reason": d.reason} for d in damage]
    lines = [f"{row['path']}: {shown(row['reason'], MOST_LINE)}" for row in rows]
    total = f"{count} events checked, {len(damage)} damaged"
    tell(options, {"checked": count, "damaged": rows}, [*lines, total])
    return 1 if damage else 0


def _channels(entry: Entry, most: int | None = None) -> str:
    return ", ".join(f"{shown(name)} {share:.0%}" for name, share in entry.channels[:most])


def _time(stamp_ns: int) -> str:
    return f"{moment_of(stamp_ns):%Y-%m-%d %H:%M:%S}.{stamp_ns // 1_000_000 % 1000:03d}"


def _seconds(ns: int) -> float:
    return ns * 1e-9


def _size(count: int) -> str:
    return f"{count / 1024:.0f} KiB" if count < 1024 * 1024 else f"{count / 1024**2:.1f} MiB"
