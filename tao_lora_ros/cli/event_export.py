"""`tao-lora events export`: events as a bag, CSV, one Parquet table, labels, or for LeRobot."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from tao_lora_ros.bags.discover import sources_in
from tao_lora_ros.bags.labels import labels_file, write_events
from tao_lora_ros.bags.lerobot import export_lerobot
from tao_lora_ros.bags.reader import BagError, BagReader
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.files import refuse_existing
from tao_lora_ros.messages.results import Event
from tao_lora_ros.preservation.event_catalogue import find_entry, read_entries, read_record
from tao_lora_ros.preservation.event_entry import Entry
from tao_lora_ros.preservation.event_export import export_bag, export_csv
from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.event_table import event_rows, export_parquet
from tao_lora_ros.preservation.parquet import Row


def add_export_arguments(export: ArgumentParser) -> None:
    """Which events, and as what."""
    export.add_argument("numbers", type=int, nargs="*", metavar="number", help="default: all")
    where = export.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, metavar="BAG", help="folder of the bag to write")
    where.add_argument("--csv", type=Path, metavar="DIR", help="folder for one CSV a source")
    where.add_argument("--parquet", type=Path, metavar="FILE", help="one table, a row an event")
    where.add_argument(
        "--labels", type=Path, metavar="BAG", help="BAG.labels.csv beside the bag they are of"
    )
    where.add_argument(
        "--lerobot", type=Path, metavar="DIR", help="LeRobot data set, an episode an event"
    )


def export_events(options: Namespace) -> None:
    """`tao-lora events export`."""
    for path in filter(None, (options.out, options.parquet, options.lerobot)):
        refuse_existing(path, BagError)
    if options.labels:
        refuse_existing(labels_file(options.labels), BagError)
    store = options.store
    numbers = dict.fromkeys(options.numbers)
    entries = [find_entry(store, n) for n in numbers] if numbers else read_entries(store)
    if options.csv:
        for file in export_csv(_records(store, entries), options.csv):
            print(file)
    elif options.out:
        count = export_bag(_records(store, entries), options.out)
        print(f"{options.out}: {count} messages of {len(entries)} events")
    elif options.parquet:
        export_parquet(event_rows(store, entries), options.parquet)
        print(f"{options.parquet}: {len(entries)} events")
    elif options.lerobot:
        episodes, frames = export_lerobot(_events(store, entries), options.lerobot)
        print(f"{options.lerobot}: {episodes} episodes, {frames} frames")
    else:
        _export_labels(options.labels, event_rows(store, entries))


def _records(store: Path, entries: list[Entry]) -> list[EventRecord]:
    return [read_record(store, entry) for entry in entries]


def _events(store: Path, entries: list[Entry]) -> Iterator[tuple[Row, Event]]:
    for entry, row in zip(entries, event_rows(store, entries), strict=True):
        yield row, read_record(store, entry).event


def _export_labels(bag: Path, rows: list[Row]) -> None:
    """The events of the bag's time, as labels beside it."""
    found = sources_in(bag, None, {})
    with BagReader(bag, source_configs(found.settings), found.topics) as reader:
        start_ns = reader.first_stamp_ns()
        end_ns = start_ns + round(reader.duration_s * 1e9)
    within = [row for row in rows if start_ns <= row["onset_ns"] <= end_ns]
    file, count = write_events(bag, within, start_ns)
    others = len(rows) - len(within)
    print(f"{file}: {count} events; left out: {len(within) - count} without a label, ", end="")
    print(f"{others} of other times")
