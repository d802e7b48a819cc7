"""Does routing by the layers' own rounding error beat routing by energy?

DP-LLM (arXiv 2508.06041) chooses a layer's precision by an estimate of its relative error. Here
that error is taken exactly, which an estimate cannot beat, and the worst windows by it go the
transient path; against them those of the largest energy, which costs no network. Blows are planted
into runs that nothing was trained or calibrated on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.subjects import subjects
from benchmark.trials import Number, Trial, observed
from tao_lora_ros.bags.rows import Run
from tao_lora_ros.benchmarks.results import OURS
from tao_lora_ros.detection.calibration import calibrated, uncalibrated
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.router import RouterConfig
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.conversion import branches
from tao_lora_ros.model.layers import FullLinear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.training.augment import impact
from tao_lora_ros.training.dataset import WindowSet
from tao_lora_ros.training.evaluate import outputs

SUFFIX = "routing"  # of the case
HOP = 16
APART = 300  # rows between two blows
SHARES = (0.05, 0.1, 0.2)
_RECENT = 32  # rows at a window's end in which a blow is something that happens now
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Windows:
    """Of all windows: values [n, T, C], the largest energy score of their last rows [n], and
    whether a blow began within these [n]."""

    values: Tensor
    energy: Array
    happening: NDArray[np.bool_]


def measure(
    trial: Trial, teacher: Mixer, calm: Tensor, settle_steps: int, adapt_steps: int
) -> Iterator[Number]:
    """How much of the steady path's deviation each rule takes away, for shares of all windows."""
    known = observed(trial, teacher, calm)
    student = next(
        subject.model
        for subject in subjects(teacher, known.inputs, known.draws, settle_steps, adapt_steps)
        if subject.name == OURS
    )
    windows = planted_windows(trial, teacher)
    exact = outputs(teacher, windows.values, Route.TRANSIENT).together
    steady, transient = (
        (outputs(student, windows.values, path).together - exact).square().sum(dim=1).numpy()
        for path in Route
    )
    case = f"{trial.name}-{SUFFIX}"
    signals = {
        "energy": windows.energy,
        "layer-error": layer_errors(student, teacher, windows.values),
        "hindsight": steady - transient,
        "chance": np.random.default_rng(trial.seed).random(len(steady)),
    }
    for name, signal in signals.items():
        order = np.argsort(-signal)
        for share in SHARES:
            chosen = order[: round(share * len(order))]
            won = (steady - transient)[chosen].sum() / steady.sum()
            yield name, case, f"recovered_of_{share:.0%}", float(won)
        yield name, case, "auroc_happening", auroc(signal, windows.happening)


def planted_windows(trial: Trial, teacher: Mixer) -> Windows:
    """The windows of the test runs, every `HOP` rows, with a blow in every `APART` rows."""
    unknown = uncalibrated(trial.channels, trial.rate_hz)
    steady = [run.values.astype(np.float64) for run in trial.training]
    calibration, _ = calibrated(unknown, steady, trial.rate_hz, alarms_per_hour=1.0)
    settings = Settings()
    config = RouterConfig(
        settings.off_score,
        round(settings.hold_s * trial.rate_hz),
        round(settings.max_transient_s * trial.rate_hz),
    )
    runs, energies, happening = [], [], []
    for number, run in enumerate(trial.test):
        rows, begins = _struck(run, trial, teacher, number)
        times = np.arange(len(rows)) * round(1e9 / trial.rate_hz)
        pieces = [steps["score"] for steps, _, _ in Detector(calibration, config).run(times, rows)]
        scores = np.concatenate(pieces)
        ends = np.arange(trial.sizes.window, len(rows) - trial.sizes.horizon, HOP)
        energies.append([scores[end - _RECENT : end].max() for end in ends])
        happening.append([begins[end - _RECENT : end].any() for end in ends])
        runs.append((Run(run.name, rows, run.spans), ends))
    values = []
    for run, ends in runs:
        data = WindowSet([run], trial.labels, trial.sizes.window, trial.sizes.horizon)
        values.append(data.take(ends - trial.sizes.window).windows)
    return Windows(torch.cat(values), np.concatenate(energies), np.concatenate(happening))


def _struck(run: Run, trial: Trial, teacher: Mixer, number: int) -> tuple[Array, NDArray[np.bool_]]:
    """Rows with blows in them, and at which rows these begin."""
    g = torch.Generator().manual_seed(1000 * trial.seed + number)
    count = len(run.values) // APART
    blows = impact(count, APART, trial.channels, teacher.spread, g).flatten(0, 1).numpy()
    rows, begins = run.values.astype(np.float64), np.zeros(len(run.values), bool)
    rows[: len(blows)] += blows
    loud = blows.reshape(count, APART, -1).any(axis=2)
    begins[np.arange(count) * APART + loud.argmax(axis=1)] = True
    return rows, begins


@torch.no_grad()
def layer_errors(student: Mixer, teacher: Mixer, windows: Tensor) -> Array:
    """Mean over the dual-path layers of ‖y - W x‖² / ‖W x‖² of their own inputs x, a window."""
    found: list[Tensor] = []

    def watch(exact: FullLinear) -> Callable[[nn.Module, tuple, Tensor], None]:
        def hook(layer: nn.Module, arguments: tuple, output: Tensor) -> None:
            wanted = exact(arguments[0], Route.TRANSIENT) - exact.bias
            error = output - exact.bias - wanted
            found.append(error.square().sum(dim=(1, 2)) / wanted.square().sum(dim=(1, 2)))

        return hook

    hooks = []
    for name, layer in branches(student).items():
        exact = teacher.get_submodule(name)
        assert isinstance(exact, FullLinear)
        hooks.append(layer.register_forward_hook(watch(exact)))
    errors = []
    for chunk in windows.split(512):
        found.clear()
        student(chunk, Route.STEADY)
        errors.append(torch.stack(found).mean(dim=0))
    for hook in hooks:
        hook.remove()
    return torch.cat(errors).double().numpy()


def auroc(signal: Array, truth: NDArray[np.bool_]) -> float:
    """Chance that a window in which something happens has the larger signal."""
    ranks = np.argsort(np.argsort(signal)) + 1.0
    positive = truth.sum()
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * (~truth).sum()))
