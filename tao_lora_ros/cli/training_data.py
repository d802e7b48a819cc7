"""What `train` and its steps have in common: which bags, how they are read, and for which model."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from tao_lora_ros.bags.discover import discover
from tao_lora_ros.bags.opening import bags_in
from tao_lora_ros.bags.reader import WHOLE, bag_topics
from tao_lora_ros.bags.rows import Run, grid_rate_hz, measured_rate_hz
from tao_lora_ros.cli.arguments import (
    MOST_RATE_HZ,
    UsageError,
    add_params_file,
    add_topic_argument,
    expression,
    number,
    or_auto,
)
from tao_lora_ros.cli.fleet import add_pool_arguments, pool_of
from tao_lora_ros.cli.outputs import MODEL, add_json_and_force, add_output
from tao_lora_ros.engine.settings import Settings, read_settings
from tao_lora_ros.engine.sources import sources_of_model
from tao_lora_ros.model.artifact import Artifact, load_artifact
from tao_lora_ros.training.dataset import label_names, windows_of
from tao_lora_ros.training.recordings import Reading, default_cache, read_runs
from tao_lora_ros.training.steps import TrainingData


def add_data_arguments(
    parser: ArgumentParser, rate_hz: float | None = None, bags: str = "+"
) -> None:
    """Which bags, how they are labelled and read; with a default `rate_hz` also on which grid."""
    parser.add_argument("bags", type=Path, nargs=bags, help="bags, or folders of bags")
    add_pool_arguments(parser)
    data = parser.add_argument_group("how bags are read and labelled")
    add_topic_argument(data)
    data.add_argument(
        "--name-label",
        type=expression,
        default="",
        metavar="REGEX",
        help="a bag's label is this expression's first group in its name",
    )
    data.add_argument(
        "--label-topic",
        default="",
        metavar="TOPIC",
        help="a topic of strings, each the label from there on",
    )
    add_params_file(data)
    what = "for aligned rows"
    add_output(data, "--cache", grows=True, default=default_cache(), metavar="DIR", help=what)
    if rate_hz is not None:
        data.add_argument(
            "--rate-hz",
            type=or_auto(number(least=1.0, most=MOST_RATE_HZ)),
            default=rate_hz,
            metavar="HZ",
            help="grid rate; auto: that of the fastest source, by the stamps of all bags",
        )


def add_model_arguments(parser: ArgumentParser, writes: bool = True) -> None:
    """A trained model and the bags for it; where it `writes`, also the folder."""
    parser.add_argument("model", type=Path, help="folder of a model that `train` wrote")
    add_data_arguments(parser)
    add_json_and_force(parser)
    if writes:
        what = "folder to write the model to (default: the same)"
        add_output(parser, "--out", MODEL, metavar="DIR", help=what)


def reading_of(
    options: Namespace, settings: Settings, rate_hz: float, part_s: tuple[float, float] = WHOLE
) -> Reading:
    """How the command line says that bags are read."""
    return Reading(
        settings,
        rate_hz,
        bag_topics(options.topic),
        options.name_label,
        options.label_topic,
        options.cache,
        part_s,
        pool_of(options),
    )


def opened(options: Namespace, adapter: str = "") -> tuple[Artifact, Reading, list[Path]]:
    """The model, how the bags are read for it, and these."""
    artifact = load_artifact(options.model, adapter)
    settings = (
        read_settings(options.params_file)
        if options.params_file
        else sources_of_model(Settings(), artifact)
    )
    how = reading_of(options, settings, artifact.rate_hz)
    if how.channels != artifact.channels:
        raise UsageError(
            f"{options.model} reads {', '.join(artifact.channels)}; the sources give "
            f"{', '.join(how.channels)}"
        )
    return artifact, how, bags_in(options.bags)


def windowed(
    options: Namespace, artifact: Artifact, how: Reading, bags: list[Path], known: tuple[str, ...]
) -> tuple[list[Run], TrainingData]:
    """The runs of bags, and their windows: those of steady motion are the rows labelled free.

    Raises:
        UsageError: a label is none of those `known`.
    """
    runs = read_runs(bags, how)
    if unknown := set(label_names(runs)) - set(known):
        raise UsageError(f"label '{min(unknown)}' is none of {options.model}'s: {', '.join(known)}")
    sizes = artifact.network.config
    windows = windows_of(runs, artifact.labels, sizes)
    data = TrainingData(
        artifact.channels, artifact.labels, sizes, windows, windows, windows, seed=0
    )
    return runs, data


def sources_of_most(bags: Sequence[Path], params_file: Path | None, how: Reading) -> Settings:
    """The sources of a parameter file, else those that most of the bags hold.

    Raises:
        BagError: none holds any.
        SettingsError: the parameter file is wrong.
    """
    if params_file:
        return read_settings(params_file)
    look = partial(discover, settings=how.settings, topics=how.topics)
    found = Counter(sources.settings for _, sources in how.pool.map(look, bags))
    return found.most_common(1)[0][0]


def stamped_rate_hz(bags: Sequence[Path], how: Reading) -> float:
    """The usual rate of the bags by their stamps, which is said.

    Raises:
        BagError: no bag tells any.
    """
    look = partial(measured_rate_hz, settings=how.settings, topics=how.topics)
    rates = [rate_hz for _, rate_hz in how.pool.map(look, bags)]
    chosen = grid_rate_hz(median(rates))
    print(
        f"--rate-hz auto: {chosen:g} (of {len(rates)} bags {min(rates):.4g} to {max(rates):.4g})",
        file=sys.stderr,
    )
    return chosen
