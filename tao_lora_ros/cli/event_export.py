"""`tao-lora events export`: events as a bag, CSV, one Parquet table, labels, or for LeRobot."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from tao_lora_ros.bags.discover import sources_in
from tao_lora_ros.bags.labels import labels_file, write_events
from tao_lora_ros.bags.lerobot import export_lerobot
from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.cli.arguments import event_number
from tao_lora_ros.cli.outputs import BAG, CSV, LEROBOT, add_output, check_output, tell, written
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.results import Event
from tao_lora_ros.preservation.event_catalogue import find_entry, read_entries, read_record
from tao_lora_ros.preservation.event_entry import Entry
from tao_lora_ros.preservation.event_export import export_bag, export_csv
from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.event_table import event_rows, export_parquet
from tao_lora_ros.preservation.parquet import Row


def add_export_arguments(export: ArgumentParser) -> None:
    """Which events, and as what."""
    export.add_argument(
        "numbers", type=event_number, nargs="*", metavar="number", help="default: all"
    )
    where = export.add_mutually_exclusive_group(required=True)
    for name, kinds, needs, metavar, what in (
        ("--out", BAG, "", "BAG", "folder of the bag to write"),
        ("--csv", CSV, "", "DIR", "folder for one CSV a source"),
        ("--parquet", (), "pyarrow", "FILE", "one table, a row an event"),
        ("--lerobot", LEROBOT, "pyarrow", "DIR", "LeRobot data set, an episode an event"),
    ):
        add_output(where, name, kinds, needs=needs, metavar=metavar, help=what)
    where.add_argument(
        "--labels", type=Path, metavar="BAG", help="BAG.labels.csv beside the bag they are of"
    )


def export_events(options: Namespace) -> None:
    """`tao-lora events export`."""
    if options.labels:
        check_output(labels_file(options.labels), (), options.force)
    store = options.store
    numbers = dict.fromkeys(options.numbers)
    entries = [find_entry(store, n) for n in numbers] if numbers else read_entries(store)
    if options.labels:
        out = labels_file(options.labels)
    else:
        out = options.csv or options.out or options.parquet or options.lerobot
    with written(out) as place:
        lines = _export(options, store, entries, place)
    found = {"out": str(out), "events": len(entries)}
    tell(options, found, (line.replace(str(place), str(out)) for line in lines))


def _export(options: Namespace, store: Path, entries: list[Entry], place: Path) -> list[str]:
    """Write events where they are asked for; returns what to say."""
    if options.csv:
        return list(map(str, export_csv(_records(store, entries), place)))
    if options.out:
        count = export_bag(_records(store, entries), place)
        return [f"{place}: {count} messages of {len(entries)} events"]
    if options.parquet:
        export_parquet(event_rows(store, entries), place)
        return [f"{place}: {len(entries)} events"]
    if options.lerobot:
        episodes, frames = export_lerobot(_events(store, entries), place)
        return [f"{place}: {episodes} episodes, {frames} frames"]
    return [_export_labels(options.labels, event_rows(store, entries), place)]


def _records(store: Path, entries: list[Entry]) -> list[EventRecord]:
    return [read_record(store, entry) for entry in entries]


def _events(store: Path, entries: list[Entry]) -> Iterator[tuple[Row, Event]]:
    for entry, row in zip(entries, event_rows(store, entries), strict=True):
        yield row, read_record(store, entry).event


def _export_labels(bag: Path, rows: list[Row], file: Path) -> str:
    """The events of the bag's time, as labels that lie beside it; returns what to say."""
    found = sources_in(bag, None, {})
    with BagReader(bag, source_configs(found.settings), found.topics) as reader:
        start_ns = reader.first_stamp_ns()
        end_ns = start_ns + round(reader.duration_s * 1e9)
    within = [row for row in rows if start_ns <= row["onset_ns"] <= end_ns]
    count = write_events(file, within, start_ns)
    others = len(rows) - len(within)
    left_out = f"{len(within) - count} without a label, {others} of other times"
    return f"{file}: {count} events; left out: {left_out}"
