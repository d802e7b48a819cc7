"""`tao-lora evaluate`: how good a model is on bags."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from tao_lora_ros.cli.fleet import status_of
from tao_lora_ros.cli.info import add_html
from tao_lora_ros.cli.outputs import tell, written
from tao_lora_ros.cli.training_data import add_model_arguments, opened, windowed
from tao_lora_ros.fleet.gpu import check_gpu, on_gpu
from tao_lora_ros.model.artifact import Artifact, training_folder
from tao_lora_ros.model.conversion import mixer_of
from tao_lora_ros.model.network import Network
from tao_lora_ros.report.score_tables import HELD_OUT, score_text, write_scores
from tao_lora_ros.training.cross_validation import scores_of_runs
from tao_lora_ros.training.dataset import label_names
from tao_lora_ros.training.evaluate import WindowModel
from tao_lora_ros.training.held_out import hop_of, run_outputs
from tao_lora_ros.training.name_events import evaluate_events
from tao_lora_ros.training.recordings import Reading
from tao_lora_ros.training.runtime_model import RuntimeModel
from tao_lora_ros.training.steps import evaluate_step
from tao_lora_ros.training.teacher import FILE, load_teacher


def add_evaluate_parser(subparsers: Any) -> None:
    """Add the command to the subparsers of `tao-lora`."""
    evaluate = subparsers.add_parser("evaluate")
    evaluate.set_defaults(run=_evaluate)
    add_model_arguments(evaluate, writes=False)
    evaluate.add_argument("--adapter", default="", help="named adapter instead of the model's own")
    evaluate.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        default="cpu",
        help="of the model: cuda runs many windows a launch, as nodes on a GPU do",
    )
    add_html(evaluate)


def _evaluate(options: Namespace) -> int:
    artifact, how, bags = opened(options, options.adapter)
    found: dict[str, Any] = {}
    if artifact.model:
        found = _window_scores(options, artifact, how, bags)
    found["events"] = evaluate_events(artifact, bags, how)
    tell(options, found | {"failed": how.pool.failed}, [score_text(found)])
    if options.html:
        with written(options.html) as page:
            about = f"{artifact.model_id} on {len(how.pool.good(bags))} bags"
            write_scores(found, about, page)
    return status_of(options)


def _window_scores(
    options: Namespace, artifact: Artifact, how: Reading, bags: list[Path]
) -> dict[str, Any]:
    names = artifact.event_head.names if artifact.event_head else ()
    runs, data = windowed(options, artifact, how, bags, (*artifact.labels, *names))
    folder = training_folder(options.model)
    teacher = load_teacher(folder, data.sizes) if (folder / FILE).exists() else None
    student = mixer_of(artifact.network)
    run = _on_gpu(artifact.network) if options.device == "cuda" else student
    found: dict[str, Any] = evaluate_step(student, teacher, data, run)
    if not artifact.labels or not label_names(runs):
        return found
    outputs = run_outputs(run, list(enumerate(runs)), artifact.labels)
    hop_s = hop_of(artifact.window) / artifact.rate_hz
    method = f"{len(runs)} bags, by {options.model} as it is, every half window, transient path"
    seen = set(artifact.provenance.get("training_runs", ()))
    known = sum(run.name in seen for run in runs)
    scores = scores_of_runs(
        outputs, artifact.labels, artifact.label_filter, hop_s, method, trained_on=known
    )
    return found | {HELD_OUT: scores}


def _on_gpu(model: Network) -> WindowModel:
    check_gpu("take --device cpu")
    return RuntimeModel(model, on_gpu)
