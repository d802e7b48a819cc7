"""`tao-lora replay`: the pipeline on a bag, or on many, without ROS."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from tao_lora_ros.bags.expectation import differences, read_expected
from tao_lora_ros.bags.opening import bags_in
from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.replay import Replay, replay, summary
from tao_lora_ros.bags.result_bag import ResultBag
from tao_lora_ros.cli.arguments import (
    DIFFERENT,
    add_params_file,
    add_part_arguments,
    add_topic_argument,
    part_of,
)
from tao_lora_ros.cli.chosen import choose, ready
from tao_lora_ros.cli.fleet import add_table_arguments, refuse_without_table, replay_into_table
from tao_lora_ros.cli.outputs import BAG, add_json_and_force, add_output, table, tell, written
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.fleet.columns import ReplayWithWindows
from tao_lora_ros.messages.results import Size, name_text
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.report.foxglove_layout import write_foxglove_layout
from tao_lora_ros.report.record import record_replay
from tao_lora_ros.report.report import write_report
from tao_lora_ros.report.rerun_file import write_rerun
from tao_lora_ros.training.calibrate import recalibrate
from tao_lora_ros.training.progress import bar_on_terminal, line_of

_EVENT_COLUMNS = ("onset", "lasts", "score", "kind", "how hard", "model says", "channels")
_LOAD_HZ = 100.0  # of the contact load in a bag, where the settings want no topic of it


def add_replay_parser(subparsers: Any) -> None:
    """Add `replay` to the subparsers of `tao-lora`."""
    replay = subparsers.add_parser("replay", help="run the pipeline on bags, without ROS")
    replay.set_defaults(run=_replay)
    replay.add_argument(
        "bags",
        nargs="+",
        metavar="BAG",
        help="ROS 1 or ROS 2 bag; with --table many, folders, patterns, lists (.txt), URLs",
    )
    add_topic_argument(replay)
    add_part_arguments(replay)
    add_table_arguments(replay)
    add_json_and_force(replay)
    replay.add_argument(
        "--expect", type=Path, metavar="FILE", help="status 3 where the events are not FILE's"
    )
    add_output(replay, "--report", metavar="FILE", help="write an HTML report")
    what = "write a recording for Rerun's viewer"
    add_output(replay, "--rerun", needs="rerun", metavar="FILE", help=what)
    replay.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="folder of a model (default: ours, or calibrated on the bag)",
    )
    add_params_file(replay)
    replay.add_argument(
        "--calibrate", type=Path, nargs="+", metavar="BAG", help="thresholds from steady bags"
    )
    what = "write inputs and results as one mcap bag"
    add_output(replay, "--out", BAG, metavar="BAG", help=what)
    what = "keep the events in this store"
    add_output(replay, "--store", grows=True, metavar="DIR", help=what)


def _replay(options: Namespace) -> int:
    if options.table:
        return replay_into_table(options)
    refuse_without_table(options)
    options.bag, part_s = Path(options.bags[0]), part_of(options)
    expected, tolerance = read_expected(options.expect) if options.expect else ([], {})
    chosen = (choose if options.calibrate else ready)(options, options.bag)
    settings, topics, artifact = chosen.settings, chosen.topics, chosen.artifact
    if options.calibrate:
        target = artifact.calibration.target_per_hour
        bags = bags_in(options.calibrate)
        artifact = recalibrate(artifact, bags, settings, topics, target).artifact
    if options.out and not settings.contact_wrench_hz:
        settings = replace(settings, contact_wrench_hz=min(_LOAD_HZ, artifact.rate_hz))
    pipeline = Pipeline(settings, artifact)
    with (
        BagReader(options.bag, source_configs(settings), topics, part_s) as reader,
        bar_on_terminal() as bar,
        EventStore(options.store) if options.store else nullcontext() as store,
        written(options.out) if options.out else nullcontext() as out,
    ):
        show = line_of(bar, "replaying", reader.message_count)
        recorded = reader.recorded
        with ResultBag(out, recorded, settings, artifact) if out else nullcontext() as writer:
            wanted = ReplayWithWindows(artifact.labels) if options.windows else None
            result = wanted or Replay()
            result.samples = False
            if store:
                result.keep = lambda kept: store.append(EventRecord.of(kept, recorded))
            replay(reader, pipeline, show, writer, result)
        if out:
            write_foxglove_layout(out / "foxglove.json", recorded, artifact.labels)
    if wanted:
        with written(options.windows) as file:
            file.write_bytes(wanted.table.finish())
    numbers = summary(result, pipeline)
    numbers["notices"] = [*chosen.notices, *numbers["notices"]]
    if options.report or options.rerun:
        record = record_replay(options.bag, result, pipeline, artifact, topics, part_s)
        for file, write in ((options.report, write_report), (options.rerun, write_rerun)):
            if file:
                with written(file) as aside:
                    write(record, aside)
    if options.expect:
        numbers["differences"] = list(differences(expected, numbers["events"], tolerance))
    tell(options, numbers, _summary_lines(numbers))
    return DIFFERENT if numbers.get("differences") else 0


def _summary_lines(numbers: dict) -> Iterator[str]:
    paths = numbers["paths"]
    yield (
        f"{numbers['messages']} messages, {numbers['inferences']} inferences "
        f"({paths['steady']} steady, {paths['transient']} transient), "
        f"{sum(numbers['rejected'].values())} rejected, {len(numbers['events'])} events"
    )
    for name, source in numbers["sources"].items():
        yield (
            f"  {name}: {source['received']} received, {source['used']} used, "
            f"{sum(source['refused'].values())} refused, {source['unused']} unused"
        )
    for notice in numbers["notices"]:
        yield f"  {notice}"
    if numbers["states"]:
        yield from table([("from", "the motion is called"), *map(_state_row, numbers["states"])])
    if numbers["events"]:
        yield from table([_EVENT_COLUMNS, *map(_event_row, numbers["events"])])
    if (differences := numbers.get("differences")) is not None:
        yield from (shown(line, MOST_LINE) for line in differences)
        yield f"{len(differences)} differences from what is expected"


def _state_row(state: dict) -> tuple[str, ...]:
    return f"{state['from_s']:.3f} s", f"{shown(state['label'])} {state['probability']:.0%}"


def _event_row(event: dict) -> tuple[str, ...]:
    return (
        f"{event['onset_s']:.3f} s",
        f"{event['end_s'] - event['onset_s']:.3f} s",
        f"{event['score']:.2f}",
        event["kind"].replace("_", " "),
        Size.of_row(event["size"]).text or "-",
        name_text(event["label"], event["probability"]) or "-",
        ", ".join(f"{name} {share:.0%}" for name, share in list(event["channels"].items())[:3]),
    )
