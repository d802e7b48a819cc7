"""`tao-lora train` and its steps one by one: quantize, adapt, name, evaluate, info."""

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tao_lora_ros.bags.discover import sources_in
from tao_lora_ros.bags.reader import WHOLE, bag_topics
from tao_lora_ros.bags.rows import Run
from tao_lora_ros.cli.arguments import (
    MOST_BATCH,
    MOST_RATE_HZ,
    MOST_SEED,
    MOST_STEPS,
    UsageError,
    add_part_arguments,
    add_topic_argument,
    expression,
    number,
    part_of,
    per_hour,
    whole,
)
from tao_lora_ros.cli.commands import bags_in
from tao_lora_ros.cli.outputs import add_force, add_json, add_output, tell, writing, written
from tao_lora_ros.engine.settings import Settings, read_settings
from tao_lora_ros.engine.sources import sources_of_model
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.model.artifact import (
    Artifact,
    default_artifact,
    load_artifact,
    save_artifact,
    training_folder,
)
from tao_lora_ros.model.card import CARD, read_card
from tao_lora_ros.model.conversion import mixer_of, network_of
from tao_lora_ros.model.describe import describe
from tao_lora_ros.report.score_tables import HELD_OUT, score_text, write_scores
from tao_lora_ros.training.cross_validation import scores_of_runs
from tao_lora_ros.training.dataset import label_names
from tao_lora_ros.training.event_scores import score_lines
from tao_lora_ros.training.fit_config import FitConfig
from tao_lora_ros.training.held_out import hop_of, run_outputs
from tao_lora_ros.training.name_events import evaluate_events, name_events
from tao_lora_ros.training.quantize import ROUNDINGS
from tao_lora_ros.training.recordings import Reading, default_cache, read_runs, tell_unnamed
from tao_lora_ros.training.steps import (
    LOSSES,
    TrainingData,
    adapt_step,
    evaluate_step,
    quantize_step,
)
from tao_lora_ros.training.store_names import learn_names
from tao_lora_ros.training.teacher import FILE, load_teacher
from tao_lora_ros.training.train import SIZES, TrainingConfig, train, windows_of

_STEPS = whole(1, MOST_STEPS)
_STEPS_OR_NONE = whole(0, MOST_STEPS)


def add_training_parsers(subparsers: Any) -> None:
    """Add the commands to the subparsers of `tao-lora`."""
    _add_train(subparsers)
    _add_steps(subparsers)
    info = subparsers.add_parser("info")
    info.set_defaults(run=_info)
    add_json(info)
    add_force(info)
    info.add_argument("model", type=Path, nargs="?", help="artifact folder (default: ours)")
    _html_argument(info)


def _add_train(subparsers: Any) -> None:
    parser = subparsers.add_parser("train")
    parser.set_defaults(run=_train)
    _data_arguments(parser, rate_hz=500.0, bags="*")
    parser.add_argument("--steady", type=Path, nargs="+", help="steady bags, or folders")
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="learn names alone, of its labelled events"
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="with --store: what to start from (default: ours)"
    )
    add_part_arguments(parser)
    what = "artifact folder to write; an interrupted training goes on in its own"
    add_output(parser, "--out", model=True, required=True, metavar="DIR", help=what)
    add_json(parser)
    add_force(parser)
    parser.add_argument("--model-id", help="name of the model (default: the folder's)")
    parser.add_argument("--size", choices=SIZES, default="base", help="of the model")
    parser.add_argument("--steps", type=_STEPS, default=FitConfig.steps, help="training steps")
    windows = whole(1, MOST_BATCH)
    parser.add_argument("--batch", type=windows, default=FitConfig.batch, help="windows of a step")
    parser.add_argument("--seed", type=whole(0, MOST_SEED), default=0, help="of all draws")
    _settle_argument(parser)
    parser.add_argument(
        "--adapt-steps",
        type=_STEPS_OR_NONE,
        default=TrainingConfig.adapt_steps,
        help="steps of tuning the low-rank branches",
    )
    parser.add_argument(
        "--alarms-per-hour", type=per_hour, default=1.0, help="target of the router"
    )
    _scores_arguments(parser)


def _scores_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folds",
        type=whole(0, 1000),
        default=TrainingConfig.folds,
        help="parts of the runs, each held out once for the scores; 0: no scores",
    )
    parser.add_argument(
        "--fold-steps",
        type=_STEPS,
        default=TrainingConfig.fold_steps,
        help="training steps of each of them, at most",
    )
    parser.add_argument(
        "--group",
        type=expression,
        default=TrainingConfig.group,
        metavar="REGEX",
        help="bags with the same first group of this expression in their paths are held out "
        "together, such as those of a robot or a day (default: those recorded one after another)",
    )
    parser.add_argument(
        "--hold-out", action="store_true", help="train without one of the folds, and score on it"
    )


def _settle_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--settle-steps",
        type=_STEPS_OR_NONE,
        default=TrainingConfig.settle_steps,
        help="steps of tuning the quantised model",
    )


