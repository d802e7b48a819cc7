"""Peers among classifiers of series, on the folds and windows that ours is scored on.

MiniRocket (arXiv 2012.08791), MultiRocket-Hydra (arXiv 2203.13652) and QUANT (arXiv 2308.00928) are
aeon's; LITETime is ours by its paper (aeon's needs TensorFlow), and so are the forest on hand-made
features and the TCN, which trains as the mixer does.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark import borealtc, forest, lite
from benchmark.cpu_peers import session
from benchmark.ridge import Ridge
from benchmark.single_path import write_onnx
from benchmark.tcn import CausalTcn
from benchmark.trials import Say
from tao_lora_ros.bags.rows import Run
from tao_lora_ros.benchmarks.results import OURS
from tao_lora_ros.detection.calibration import uncalibrated
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.conversion import network_of
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.signal.code_digest import digest
from tao_lora_ros.training.dataset import Batch, WindowSet, label_names
from tao_lora_ros.training.evaluate import outputs
from tao_lora_ros.training.fit import fit
from tao_lora_ros.training.fit_config import FitConfig
from tao_lora_ros.training.folds import Fold, Part, groups_of, runs_in, split
from tao_lora_ros.training.held_out import RunOutputs, hop_of
from tao_lora_ros.training.steps import TrainingData, quantize_step
from tao_lora_ros.training.training_config import SIZES

FOLDS = 5
_CODE = ("signal", "quantization", "detection", "model", "runtime", "bags", "training")

Windows = NDArray[np.float32]  # [n, T, C]
Labels = NDArray[np.int64]
Predict = Callable[[Windows], NDArray[Any]]  # windows to logits or margins, [n, L]


class FoldOutputs(NamedTuple):
    """What a subject says of the runs of a fold, and the CPU time a window took it."""

    runs: list[RunOutputs]
    cpu_ms: float


@dataclass(frozen=True)
class Task:
    """A fold to fit on and to call.

    Args:
        fold: whole runs.
        labels: names of all labels.
        seed: of every fit.
        steps: of the fits of ours and of the TCN.
        settle: steps of tuning ours after rounding.
        channels: of the rows, in SI units.
        rate_hz: of the rows.
        sizes: of ours and of the TCN.
    """

    fold: Fold
    labels: tuple[str, ...]
    seed: int
    steps: int
    settle: int
    channels: tuple[str, ...]
    rate_hz: float
    sizes: MixerConfig

    def windows(self, runs: Sequence[Run]) -> WindowSet:
        """All windows of some runs."""
        return WindowSet(runs, self.labels, self.sizes.window, self.sizes.horizon)

    def halves(self, parts: Sequence[Part]) -> list[Batch]:
        """Of each run the windows that overlap by half, which are scored."""
        hop = hop_of(self.sizes.window)
        sets = [self.windows([run]) for run in runs_in(parts)]
        return [data.take(np.arange(0, len(data), hop)) for data in sets]

    @cached_property
    def training(self) -> tuple[Windows, Labels]:
        """What the peers are fitted on; ours and the TCN draw windows anywhere in these runs."""
        found = self.halves(self.fold.training)
        windows, labels = ([getattr(b, n).numpy() for b in found] for n in ("windows", "labels"))
        return np.concatenate(windows), np.concatenate(labels)

    @cached_property
    def teacher(self) -> Mixer:
        """Ours in full precision."""
        return self.fitted(Mixer)

    def fitted(self, make: Callable[[MixerConfig], Mixer]) -> Mixer:
        """A model of the mixer's interface, trained as the mixer is."""
        floors = uncalibrated(self.channels, self.rate_hz).floors
        config, data = FitConfig(self.steps, self.seed), self.windows(runs_in(self.fold.training))
        return fit(data, self.sizes, self.channels, floors, config, make=make)


def tasks_of(runs: Sequence[Run], seed: int, steps: int, settle: int) -> list[Task]:
    """A task a fold of BorealTC's runs for `base`; those recorded one after another not parted."""
    folds = split(runs, groups_of([], runs, "", FOLDS), FOLDS, gap=0).folds
    labels, channels = label_names(runs), borealtc.CHANNELS
    sizes = MixerConfig(len(channels), len(labels), segment=SIZES["base"].segment)
    about = channels, borealtc.RATE_HZ, sizes
    return [Task(fold, labels, seed, steps, settle, *about) for fold in folds]


def subjects(say: Say) -> list[str]:
    """Those of `SUBJECTS` that can be measured here; what others lack is said."""
    if find_spec("aeon") is None:
        say("aeon's: left out; pip install --no-deps -r requirements/benchmark-no-deps.txt")
    if not torch.cuda.is_available():
        say("litetime: left out, its epochs want a GPU")
    missing = AEON * (find_spec("aeon") is None) + ("litetime",) * (not torch.cuda.is_available())
    return [name for name in SUBJECTS if name not in missing]


