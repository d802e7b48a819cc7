"""`tao-lora info`: what a model is, without torch."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from tao_lora_ros.cli.outputs import add_json_and_force, add_output, tell, written
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact
from tao_lora_ros.model.card import CARD, read_card
from tao_lora_ros.model.describe import describe
from tao_lora_ros.model.summary import summary
from tao_lora_ros.report.score_tables import score_lines, score_text, write_scores

_MORE = (
    "  --all: layers, numbers of the thresholds, provenance, tables of scores; --json: for programs"
)


def add_info_parser(subparsers: Any) -> None:
    """Add the command to the subparsers of `tao-lora`."""
    info = subparsers.add_parser("info", help="what a model reads, knows and scores")
    info.set_defaults(run=_info)
    add_json_and_force(info)
    info.add_argument("model", type=Path, nargs="?", help="folder of a model (default: ours)")
    what = "layers, bits, bytes, provenance and tables of scores too"
    info.add_argument("--all", action="store_true", help=what)
    add_html(info)


def add_html(parser: ArgumentParser) -> None:
    """`--html`."""
    add_output(parser, "--html", metavar="FILE", help="write the tables as HTML")


def _info(options: Namespace) -> None:
    folder = options.model or default_artifact()
    artifact = load_artifact(folder)
    lines = _whole(artifact) if options.all else _short(artifact)
    tell(options, read_card(folder / CARD), lines)
    if options.html:
        with written(options.html) as page:
            write_scores(artifact.metrics, artifact.model_id, page)


def tell_model(options: Namespace, artifact: Artifact, folder: Path) -> None:
    """What a model is that was written, with all its scores, or its card as JSON."""
    lines = [*summary(artifact), *_scores(artifact)]
    tell(options, read_card(folder / CARD), lines)


def _short(artifact: Artifact) -> list[str]:
    return [*summary(artifact), *(f"  {line}" for line in score_lines(artifact.metrics)), _MORE]


def _whole(artifact: Artifact) -> list[str]:
    return [describe(artifact), *_scores(artifact)]


def _scores(artifact: Artifact) -> list[str]:
    return list(filter(None, [score_text(artifact.metrics)]))
