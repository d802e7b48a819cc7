"""`tao-lora calibrate`: thresholds, contact loads and scales from steady bags."""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

from tao_lora_ros.bags.opening import bags_in
from tao_lora_ros.bags.reader import bag_topics
from tao_lora_ros.cli.arguments import (
    add_params_file,
    add_part_arguments,
    add_topic_argument,
    part_of,
    per_hour,
)
from tao_lora_ros.cli.chosen import choose
from tao_lora_ros.cli.fleet import add_pool_arguments, pool_of, status_of
from tao_lora_ros.cli.outputs import MODEL, add_json_and_force, add_output, tell, writing, written
from tao_lora_ros.detection.calibration import NotSteadyError
from tao_lora_ros.model.artifact import Artifact, save_artifact
from tao_lora_ros.report.calibration_plot import plot_calibration
from tao_lora_ros.training.calibrate import recalibrate, runs_of
from tao_lora_ros.training.robot import fitted_to


def add_calibrate_parser(subparsers: Any) -> None:
    """Add `calibrate` to the subparsers of `tao-lora`."""
    calibrate = subparsers.add_parser("calibrate", help="set the thresholds from steady bags")
    calibrate.set_defaults(run=_calibrate)
    add_topic_argument(calibrate)
    add_part_arguments(calibrate)
    calibrate.add_argument("bags", type=Path, nargs="+", help="steady bags, or folders of bags")
    add_pool_arguments(calibrate)
    calibrate.add_argument(
        "--model", type=Path, metavar="DIR", help="folder of a model to start from"
    )
    add_json_and_force(calibrate)
    what = "folder to write the model to"
    add_output(calibrate, "--out", MODEL, required=True, metavar="DIR", help=what)
    calibrate.add_argument(
        "--alarms-per-hour", type=per_hour, default=1.0, help="false alarms aimed at"
    )
    what = "write an HTML plot of the fit"
    add_output(calibrate, "--plot", metavar="FILE", help=what)
    calibrate.add_argument(
        "--insist",
        action="store_true",
        help="take also what is mostly no steady motion, as --force does too",
    )
    calibrate.add_argument(
        "--scales",
        choices=("set", "keep", "only"),
        default="set",
        help="of the channels, to the robot's own: set beside the thresholds (default), keep the "
        "model's, or set alone, from motion that need not be steady",
    )
    add_params_file(calibrate)


def _calibrate(options: Namespace) -> int:
    bags, pool, part_s = bags_in(options.bags), pool_of(options), part_of(options)
    chosen = pool.first(partial(choose, options), bags)
    topics = chosen.topics if len(bags) == 1 else bag_topics(options.topic)
    if options.scales == "only":
        runs = runs_of(chosen.artifact, bags, chosen.settings, topics, part_s, pool)
        artifact, lines = fitted_to(chosen.artifact, [run.values.astype(float) for run in runs])
        return _keep(options, artifact, lines, {}, "written, thresholds as they were")
    insist, rescale = options.insist or options.force, options.scales == "set"
    of, how = (chosen.artifact, bags, chosen.settings, topics), (options.alarms_per_hour, part_s)
    try:
        made = recalibrate(*of, *how, insist, rescale=rescale, pool=pool)
    except NotSteadyError as error:
        raise NotSteadyError(
            f"{error}; choose a part with --from and --to, or take it all the same with --insist"
        ) from None
    if options.plot:
        with written(options.plot) as page:
            plot_calibration(made.artifact, made.findings, made.left_out, page)
    alone = "detection only, `tao-lora train` adds a network"
    kind = alone if made.artifact.model is None else "written"
    findings, calibration = made.findings, made.artifact.calibration
    found = {
        "alarms_per_hour": calibration.alarms_per_hour,
        "thresholds": calibration.all_thresholds,
        "used_s": findings.used_s,
        "left_out_s": findings.left_out_s,
        "left_out": made.left_out,
    }
    return _keep(options, made.artifact, made.lines(chosen.settings), found, kind)


def _keep(
    options: Namespace, artifact: Artifact, lines: list[str], found: dict[str, Any], kind: str
) -> int:
    """Write the model and tell of it; returns the exit status."""
    with writing(options.out):
        save_artifact(artifact, options.out)
    said = {"model": str(options.out), **found, "report": lines, "failed": options.pool.failed}
    tell(options, said, [*lines, f"{options.out}: {kind}"])
    return status_of(options)