def fold_outputs(subject: str, tasks: Sequence[Task], cache: Path, say: Say) -> list[FoldOutputs]:
    """What one of `SUBJECTS` says of runs that it never saw, fold by fold; kept in a cache."""
    found = []
    for number, task in enumerate(tasks):
        held = [(part, b) for part in task.fold.held_out for b in task.halves([part])]
        file = cache / f"{_state(subject, task)}.npz"
        if not file.exists():
            windows = np.concatenate([batch.windows.numpy() for _, batch in held])
            predict = SUBJECTS[subject](task)
            began = time.process_time()
            logits = np.asarray(predict(windows), np.float64)
            cpu_ms = 1e3 * (time.process_time() - began) / len(windows)
            cache.mkdir(parents=True, exist_ok=True)
            np.savez(file, logits=logits, cpu_ms=cpu_ms)
        with np.load(file) as kept:
            said = torch.from_numpy(kept["logits"]).softmax(dim=1)
            parts = said.split([len(batch.labels) for _, batch in held])
            runs = [
                RunOutputs(n, run.name, batch.labels.numpy(), own.numpy())
                for ((n, run), batch), own in zip(held, parts, strict=True)
                if len(own)
            ]
            found.append(FoldOutputs(runs, float(kept["cpu_ms"])))
        right = np.concatenate([r.probabilities.argmax(axis=1) == r.truth for r in runs])
        say(f"seed {task.seed}, fold {number}, {subject}: {right.mean():.3f} right")
    return found


def _state(subject: str, task: Task) -> str:
    """Of all that an output follows from."""
    total = sha256(f"{subject} {task.seed} {task.steps} {task.settle} {digest(_CODE)}".encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        total.update(file.read_bytes())
    for run in runs_in([*task.fold.training, *task.fold.held_out]):
        total.update(np.ascontiguousarray(run.values).tobytes())
    return total.hexdigest()[:32]


def _ours(task: Task) -> Predict:
    """INT4 on the CPU, a window a call, as a node runs it."""
    data = task.windows(runs_in(task.fold.training))
    parts = TrainingData(task.channels, task.labels, task.sizes, data, None, data, task.seed)
    runtime = CpuRuntime(network_of(quantize_step(task.teacher, parts, task.settle)))
    path = np.int32(Route.STEADY)
    return lambda x: runtime.infer_batch(x, np.full(len(x), path)).logits


def _onnxruntime(task: Task) -> Predict:
    """The same model in full precision, a window a call."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        write_onnx(task.teacher, torch.from_numpy(task.training[0][:1]), file)
        call = session(file)
    return lambda windows: np.concatenate([call(window[None], None)[0] for window in windows])


def _tcn(task: Task) -> Predict:
    model = task.fitted(CausalTcn)

    def predict(windows: Windows) -> NDArray[Any]:
        logits = outputs(model, torch.from_numpy(windows), Route.TRANSIENT).logits
        assert logits is not None, "there are labels"
        return logits.numpy()

    return predict


def _forest(task: Task) -> Predict:
    return partial(_logarithms, forest.grow(*task.training, task.seed))


def _quant(task: Task) -> Predict:
    from aeon.classification.interval_based import QUANTClassifier

    windows, labels = task.training
    trees = QUANTClassifier(random_state=task.seed).fit(windows.transpose(0, 2, 1), labels)
    return partial(_logarithms, lambda x: trees.predict_proba(x.transpose(0, 2, 1)))


def _minirocket(task: Task) -> Predict:
    from aeon.transformations.collection.convolution_based import MiniRocket
    from sklearn.preprocessing import StandardScaler

    return _by_ridge(task, [(MiniRocket(random_state=task.seed), StandardScaler())])


def _multirocket_hydra(task: Task) -> Predict:
    from aeon.classification.convolution_based._hydra import _SparseScaler
    from aeon.transformations.collection.convolution_based import HydraTransformer, MultiRocket
    from sklearn.preprocessing import StandardScaler

    hydra, rocket = HydraTransformer(random_state=task.seed), MultiRocket(random_state=task.seed)
    return _by_ridge(task, [(hydra, _SparseScaler()), (rocket, StandardScaler())])


def _litetime(task: Task) -> Predict:
    return lite.grow(*task.training, task.seed)


def _by_ridge(task: Task, ways: Sequence[tuple[Any, Any]]) -> Predict:
    """On features of aeon's transforms, each with the scaler that goes with it there."""

    def features(windows: Windows, how: str) -> NDArray[np.float32]:
        x = np.ascontiguousarray(windows.transpose(0, 2, 1))
        made = [getattr(scaler, how)(getattr(way, how)(x)) for way, scaler in ways]
        return np.concatenate([np.asarray(part, np.float32) for part in made], axis=1)

    windows, labels = task.training
    ridge = Ridge(features(windows, "fit_transform"), labels)
    return lambda windows: ridge.margins(features(windows, "transform"))


def _logarithms(predict: Predict, windows: Windows) -> NDArray[np.float64]:
    """Of shares of trees, some of which are 0."""
    return np.log(np.maximum(predict(windows), 1e-3))


SUBJECTS: dict[str, Callable[[Task], Predict]] = {
    OURS: _ours,
    "onnxruntime-fp32": _onnxruntime,
    "causal-tcn": _tcn,
    "random-forest": _forest,
    "quant": _quant,
    "minirocket-ridge": _minirocket,
    "multirocket-hydra-ridge": _multirocket_hydra,
    "litetime": _litetime,
}
AEON = ("quant", "minirocket-ridge", "multirocket-hydra-ridge")
