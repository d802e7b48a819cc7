"""`tao-lora train`, and all commands that work with a model's training."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from tao_lora_ros.bags.opening import bags_in
from tao_lora_ros.bags.rows import HIGHEST_RATE_HZ
from tao_lora_ros.cli.arguments import (
    MOST_BATCH,
    MOST_SEED,
    MOST_STEPS,
    UsageError,
    add_part_arguments,
    expression,
    part_of,
    per_hour,
    whole,
)
from tao_lora_ros.cli.fleet import status_of
from tao_lora_ros.cli.info import tell_model
from tao_lora_ros.cli.model_steps import add_settle_steps, add_step_parsers
from tao_lora_ros.cli.outputs import MODEL, add_json_and_force, add_output, tell, writing
from tao_lora_ros.cli.scores import add_evaluate_parser
from tao_lora_ros.cli.training_data import (
    add_data_arguments,
    reading_of,
    sources_of_most,
    stamped_rate_hz,
)
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.model.artifact import default_artifact, load_artifact, save_artifact
from tao_lora_ros.training.fit_config import FitConfig
from tao_lora_ros.training.store_names import learn_names
from tao_lora_ros.training.train import train
from tao_lora_ros.training.training_config import SIZES, TrainingConfig
from tao_lora_ros.training.window_sizes import LEAST, MOST, STEP, nearest

_STEPS = whole(1, MOST_STEPS)
_DESCRIPTION = """Fit a model on bags, quantise it, and set its thresholds on steady ones. Labels
come from BAG.labels.csv (start_s,end_s,label), --name-label or --label-topic; without any the
model forecasts. Such as: tao-lora train bags --steady steady_bags --out my_model"""


def _window(text: str) -> int | None:
    """Rows of a window, for argparse; None for auto."""
    if text == "auto":
        return None
    rows = int(text) if text.isdecimal() else -1
    if LEAST <= rows <= MOST and rows % STEP == 0:
        return rows
    near = f", such as {' or '.join(map(str, nearest(rows)))}" if rows >= 0 else ""
    raise ArgumentTypeError(
        f"'{text}', expected a multiple of {STEP} from {LEAST} to {MOST}{near}, or auto"
    )


def add_training_parsers(subparsers: Any) -> None:
    """Add the commands to the subparsers of `tao-lora`."""
    _add_train(subparsers)
    add_step_parsers(subparsers)
    add_evaluate_parser(subparsers)


def _add_train(subparsers: Any) -> None:
    parser = subparsers.add_parser("train")
    parser.set_defaults(run=_train)
    add_data_arguments(parser, rate_hz=500.0, bags="*")
    parser.description = _DESCRIPTION
    parser.add_argument(
        "--steady",
        type=Path,
        nargs="+",
        default=[],
        metavar="BAG",
        help="steady bags, or folders, for the thresholds; without any the model classifies alone",
    )
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="learn names alone, of its labelled events"
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="with --store: what to start from (default: ours)"
    )
    add_part_arguments(parser)
    what = "folder to write the model to; an interrupted training goes on in its own"
    add_output(parser, "--out", MODEL, required=True, metavar="DIR", help=what)
    add_json_and_force(parser)
    parser.add_argument("--model-id", help="name of the model (default: the folder's)")
    fitted = parser.add_argument_group("model and fit")
    fitted.add_argument("--size", choices=SIZES, default="base", help="of the model")
    fitted.add_argument(
        "--window",
        type=_window,
        default=TrainingConfig.window,
        metavar="ROWS",
        help="rows of a window, a multiple of 4; auto: by the usual recording of each label",
    )
    fitted.add_argument(
        "--horizon",
        type=whole(1, MOST),
        default=TrainingConfig.horizon,
        metavar="ROWS",
        help="rows that are forecast; with --window auto at most",
    )
    for name, least, most, default, what in (
        ("--steps", 1, MOST_STEPS, FitConfig.steps, "training steps"),
        ("--batch", 1, MOST_BATCH, FitConfig.batch, "windows of a step"),
        ("--seed", 0, MOST_SEED, FitConfig.seed, "of all draws"),
    ):
        fitted.add_argument(name, type=whole(least, most), default=default, metavar="N", help=what)
    add_settle_steps(fitted)
    fitted.add_argument(
        "--adapt-steps",
        type=whole(0, MOST_STEPS),
        default=TrainingConfig.adapt_steps,
        metavar="N",
        help="steps of tuning the low-rank branches",
    )
    fitted.add_argument(
        "--alarms-per-hour", type=per_hour, default=1.0, metavar="N", help="target of the router"
    )
    _scores_arguments(parser)


def _scores_arguments(parser: ArgumentParser) -> None:
    scores = parser.add_argument_group("scores")
    scores.add_argument(
        "--folds",
        type=whole(0, 1000),
        default=TrainingConfig.folds,
        metavar="N",
        help="parts of the runs, each held out once for the scores; 0: no scores",
    )
    scores.add_argument(
        "--fold-steps",
        type=_STEPS,
        default=TrainingConfig.fold_steps,
        metavar="N",
        help="training steps of each of them, at most",
    )
    scores.add_argument(
        "--group",
        type=expression,
        default=TrainingConfig.group,
        metavar="REGEX",
        help="bags with the same first group of this expression in their paths are held out "
        "together, such as those of a robot or a day (default: those recorded one after another)",
    )
    scores.add_argument(
        "--hold-out", action="store_true", help="train without one of the folds, and score on it"
    )


def _train(options: Namespace) -> int:
    if options.store:
        _train_names(options)
        return 0
    if not options.bags:
        raise UsageError("train needs bags, or --store")
    if options.model:
        raise UsageError("--model goes with --store")
    config = TrainingConfig(
        model_id=options.model_id or options.out.name,
        size=options.size,
        window=options.window,
        horizon=options.horizon,
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
    steady = bags_in(options.steady)
    how = reading_of(options, Settings(), HIGHEST_RATE_HZ, part_of(options))
    how = replace(how, settings=sources_of_most(bags, options.params_file, how))
    how = replace(how, rate_hz=options.rate_hz or stamped_rate_hz([*bags, *steady], how))
    with writing(options.out):
        artifact = train(bags, steady, options.out, how, config)
    if artifact:
        tell_model(options, artifact, options.out)
    return status_of(options)


def _train_names(options: Namespace) -> None:
    if options.bags or options.steady or options.params_file:
        raise UsageError("--store learns from labelled events alone: no bags, no --params-file")
    artifact = load_artifact(options.model or default_artifact())
    found = learn_names(options.store, artifact)
    with writing(options.out):
        save_artifact(found.artifact, options.out)
    lines = [shown(line, MOST_LINE) for line in found.lines()]
    said = {"model": str(options.out), "report": lines}
    tell(options, said, [*lines, f"{options.out}: written"])
