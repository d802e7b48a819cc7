"""`tao-lora bench accuracy`: one model at every precision, and fixed hops against the routed hop.

Means over seeds (of the split and of the training), and beside each its spread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from benchmark import borealtc, forest, four_bits, peer_scores, robots, routing, series_peers
from benchmark.contact_runs import contact_runs
from benchmark.hops import CASES as HOP_CASES
from benchmark.hops import measure_hops
from benchmark.parts import ACCURACY as PARTS
from benchmark.peer_data import other_tasks
from benchmark.scenes import RATE_HZ
from benchmark.tcn import CausalTcn
from benchmark.trials import Number, Say, Trial, measure, struck, teacher_of
from tao_lora_ros.bags.rows import FREE
from tao_lora_ros.benchmarks.results import OURS, Measurement
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import default_artifact, load_artifact
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.training.dataset import Batch, WindowSet, label_names
from tao_lora_ros.training.evaluate import classification, evaluate
from tao_lora_ros.training.fit_config import FitConfig
from tao_lora_ros.training.training_config import TrainingConfig

PACKAGES = ("numpy", "torch", "scikit-learn", "aeon", "onnxruntime", "mujoco")
_SPREAD = "_std"
_TCN = "causal-tcn"
_ELSEWHERE = ", by window, elsewhere"
_MARKERS = "osD^v<>"
_WINDOWS = 2000  # of a case, at even distances
_UNITS = {
    "delay_median_ms": "ms",
    "inferences_per_s": "1/s",
    "bytes_moved_per_s": "B/s",
    "weight_bytes": "B",
    "cpu_ms": "ms",
    "arithmetic_us": "us",
}
# No other command of this project simulates with these.
_TRAINING_SEED, _VALIDATION_SEED, _TEST_SEED, _HOP_SEED = 30_000, 31_000, 32_000, 33_000


@dataclass(frozen=True)
class Size:
    """How much to measure: seeds, steps of training and of tuning, simulated minutes."""

    seeds: int = 3
    steps: int = 1500
    settle_steps: int = 600
    adapt_steps: int = 400
    training_runs: int = 12
    test_runs: int = 4
    hop_runs: int = 2


QUICK = Size(
    seeds=1, steps=100, settle_steps=50, adapt_steps=50, training_runs=3, test_runs=2, hop_runs=1
)


def bench_accuracy(
    size: Size, cache: Path, say: Say = print, parts: Sequence[str] = PARTS
) -> list[Measurement]:
    """Measure all that can be measured here; what cannot is said in a line each.

    Args:
        size: how much.
        cache: folder for simulated recordings and for models under way.
        say: takes lines of progress.
        parts: of `PARTS`.
    """
    numbers: list[Number] = []
    known: dict[str, Callable[[int, Size, Path, Say], Iterable[Number]]]
    known = {"borealtc": _borealtc, "tcn": _tcn, "sim": _contacts, "hops": _hops}
    known |= {"robots": _robots, "four-bits": _four_bits, "routing": _routing}
    rows: list[Measurement] = []
    for part in (part for part in PARTS if part in parts):
        if part in ("sim", "hops", "elsewhere") and find_spec("mujoco") is None:
            say(f"part {part}: left out, MuJoCo is not installed; pip install mujoco")
        elif (
            part in ("borealtc", "tcn", "four-bits", "routing", "peers", "elsewhere")
            and not borealtc.data_file().exists()
        ):
            say(f"part {part}: left out, no {borealtc.data_file()}; set TAO_LORA_DATA")
        elif part == "robots" and not robots.folder().exists():
            say(f"part {part}: left out, no {robots.folder()}; set TAO_LORA_DATA")
        elif part == "peers":
            rows += _peers(size, cache, say)
        elif part == "elsewhere":
            rows += _elsewhere(size, cache, say)
        else:
            numbers += chain(*(known[part](seed, size, cache, say) for seed in range(size.seeds)))
    return _with_spread(numbers) + rows


def without_spread(rows: Iterable[Measurement]) -> list[Measurement]:
    """The means alone, for a table that fits a page."""
    return [row for row in rows if not row.metric.endswith(_SPREAD)]


def part_of(row: Measurement) -> str:
    """Which of `PARTS` a row came from."""
    if row.subject == _TCN:
        return "tcn"
    if row.case.endswith(four_bits.SUFFIXES):
        return "four-bits"
    if row.case.endswith(routing.SUFFIX):
        return "routing"
    if row.case in HOP_CASES:
        return "hops"
    if row.case in (peer_scores.BY_WINDOW, peer_scores.OVER_TIME):
        return "peers"
    if row.case.endswith(_ELSEWHERE):
        return "elsewhere"
    if " to " in row.case:
        return "robots"
    return row.case.partition("-")[0]


def plot(rows: Iterable[Measurement], file: Path) -> None:
    """Draw deviation from full precision against bytes of weights; the format is the suffix's.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: none of the rows is of bytes of weights.
    """
    from matplotlib.figure import Figure

    values = {(row.case, row.subject, row.metric): row.value for row in rows}
    sized = [key[:2] for key in values if key[2] == "weight_bytes" and key[1] != "fp32"]
    if not sized:
        raise ValueError("nothing to plot: no bytes of weights; parts borealtc and sim have them")
    cases = list(dict.fromkeys(case for case, _ in sized))
    figure = Figure(figsize=(4.0 * len(cases) + 2.2, 4.2), layout="constrained")
    panels = figure.subplots(1, len(cases), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(name for _, name in sized))
    for case, panel in zip(cases, panels, strict=True):
        for number, name in enumerate(names):
            panel.semilogy(
                values[case, name, "weight_bytes"] / 1e3,
                100 * values[case, name, "deviation"],
                linestyle="",
                marker="*" if name == OURS else _MARKERS[number % len(_MARKERS)],
                markersize=15 if name == OURS else 7,
                fillstyle="full" if name == OURS else "none",  # what lies below shows
                label=name,
            )
        panel.set(title=case, xlabel="weights, kB")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("squared deviation from FP32, %")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    figure.savefig(file, dpi=110)


def _with_spread(numbers: Iterable[Number]) -> list[Measurement]:
    by_name: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for subject, case, metric, value in numbers:
        by_name[subject, case, metric].append(value)
    rows = []
    for (subject, case, metric), values in by_name.items():
        unit = _UNITS.get(metric, "")
        rows.append(Measurement(subject, case, metric, float(np.mean(values)), unit))
        rows.append(Measurement(subject, case, f"{metric}{_SPREAD}", float(np.std(values)), unit))
    return rows


def _borealtc(seed: int, size: Size, cache: Path, say: Say) -> Iterable[Number]:
    trial = _terrain(seed)
    yield from _forest(trial, say)
    teacher = teacher_of(trial, FitConfig(size.steps, seed), cache, say)
    say(f"borealtc seed {seed}: trained")
    yield from measure(trial, teacher, _with_impacts, size.settle_steps, size.adapt_steps)


def _terrain(seed: int) -> Trial:
    runs = borealtc.read_runs(borealtc.data_file())
    parts = borealtc.split(runs, seed)
    return Trial(
        "borealtc",
        borealtc.CHANNELS,
        borealtc.RATE_HZ,
        label_names(runs),
        parts.training,
        parts.validation,
        parts.test,
        seed,
    )


def _forest(trial: Trial, say: Say) -> Iterable[Number]:
    if find_spec("sklearn") is None:
        say("random-forest: left out, scikit-learn is not installed; pip install scikit-learn")
        return
    data = trial.windows(trial.training)
    training = data.spaced(6 * _WINDOWS)
    test = trial.windows(trial.test).spaced(_WINDOWS)
    predict = forest.grow(training.windows.numpy(), training.labels.numpy(), trial.seed)
    predicted = predict(test.windows.numpy()).argmax(axis=1)
    for metric, value in classification(predicted, test.labels.numpy()).items():
        yield "random-forest", f"{trial.name}-steady", metric, value


def _tcn(seed: int, size: Size, cache: Path, say: Say) -> Iterable[Number]:
    trial = _terrain(seed)
    peer = teacher_of(trial, FitConfig(size.steps, seed), cache, say, CausalTcn)
    for case, batch in _with_impacts(trial.windows(trial.test), trial, peer).items():
        found = evaluate(peer, peer, batch, Route.TRANSIENT)
        for metric in ("accuracy", "macro_f1", "forecast_mse"):
            yield _TCN, f"{trial.name}-{case}", metric, found[metric]


def _four_bits(seed: int, size: Size, cache: Path, say: Say) -> Iterable[Number]:
    trial = _terrain(seed)
    teacher = teacher_of(trial, FitConfig(size.steps, seed), cache, say)
    calm = trial.windows(trial.training).spaced(_WINDOWS).windows
    yield from four_bits.measure(trial, teacher, calm, trial.windows(trial.test).spaced(_WINDOWS))
    yield from four_bits.computed_gain()


def _routing(seed: int, size: Size, cache: Path, say: Say) -> Iterable[Number]:
    trial = _terrain(seed)
    teacher = teacher_of(trial, FitConfig(size.steps, seed), cache, say)
    calm = trial.windows(trial.training).spaced(_WINDOWS).windows
    yield from routing.measure(trial, teacher, calm, size.settle_steps, size.adapt_steps)


def _peers(size: Size, cache: Path, say: Say) -> list[Measurement]:
    """Of seed 0; what differs between folds is several times what differs between seeds."""
    torch.set_num_threads(1)
    runs = borealtc.imported_runs(cache / "borealtc")
    steps = min(size.steps, TrainingConfig("").fold_steps)
    tasks = series_peers.tasks_of(runs, 0, steps, size.settle_steps)
    folder = cache / "peers"
    outputs = {
        subject: [series_peers.fold_outputs(subject, tasks, folder, say)]
        for subject in series_peers.subjects(say)
    }
    window_s = tasks[0].sizes.window / borealtc.RATE_HZ
    return list(peer_scores.compared(outputs, tasks[0].labels, window_s, window_s / 2))


def _elsewhere(size: Size, cache: Path, say: Say) -> Iterable[Measurement]:
    """The same subjects on other data, of seed 0."""
    torch.set_num_threads(1)
    steps = min(size.steps, TrainingConfig("").fold_steps)
    for name, tasks in other_tasks((0, steps, size.settle_steps), cache, say):
        say(name)
        outputs = {
            subject: series_peers.fold_outputs(subject, tasks, cache / "peers", say)
            for subject in series_peers.subjects(say)
        }
        yield from peer_scores.windows_compared(outputs, f"{name}{_ELSEWHERE}")


def _with_impacts(data: WindowSet, trial: Trial, teacher: Mixer) -> dict[str, Batch]:
    batch = data.spaced(_WINDOWS)
    return {"steady": batch, "transient": struck(batch, trial, teacher)}


def _contacts(seed: int, size: Size, cache: Path, say: Say) -> Iterable[Number]:
    channels = tuple(name for source in source_configs(Settings()) for name in source.channels)
    training = contact_runs(range(_TRAINING_SEED, _TRAINING_SEED + size.training_runs), cache)
    first = seed * size.test_runs
    trial = Trial(
        "sim",
        channels,
        RATE_HZ,
        label_names(training),
        training,
        contact_runs(_seeds(_VALIDATION_SEED, first, size.test_runs), cache),
        contact_runs(_seeds(_TEST_SEED, first, size.test_runs), cache),
        seed,
    )
    say(f"sim seed {seed}: simulated")
    teacher = teacher_of(trial, FitConfig(size.steps, seed), cache, say)
    yield from measure(trial, teacher, _by_contact, size.settle_steps, size.adapt_steps)


def _by_contact(data: WindowSet, trial: Trial, teacher: Mixer) -> dict[str, Batch]:
    """Steady: the newest row is free; transient: the tool touches something."""
    numbers = np.arange(len(data))
    free = data.labels(numbers) == trial.labels.index(FREE)
    return {
        case: data.take(of[np.linspace(0, len(of) - 1, min(_WINDOWS, len(of))).astype(int)])
        for case, of in (("steady", numbers[free]), ("transient", numbers[~free]))
    }


def _hops(seed: int, size: Size, cache: Path, say: Say) -> Iterable[Number]:
    torch.set_num_threads(1)
    say(f"hops, seed {seed}")
    seeds = _seeds(_HOP_SEED, seed * size.hop_runs, size.hop_runs)
    yield from measure_hops(load_artifact(default_artifact()), seeds, cache)


def _robots(seed: int, size: Size, cache: Path, say: Say) -> Iterable[Number]:
    say(f"robots, seed {seed}")
    return robots.measure(seed, size.steps)


def _seeds(base: int, first: int, count: int) -> range:
    return range(base + first, base + first + count)
