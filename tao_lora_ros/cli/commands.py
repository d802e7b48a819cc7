"""What each subcommand does; heavy or optional parts are imported where they are used."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.progress import Progress, TaskID

from tao_lora_ros.bags.discover import sources_in
from tao_lora_ros.bags.reader import BagError, BagReader, bag_topics
from tao_lora_ros.bags.replay import replay, summary
from tao_lora_ros.bags.result_bag import ResultBag
from tao_lora_ros.cli.arguments import UsageError, part_of
from tao_lora_ros.cli.chosen import ALARMS_PER_HOUR, choose, ready
from tao_lora_ros.cli.fleet import replay_into_table
from tao_lora_ros.detection.calibration import CalibrationError
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import TABLE, parameter_file
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.files import refuse_existing
from tao_lora_ros.messages.results import Size, name_text
from tao_lora_ros.messages.texts import shown
from tao_lora_ros.model.artifact import save_artifact
from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.report.calibration_plot import plot_calibration
from tao_lora_ros.report.record import record_replay
from tao_lora_ros.report.report import write_report
from tao_lora_ros.training.calibrate import recalibrate

_LOAD_HZ = 100.0  # of the contact load in a bag, where the settings want no topic of it


def _show(bar: Progress, task: TaskID, done: float) -> None:
    bar.update(task, completed=done)


def bags_in(paths: list[Path]) -> list[Path]:
    """The bags themselves, and those in folders that are not bags."""
    found: list[Path] = []
    for path in paths:
        is_folder_of_bags = path.is_dir() and not (path / "metadata.yaml").exists()
        inside = [
            entry for entry in sorted(path.glob("*")) if entry.is_dir() or entry.suffix == ".bag"
        ]
        if is_folder_of_bags and not inside:
            raise UsageError(f"{path}: no bag in this folder")
        found += inside if is_folder_of_bags else [path]
    return found


def replay_command(options: Namespace) -> int:
    """`tao-lora replay`; the exit status."""
    if options.table:
        return replay_into_table(options)
    if len(options.bags) > 1:
        raise UsageError(f"{len(options.bags)} bags: these need --table FOLDER")
    options.bag = Path(options.bags[0])
    if options.out:
        refuse_existing(options.out, BagError)
    chosen = (choose if options.calibrate else ready)(options, options.bag)
    settings, topics, artifact = chosen.settings, chosen.topics, chosen.artifact
    if options.calibrate:
        target = (
            artifact.calibration.alarms_per_hour
            if artifact.calibration.has_thresholds
            else ALARMS_PER_HOUR
        )
        bags = bags_in(options.calibrate)
        artifact = recalibrate(artifact, bags, settings, topics, target).artifact
    if options.out and not settings.contact_wrench_hz:
        settings = replace(settings, contact_wrench_hz=min(_LOAD_HZ, artifact.rate_hz))
    pipeline = Pipeline(settings, artifact)
    with (
        BagReader(options.bag, source_configs(settings), topics, part_of(options)) as reader,
        Progress(transient=True, disable=not sys.stderr.isatty()) as bar,
    ):
        task = bar.add_task("replaying", total=reader.message_count)
        recorded = reader.recorded
        writer = ResultBag(options.out, recorded, settings, artifact) if options.out else None
        with writer or nullcontext() as out:
            result = replay(reader, pipeline, partial(_show, bar, task), out)
    numbers = summary(result, pipeline)
    numbers["notices"] = [*chosen.notices, *numbers["notices"]]
    if options.json:
        with writing(options.json):
            options.json.write_text(json.dumps(numbers, indent=1) + "\n")
    if options.store:
        with EventStore(options.store) as store:
            for kept in result.kept:
                store.append(EventRecord.of(kept, recorded))
    if options.report:
        record = record_replay(options.bag, result, pipeline, artifact, topics, part_of(options))
        with writing(options.report):
            write_report(record, options.report)
    _print_summary(numbers)
    return 0


def _print_summary(numbers: dict) -> None:
    paths = numbers["paths"]
    print(
        f"{numbers['messages']} messages, {numbers['inferences']} inferences "
        f"({paths['steady']} steady, {paths['transient']} transient), "
        f"{sum(numbers['rejected'].values())} rejected, {len(numbers['events'])} events"
    )
    for name, source in numbers["sources"].items():
        print(
            f"  {name}: {source['received']} received, {source['used']} used, "
            f"{sum(source['refused'].values())} refused, {source['unused']} unused"
        )
    for notice in numbers["notices"]:
        print(f"  {notice}")
    for state in numbers["states"]:
        label = f"{shown(state['label'])} {state['probability']:.0%}"
        print(f"  {state['from_s']:9.4f} s  {label} from here")
    for event in numbers["events"]:
        name = name_text(event["label"], event["probability"]) or "-"
        channels = ", ".join(f"{k} {v:.0%}" for k, v in list(event["channels"].items())[:3])
        print(
            f"  {event['onset_s']:9.4f} s  peak {event['peak_s']:9.4f}  end {event['end_s']:9.4f}"
            f"  score {event['score']:5.2f}  {event['kind'].replace('_', ' '):15}  "
            f"{name:12}  {Size.of_row(event['size']).text:10}  {channels}"
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one line why a file or folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


@contextmanager
def _needs(package: str) -> Iterator[None]:
    """Say in one line what to install where an import fails."""
    try:
        yield
    except ImportError as error:
        raise UsageError(f"{error}; this command needs {package}") from None


def demo_command(options: Namespace) -> int:
    """`tao-lora demo`."""
    with _needs("ROS 2"):
        from tao_lora_ros.cli.demo import run_demo
    return run_demo(options)


def watch_command(options: Namespace) -> None:
    """`tao-lora watch`."""
    with _needs("ROS 2"):
        from tao_lora_ros.cli.watch import watch
    watch(options)


def play_command(options: Namespace) -> None:
    """`tao-lora play`."""
    with _needs("ROS 2"):
        from tao_lora_ros.ros.player import play
    try:
        found = sources_in(options.bag, options.params_file, bag_topics(options.topic))
        sources = source_configs(found.settings)
        play(options.bag, sources, found.topics, options.rate, clock=options.clock)
    except (ValueError, TimeoutError) as error:
        raise UsageError(str(error)) from None


def simulate_command(options: Namespace) -> None:
    """`tao-lora simulate`."""
    with _needs("mujoco"):
        from tao_lora_ros.simulation.recording import SimulationConfig, simulate, write_recording
    runs = [options.out]
    if options.runs is not None:
        runs = [options.out / f"run_{number:03d}" for number in range(options.runs)]
    with Progress() as bar:
        for number, path in enumerate(runs):
            try:
                config = SimulationConfig(
                    options.duration,
                    options.seed + number,
                    contacts=not options.steady,
                    presses=options.presses,
                    mounting_seed=options.mounting,
                )
                show = partial(_show, bar, bar.add_task(shown(path), total=1.0))
                write_recording(simulate(config, show), path)
            except (ValueError, OSError) as error:
                raise UsageError(str(error)) from None


def calibrate_command(options: Namespace) -> None:
    """`tao-lora calibrate`."""
    bags = bags_in(options.bags)
    chosen = choose(options, bags[0])
    try:
        made = recalibrate(
            chosen.artifact,
            bags,
            chosen.settings,
            chosen.topics if len(bags) == 1 else bag_topics(options.topic),
            options.alarms_per_hour,
            part_of(options),
            options.force,
        )
    except CalibrationError as error:
        remedy = "; choose a part with --from and --to, or insist with --force"
        raise CalibrationError(f"{error}{'' if options.force else remedy}") from None
    with writing(options.out):
        save_artifact(made.artifact, options.out)
    if options.plot:
        with writing(options.plot):
            plot_calibration(made.artifact, made.findings, made.left_out, options.plot)
    for line in made.lines(chosen.settings):
        print(line)
    kind = (
        "detection only, `tao-lora train` adds a network"
        if made.artifact.model is None
        else "written"
    )
    print(f"{options.out}: {kind}")


def parameters_command(options: Namespace) -> None:
    """`tao-lora parameters`."""
    if options.yaml:
        print(parameter_file(), end="")
        return
    print("| parameter | type | default | range | unit | live | what it is |")
    print("|---|---|---|---|---|---|---|")
    for row in TABLE:
        default = list(row.default) if isinstance(row.default, tuple) else row.default
        print(
            f"| `{row.name}` | {row.type_name} | `{json.dumps(default)}` | {row.range} "
            f"| {row.unit} | {'yes' if row.live else ''} | {row.description} |"
        )
