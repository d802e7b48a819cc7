"""Peers among classifiers of series, on the folds and windows that ours is scored on.

MiniRocket (arXiv 2012.08791), MultiRocket-Hydra (arXiv 2203.13652), QUANT (arXiv 2308.00928) and
LITETime (arXiv 2409.02869) are aeon's; the forest on hand-made features is ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import borealtc, forest
from benchmark.trials import Number, Say, Trial, teacher_of
from tao_lora_ros.benchmarks.results import OURS
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.training.dataset import Batch, WindowSet, label_names
from tao_lora_ros.training.evaluate import classification
from tao_lora_ros.training.fit_config import FitConfig
from tao_lora_ros.training.folds import groups_of, split
from tao_lora_ros.training.steps import TrainingData, quantize_step

CASE = "borealtc-folds"
FOLDS = 5
HOP = 64
AEON = {
    "minirocket": ("convolution_based", "MiniRocketClassifier", {"n_kernels": 3000}),
    "multirocket-hydra": ("convolution_based", "MultiRocketHydraClassifier", {}),
    "quant": ("interval_based", "QUANTClassifier", {}),
    "litetime": ("deep_learning", "LITETimeClassifier", {}),
}

Predict = Callable[[NDArray[np.float32]], NDArray[np.int64]]  # windows [B, T, C] to labels [B]


def measure_peers(seed: int, steps: int, settle: int, cache: Path, say: Say) -> Iterator[Number]:
    """Accuracy, macro-F1 and CPU time a window of every classifier, once a fold.

    Runs that were recorded one after another are held out together, as `tao-lora train` does it.
    """
    runs = borealtc.read_runs(borealtc.data_file())
    labels = label_names(runs)
    folds = split(runs, groups_of([], runs, "", FOLDS), FOLDS, gap=0).folds
    for number, fold in enumerate(folds):
        parts = [[run for _, run in part] for part in (fold.training, fold.held_out)]
        name = f"borealtc-{number}-of-{FOLDS}"
        trial = Trial(
            name, borealtc.CHANNELS, borealtc.RATE_HZ, labels, parts[0], [], parts[1], seed
        )
        training, test = (_every_hop(trial.windows(part)) for part in parts)
        for subject, predict in _fitted(trial, training, steps, settle, cache, say):
            began = time.process_time()
            found = classification(predict(test.windows.numpy()), test.labels.numpy())
            taken_ms = 1e3 * (time.process_time() - began) / len(test.windows)
            say(f"fold {number}, {subject}: accuracy {found['accuracy']:.3f}")
            for metric, value in (found | {"cpu_ms": taken_ms}).items():
                yield subject, CASE, metric, value


def _every_hop(data: WindowSet) -> Batch:
    starts = np.flatnonzero(np.diff(data.run_numbers(np.arange(len(data))), prepend=-1))
    ends = [*starts[1:], len(data)]
    spans = zip(starts, ends, strict=True)
    return data.take(np.concatenate([np.arange(a, b, HOP) for a, b in spans]))


def _fitted(
    trial: Trial, training: Batch, steps: int, settle: int, cache: Path, say: Say
) -> Iterator[tuple[str, Predict]]:
    yield OURS, _ours(trial, steps, settle, cache, say)
    windows, labels = training.windows.numpy(), training.labels.numpy()
    if find_spec("sklearn") is None:
        say("peers: left out, scikit-learn is not installed; pip install scikit-learn")
        return
    yield "random-forest", forest.grow(windows, labels, trial.seed)
    if find_spec("aeon") is None:
        say("aeon's: left out; pip install --no-deps aeon deprecated, whose numba is older")
        return
    for name, (module, made, arguments) in AEON.items():
        if name != "litetime" or find_spec("tensorflow"):
            kind = getattr(import_module(f"aeon.classification.{module}"), made)
            classifier = kind(random_state=trial.seed, **arguments)
            classifier.fit(windows.transpose(0, 2, 1), labels)
            yield name, partial(_predicted, classifier)


def _predicted(classifier: Any, windows: NDArray[np.float32]) -> NDArray[np.int64]:
    """aeon takes [B, C, T]."""
    return classifier.predict(windows.transpose(0, 2, 1))


def _ours(trial: Trial, steps: int, settle: int, cache: Path, say: Say) -> Predict:
    """INT4, on the CPU as a node runs it."""
    teacher = teacher_of(trial, FitConfig(steps, trial.seed), cache, say)
    data = trial.windows(trial.training)
    sizes = teacher.config
    parts = TrainingData(
        trial.channels, trial.labels, sizes, data, None, steady=data, seed=trial.seed
    )
    runtime = CpuRuntime(network_of(quantize_step(teacher, parts, settle)))

    def predict(windows: NDArray[np.float32]) -> NDArray[np.int64]:
        paths = np.full(len(windows), Route.STEADY, np.int32)
        return runtime.infer_batch(windows, paths).logits.argmax(axis=1)

    return predict
