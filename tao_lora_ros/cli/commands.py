"""What each subcommand does; heavy or optional parts are imported where they are used."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.progress import Progress, TaskID

from tao_lora_ros.bags.discover import sources_in
from tao_lora_ros.bags.expectation import differences, read_expected
from tao_lora_ros.bags.labels import labels_file
from tao_lora_ros.bags.opening import within
from tao_lora_ros.bags.reader import BagReader, bag_topics
from tao_lora_ros.bags.replay import replay, summary
from tao_lora_ros.bags.result_bag import ResultBag
from tao_lora_ros.cli.arguments import DIFFERENT, UsageError, part_of
from tao_lora_ros.cli.chosen import choose, ready
from tao_lora_ros.cli.fleet import pool_of, refuse_without_table, replay_into_table, status_of
from tao_lora_ros.cli.outputs import check_output, need, tell, writing, written
from tao_lora_ros.detection.calibration import CalibrationError
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import TABLE, parameter_file
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.fleet.columns import ReplayWithWindows
from tao_lora_ros.messages.files import refuse_existing
from tao_lora_ros.messages.results import Size, name_text
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.model.artifact import save_artifact
from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.report.calibration_plot import plot_calibration
from tao_lora_ros.report.foxglove_layout import write_foxglove_layout
from tao_lora_ros.report.record import record_replay
from tao_lora_ros.report.report import write_report
from tao_lora_ros.report.rerun_file import write_rerun
from tao_lora_ros.training.calibrate import recalibrate, rows_of
from tao_lora_ros.training.progress import bar_on_terminal
from tao_lora_ros.training.robot import fitted_to

_LOAD_HZ = 100.0  # of the contact load in a bag, where the settings want no topic of it


def _show(bar: Progress, task: TaskID, done: float) -> None:
    bar.update(task, completed=done)


def bags_in(paths: list[Path]) -> list[Path]:
    """The bags themselves, and those in folders that are not bags."""
    found: list[Path] = []
    for path in paths:
        found += within(path) or [path]
    return found


def replay_command(options: Namespace) -> int:
    """`tao-lora replay`; the exit status."""
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
        written(options.out) if options.out else nullcontext() as out,
    ):
        task = bar.add_task("replaying", total=reader.message_count)
        recorded = reader.recorded
        with ResultBag(out, recorded, settings, artifact) if out else nullcontext() as writer:
            wanted = ReplayWithWindows(artifact.labels) if options.windows else None
            result = replay(reader, pipeline, partial(_show, bar, task), writer, wanted)
        if out:
            write_foxglove_layout(out / "foxglove.json", recorded, artifact.labels)
    if wanted:
        with written(options.windows) as file:
            file.write_bytes(wanted.table.finish())
    numbers = summary(result, pipeline)
    numbers["notices"] = [*chosen.notices, *numbers["notices"]]
    if options.store:
        with EventStore(options.store) as store:
            for kept in result.kept:
                store.append(EventRecord.of(kept, recorded))
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
    for state in numbers["states"]:
        label = f"{shown(state['label'])} {state['probability']:.0%}"
        yield f"  {state['from_s']:9.4f} s  {label} from here"
    for line in numbers.get("differences", ()):
        yield shown(line, MOST_LINE)
    for event in numbers["events"]:
        name = name_text(event["label"], event["probability"]) or "-"
        channels = ", ".join(f"{k} {v:.0%}" for k, v in list(event["channels"].items())[:3])
        yield (
            f"  {event['onset_s']:9.4f} s  peak {event['peak_s']:9.4f}  end {event['end_s']:9.4f}"
            f"  score {event['score']:5.2f}  {event['kind'].replace('_', ' '):15}  "
            f"{name:12}  {Size.of_row(event['size']).text:10}  {channels}"
        )


@contextmanager
def _needs_ros() -> Iterator[None]:
    """Say in one line what to install where an import fails."""
    try:
        yield
    except ImportError as error:
        raise UsageError(f"{error}; this command needs ROS 2: source one, or use make") from None


def demo_command(options: Namespace) -> int:
    """`tao-lora demo`."""
    with _needs_ros():
        from tao_lora_ros.cli.demo import run_demo
    return run_demo(options)


def watch_command(options: Namespace) -> None:
    """`tao-lora watch`."""
    if not options.web and (options.port or options.open):
        raise UsageError("--port and --open are of the page: add --web")
    with _needs_ros():
        from tao_lora_ros.cli.watch import watch
    watch(options)


def play_command(options: Namespace) -> None:
    """`tao-lora play`."""
    with _needs_ros():
        from tao_lora_ros.ros.player import play
    try:
        found = sources_in(options.bag, options.params_file, bag_topics(options.topic))
        sources = source_configs(found.settings)
        count = play(options.bag, sources, found.topics, options.rate, clock=options.clock)
    except (ValueError, TimeoutError) as error:
        raise UsageError(str(error)) from None
    tell(options, {"bag": str(options.bag), "messages": count}, [f"{count} messages played"])


def simulate_command(options: Namespace) -> None:
    """`tao-lora simulate`."""
    need("mujoco", "simulate")
    from tao_lora_ros.simulation.recording import SimulationConfig, record

    runs = [options.out]
    if options.runs is not None:
        runs = [options.out / f"run_{number:03d}" for number in range(options.runs)]
    for path in runs:
        check_output(path, True, options.force)
        if not options.force:
            refuse_existing(labels_file(path), UsageError)
    try:
        first = SimulationConfig(
            options.duration,
            options.seed,
            contacts=not options.steady,
            presses=options.presses,
            mounting_seed=options.mounting,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    made = []
    with bar_on_terminal() as bar:
        for number, path in enumerate(runs):
            config = replace(first, seed=options.seed + number)
            show = partial(_show, bar, bar.add_task(shown(path), total=1.0))
            with written(path) as bag:
                contacts = len(record(config, bag, show))
            made.append({"bag": str(path), "seed": config.seed, "contacts": contacts})
    tell(options, {"bags": made}, (f"{row['bag']}: {row['contacts']} contacts" for row in made))


def calibrate_command(options: Namespace) -> int:
    """`tao-lora calibrate`; the exit status."""
    bags, pool, part_s = bags_in(options.bags), pool_of(options), part_of(options)
    chosen = pool.first(partial(choose, options), bags)
    topics = chosen.topics if len(bags) == 1 else bag_topics(options.topic)
    if options.scales == "only":
        rows = rows_of(chosen.artifact, bags, chosen.settings, topics, part_s, pool)
        artifact, lines = fitted_to(chosen.artifact, rows)
        with writing(options.out):
            save_artifact(artifact, options.out)
        said = {"model": str(options.out), "report": lines, "failed": pool.failed}
        tell(options, said, [*lines, f"{options.out}: written, thresholds as they were"])
        return status_of(options)
    insist = options.insist or options.force
    try:
        made = recalibrate(
            chosen.artifact,
            bags,
            chosen.settings,
            topics,
            options.alarms_per_hour,
            part_s,
            insist,
            rescale=options.scales == "set",
            pool=pool,
        )
    except CalibrationError as error:
        remedy = "; choose a part with --from and --to, or take it all the same with --insist"
        raise CalibrationError(f"{error}{'' if insist else remedy}") from None
    with writing(options.out):
        save_artifact(made.artifact, options.out)
    if options.plot:
        with written(options.plot) as page:
            plot_calibration(made.artifact, made.findings, made.left_out, page)
    lines = made.lines(chosen.settings)
    kind = (
        "detection only, `tao-lora train` adds a network"
        if made.artifact.model is None
        else "written"
    )
    findings, calibration = made.findings, made.artifact.calibration
    found = {
        "model": str(options.out),
        "alarms_per_hour": calibration.alarms_per_hour,
        "thresholds": calibration.all_thresholds,
        "used_s": findings.used_s,
        "left_out_s": findings.left_out_s,
        "left_out": made.left_out,
        "report": lines,
        "failed": pool.failed,
    }
    tell(options, found, [*lines, f"{options.out}: {kind}"])
    return status_of(options)


def parameters_command(options: Namespace) -> None:
    """`tao-lora parameters`."""
    if options.yaml:
        print(parameter_file(), end="")
        return
    columns = ("name", "type_name", "default", "range", "unit", "live", "description")
    rows = [{column: getattr(row, column) for column in columns} for row in TABLE]
    tell(options, rows, _parameter_lines())


def _parameter_lines() -> Iterator[str]:
    yield "| parameter | type | default | range | unit | live | what it is |"
    yield "|---|---|---|---|---|---|---|"
    for row in TABLE:
        default = list(row.default) if isinstance(row.default, tuple) else row.default
        yield (
            f"| `{row.name}` | {row.type_name} | `{json.dumps(default)}` | {row.range} "
            f"| {row.unit} | {'yes' if row.live else ''} | {row.description} |"
        )