def _add_steps(subparsers: Any) -> None:
    quantize = subparsers.add_parser("quantize")
    quantize.set_defaults(run=_quantize)
    _model_arguments(quantize)
    quantize.add_argument("--rounding", choices=ROUNDINGS, default="gptq", help="of the weights")
    _settle_argument(quantize)
    quantize.add_argument(
        "--rank", type=whole(1, 4096), help="of the low-rank branches (default: as it is)"
    )

    adapt = subparsers.add_parser("adapt")
    adapt.set_defaults(run=_adapt)
    _model_arguments(adapt)
    adapt.add_argument("--name", default="", help="keep it as a named adapter beside the others")
    adapt.add_argument("--loss", choices=LOSSES, default="fidelity", help="what is made small")
    adapt.add_argument(
        "--steps", type=_STEPS, default=TrainingConfig.adapt_steps, help="of the tuning"
    )

    name = subparsers.add_parser("name")
    name.set_defaults(run=_name)
    _model_arguments(name)

    evaluate = subparsers.add_parser("evaluate")
    evaluate.set_defaults(run=_evaluate)
    _model_arguments(evaluate, writes=False)
    evaluate.add_argument("--adapter", default="", help="named adapter instead of the model's own")
    _html_argument(evaluate)


def _html_argument(parser: argparse.ArgumentParser) -> None:
    add_output(parser, "--html", metavar="FILE", help="write the tables as HTML")


def _data_arguments(
    parser: argparse.ArgumentParser, rate_hz: float | None = None, bags: str = "+"
) -> None:
    parser.add_argument("bags", type=Path, nargs=bags, help="bags, or folders of bags")
    add_topic_argument(parser)
    parser.add_argument(
        "--name-label",
        type=expression,
        default="",
        metavar="REGEX",
        help="a bag's label is this expression's first group in its name",
    )
    parser.add_argument(
        "--label-topic", default="", help="a topic of strings, each the label from there on"
    )
    parser.add_argument("--params-file", type=Path, metavar="YAML", help="ROS parameter file")
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), help="folder for aligned rows"
    )
    if rate_hz is not None:
        rates = number(least=1.0, most=MOST_RATE_HZ)
        parser.add_argument("--rate-hz", type=rates, default=rate_hz, help="grid rate")


def _model_arguments(parser: argparse.ArgumentParser, writes: bool = True) -> None:
    parser.add_argument("model", type=Path, help="artifact folder that `train` wrote")
    _data_arguments(parser)
    add_json(parser)
    add_force(parser)
    if writes:
        what = "artifact folder to write (default: the same)"
        add_output(parser, "--out", model=True, metavar="DIR", help=what)


def _reading(
    options: Namespace, settings: Settings, rate_hz: float, part_s: tuple[float, float] = WHOLE
) -> Reading:
    return Reading(
        settings,
        rate_hz,
        bag_topics(options.topic),
        options.name_label,
        options.label_topic,
        options.cache,
        part_s,
    )


def _train(options: Namespace) -> None:
    if options.store:
        _train_names(options)
        return
    if not (options.bags and options.steady):
        raise UsageError("train needs bags and --steady, or --store")
    if options.model:
        raise UsageError("--model goes with --store")
    config = TrainingConfig(
        model_id=options.model_id or options.out.name,
        size=options.size,
        fit=FitConfig(options.steps, options.seed, options.batch),
        settle_steps=options.settle_steps,
        adapt_steps=options.adapt_steps,
        alarms_per_hour=options.alarms_per_hour,
        folds=options.folds,
        fold_steps=options.fold_steps,
        group=options.group,
        hold_out=options.hold_out,
    )
    bags = bags_in(options.bags)
    found = sources_in(bags[0], options.params_file, bag_topics(options.topic))
    how = _reading(options, found.settings, options.rate_hz, part_of(options))
    with writing(options.out):
        artifact = train(bags, bags_in(options.steady), options.out, how, config)
    if artifact:
        _tell_model(options, artifact, options.out)


def _train_names(options: Namespace) -> None:
    if options.bags or options.steady:
        raise UsageError("--store learns from labelled events alone, not from bags")
    artifact = load_artifact(options.model or default_artifact())
    settings = read_settings(options.params_file) if options.params_file else Settings()
    found = learn_names(options.store, artifact, settings)
    with writing(options.out):
        save_artifact(found.artifact, options.out)
    lines = [shown(line, MOST_LINE) for line in found.lines()]
    said = {"model": str(options.out), "report": lines}
    tell(options, said, [*lines, f"{options.out}: written"])


def _opened(options: Namespace, adapter: str = "") -> tuple[Artifact, Reading, list[Path]]:
    """The model, how the bags are read for it, and these."""
    artifact = load_artifact(options.model, adapter)
    settings = (
        read_settings(options.params_file)
        if options.params_file
        else sources_of_model(Settings(), artifact)
    )
    how = _reading(options, settings, artifact.rate_hz)
    if how.channels != artifact.channels:
        raise UsageError(
            f"{options.model} reads {', '.join(artifact.channels)}; the sources give "
            f"{', '.join(how.channels)}"
        )
    return artifact, how, bags_in(options.bags)


