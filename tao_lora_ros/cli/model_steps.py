"""`tao-lora quantize`, `adapt` and `name`: the steps of a training, one by one."""

from __future__ import annotations

import json
from argparse import Namespace, _ActionsContainer
from dataclasses import replace
from typing import Any

from tao_lora_ros.cli.arguments import MOST_STEPS, UsageError, adapter_name, whole
from tao_lora_ros.cli.fleet import status_of
from tao_lora_ros.cli.info import tell_model
from tao_lora_ros.cli.outputs import writing
from tao_lora_ros.cli.training_data import add_model_arguments, opened, windowed
from tao_lora_ros.model.artifact import Artifact, load_artifact, save_artifact, training_folder
from tao_lora_ros.model.conversion import mixer_of, network_of
from tao_lora_ros.training.name_events import name_events
from tao_lora_ros.training.quantize import ROUNDINGS
from tao_lora_ros.training.recordings import tell_unnamed
from tao_lora_ros.training.steps import LOSSES, adapt_step, quantize_step
from tao_lora_ros.training.teacher import load_teacher
from tao_lora_ros.training.training_config import TrainingConfig


def add_step_parsers(subparsers: Any) -> None:
    """Add the commands to the subparsers of `tao-lora`."""
    quantize = subparsers.add_parser("quantize")
    quantize.set_defaults(run=_quantize)
    add_model_arguments(quantize)
    quantize.add_argument("--rounding", choices=ROUNDINGS, default="gptq", help="of the weights")
    add_settle_steps(quantize)
    quantize.add_argument(
        "--rank", type=whole(1, 4096), help="of the low-rank branches (default: as it is)"
    )

    adapt = subparsers.add_parser("adapt")
    adapt.set_defaults(run=_adapt)
    add_model_arguments(adapt)
    what = "keep it as a named adapter beside the others"
    adapt.add_argument("--name", type=adapter_name, help=what)
    adapt.add_argument("--loss", choices=LOSSES, default="fidelity", help="what is made small")
    steps = whole(1, MOST_STEPS)
    adapt.add_argument(
        "--steps", type=steps, default=TrainingConfig.adapt_steps, help="of the tuning"
    )

    name = subparsers.add_parser("name")
    name.set_defaults(run=_name)
    add_model_arguments(name)


def _quantize(options: Namespace) -> int:
    sizes = load_artifact(options.model).network.config
    if options.rank is not None:
        if options.rank > sizes.width:
            raise UsageError(f"--rank is {options.rank}, expected the width {sizes.width} at most")
        sizes = replace(sizes, rank=options.rank)
    artifact, how, bags = opened(options)
    teacher = load_teacher(training_folder(options.model), sizes)
    data = windowed(options, artifact, how, bags, artifact.labels)[1]
    student = quantize_step(teacher, data, options.settle_steps, options.rounding)
    return _save(options, replace(artifact, model=network_of(student), adapters={}), "quantize")


def _adapt(options: Namespace) -> int:
    artifact, how, bags = opened(options)
    teacher = load_teacher(training_folder(options.model), artifact.network.config)
    data = windowed(options, artifact, how, bags, artifact.labels)[1]
    student = mixer_of(artifact.network)
    tuned = adapt_step(student, teacher, data, options.steps, options.loss)
    if options.name:
        artifact = replace(artifact, adapters=artifact.adapters | {options.name: tuned})
    else:
        artifact = replace(artifact, model=network_of(student))
    return _save(options, artifact, "adapt")


def _name(options: Namespace) -> int:
    artifact, how, bags = opened(options)
    tell_unnamed(bags, how)
    return _save(options, name_events(artifact, bags, how), "name")


def _save(options: Namespace, artifact: Artifact, step: str) -> int:
    left_out = ("run", "cache", "outputs", "json", "force", "workers", "ray", "strict", "pool")
    said = {name: value for name, value in vars(options).items() if name not in left_out}
    said = json.loads(json.dumps(said, default=str))  # paths as text
    steps = [*artifact.provenance.get("later_steps", []), {step: said}]
    artifact = replace(artifact, provenance=artifact.provenance | {"later_steps": steps})
    out = options.out or options.model
    with writing(out):
        save_artifact(artifact, out)
    tell_model(options, artifact, out)
    return status_of(options)


def add_settle_steps(parser: _ActionsContainer) -> None:
    """`--settle-steps`."""
    parser.add_argument(
        "--settle-steps",
        type=whole(0, MOST_STEPS),
        default=TrainingConfig.settle_steps,
        metavar="N",
        help="steps of tuning the quantised model",
    )
