"""`tao-lora info`: what a model is, without torch."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from tao_lora_ros.cli.outputs import add_json_and_force, add_output, tell, written
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact
from tao_lora_ros.model.card import CARD, read_card
from tao_lora_ros.model.describe import describe
from tao_lora_ros.report.score_tables import score_text, write_scores


def add_info_parser(subparsers: Any) -> None:
    """Add the command to the subparsers of `tao-lora`."""
    info = subparsers.add_parser("info", help="layers, bits, bytes, calibration of a model")
    info.set_defaults(run=_info)
    add_json_and_force(info)
    info.add_argument("model", type=Path, nargs="?", help="artifact folder (default: ours)")
    add_html(info)


def add_html(parser: ArgumentParser) -> None:
    """`--html`."""
    add_output(parser, "--html", metavar="FILE", help="write the tables as HTML")


def _info(options: Namespace) -> None:
    folder = options.model or default_artifact()
    artifact = load_artifact(folder)
    tell_model(options, artifact, folder)
    if options.html:
        with written(options.html) as page:
            write_scores(artifact.metrics, artifact.model_id, page)


def tell_model(options: Namespace, artifact: Artifact, folder: Path) -> None:
    """What a model is that was written, or its card as JSON."""
    lines = [describe(artifact), *filter(None, [score_text(artifact.metrics)])]
    tell(options, read_card(folder / CARD), lines)