def _loaded(options: Namespace, adapter: str = "") -> tuple[Artifact, TrainingData]:
    """The model, and the bags as its windows: those of steady motion are the rows labelled free."""
    artifact, how, bags = _opened(options, adapter)
    return artifact, _windowed(options, artifact, how, bags, artifact.labels)[1]


def _windowed(
    options: Namespace, artifact: Artifact, how: Reading, bags: list[Path], known: tuple[str, ...]
) -> tuple[list[Run], TrainingData]:
    runs = read_runs(bags, how)
    if unknown := set(label_names(runs)) - set(known):
        raise UsageError(f"label '{min(unknown)}' is none of {options.model}'s: {', '.join(known)}")
    sizes = artifact.network.config
    windows = windows_of(runs, artifact.labels, sizes)
    data = TrainingData(
        artifact.channels, artifact.labels, sizes, windows, windows, windows, seed=0
    )
    return runs, data


def _tell_model(options: Namespace, artifact: Artifact, folder: Path) -> None:
    tell(options, read_card(folder / CARD), [describe(artifact), *_score_lines(artifact.metrics)])


def _score_lines(metrics: Mapping[str, Any]) -> list[str]:
    events = score_lines(metrics["events"]) if "events" in metrics else []
    return [*filter(None, [score_text(metrics)]), *events]


def _quantize(options: Namespace) -> None:
    sizes = load_artifact(options.model).network.config
    if options.rank is not None:
        if options.rank > sizes.width:
            raise UsageError(f"--rank is {options.rank}, expected the width {sizes.width} at most")
        sizes = replace(sizes, rank=options.rank)
    artifact, data = _loaded(options)
    teacher = load_teacher(training_folder(options.model), sizes)
    student = quantize_step(teacher, data, options.settle_steps, options.rounding)
    _save(options, replace(artifact, model=network_of(student), adapters={}), "quantize")


def _adapt(options: Namespace) -> None:
    artifact, data = _loaded(options)
    teacher = load_teacher(training_folder(options.model), artifact.network.config)
    student = mixer_of(artifact.network)
    tuned = adapt_step(student, teacher, data, options.steps, options.loss)
    if options.name:
        artifact = replace(artifact, adapters=artifact.adapters | {options.name: tuned})
    else:
        artifact = replace(artifact, model=network_of(student))
    _save(options, artifact, "adapt")


def _save(options: Namespace, artifact: Artifact, step: str) -> None:
    left_out = ("run", "cache", "outputs", "json", "force")
    said = {name: value for name, value in vars(options).items() if name not in left_out}
    said = json.loads(json.dumps(said, default=str))  # paths as text
    steps = [*artifact.provenance.get("later_steps", []), {step: said}]
    artifact = replace(artifact, provenance=artifact.provenance | {"later_steps": steps})
    out = options.out or options.model
    with writing(out):
        save_artifact(artifact, out)
    _tell_model(options, artifact, out)


def _name(options: Namespace) -> None:
    artifact, how, bags = _opened(options)
    tell_unnamed(bags, how)
    _save(options, name_events(artifact, bags, how), "name")


def _evaluate(options: Namespace) -> None:
    artifact, how, bags = _opened(options, options.adapter)
    found: dict[str, Any] = {}
    if artifact.model:
        found = _window_scores(options, artifact, how, bags)
    found["events"] = evaluate_events(artifact, bags, how)
    tell(options, found, _score_lines(found))
    if options.html:
        with written(options.html) as page:
            write_scores(found, f"{artifact.model_id} on {len(bags)} bags", page)


def _window_scores(
    options: Namespace, artifact: Artifact, how: Reading, bags: list[Path]
) -> dict[str, Any]:
    names = artifact.event_head.names if artifact.event_head else ()
    runs, data = _windowed(options, artifact, how, bags, (*artifact.labels, *names))
    folder = training_folder(options.model)
    teacher = load_teacher(folder, data.sizes) if (folder / FILE).exists() else None
    student = mixer_of(artifact.network)
    found: dict[str, Any] = evaluate_step(student, teacher, data)
    if not artifact.labels or not label_names(runs):
        return found
    outputs = run_outputs(student, list(enumerate(runs)), artifact.labels)
    hop_s = hop_of(artifact.window) / artifact.rate_hz
    told = f"{len(bags)} bags, by {options.model} as it is, every half window, transient path"
    by = artifact.label_filter
    return found | {HELD_OUT: scores_of_runs(outputs, artifact.labels, by, hop_s, told)}


def _info(options: Namespace) -> None:
    folder = options.model or default_artifact()
    artifact = load_artifact(folder)
    _tell_model(options, artifact, folder)
    if options.html:
        with written(options.html) as page:
            write_scores(artifact.metrics, artifact.model_id, page)
