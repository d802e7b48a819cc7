"""Fixed hops against the routed hop: what the pipeline says, and how soon, on simulated contact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.scenes import SCENE_S, cache_folder
from benchmark.trials import Number
from tao_lora_ros.bags.labels import read_contacts
from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.replay import Replay, replay
from tao_lora_ros.bags.rows import LEAST_LABEL_S
from tao_lora_ros.benchmarks.model_bytes import activation_bytes, branch_bytes, steady_bytes
from tao_lora_ros.benchmarks.results import OURS
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.label_span import LabelSpan
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.mixer_config import MixerConfig

IMPACT = "impact"
_STEP_S = 0.001  # at which the decision in force is looked at
_SOON_S = (0.01, 0.02)
_ROUTED = "sim-routed"
HOPS = {f"sim-hop{hop}": (hop, hop) for hop in (16, 8, 4)}
CASES = (*HOPS, _ROUTED)


def cases(settings: Settings) -> dict[str, tuple[int, int]]:
    """Hops in steady motion and in transients, by case."""
    return HOPS | {_ROUTED: (settings.hop_steady, settings.hop_transient)}


def measure_hops(artifact: Artifact, seeds: Iterable[int], cache: Path) -> Iterator[Number]:
    """Numbers of every case over the recordings of some seeds, taken together.

    Raises:
        ImportError: MuJoCo is missing.
    """
    bags = [_bag(seed, cache_folder(cache)) for seed in seeds]
    default = Settings()
    for case, (steady, transient) in cases(default).items():
        settings = replace(default, hop_steady=steady, hop_transient=transient)
        routed = case == _ROUTED
        found = [_run(bag, artifact if routed else _deaf(artifact), settings) for bag in bags]
        for metric, value in _summary(found).items():
            yield OURS, case, metric, value


def _deaf(artifact: Artifact) -> Artifact:
    """The same model with a router that never calls a transient: nothing but the fixed hop."""
    never = tuple(1e9 for _ in artifact.calibration.thresholds)
    calibration = replace(artifact.calibration, thresholds=never, level_thresholds=())
    return replace(artifact, calibration=calibration)


def _bag(seed: int, folder: Path) -> Path:
    bag = folder / f"bag-{seed}"
    if not bag.exists():
        from tao_lora_ros.simulation.recording import SimulationConfig, record

        unfinished = folder / f"unfinished-{seed}"
        record(SimulationConfig(duration_s=SCENE_S, seed=seed), unfinished)
        labels = unfinished.with_name(f"{unfinished.name}.labels.csv")
        labels.replace(bag.with_name(f"{bag.name}.labels.csv"))
        unfinished.replace(bag)
    return bag


class _Found:
    """What one recording gave: decisions [n] at times_s [n], and for each impact its delay."""

    def __init__(self, result: Replay, pipeline: Pipeline, artifact: Artifact, bag: Path) -> None:
        self.times_s = (
            np.array([i.stamp_ns for i in result.inferences]) - result.first_stamp_ns
        ) * 1e-9
        labels = [artifact.labels[int(np.argmax(i.probabilities))] for i in result.inferences]
        self.is_impact = np.array(labels) == IMPACT
        self.transient = np.array([i.path is Route.TRANSIENT for i in result.inferences])
        self.impacts = [c for c in read_contacts(bag) if c.label == IMPACT]
        self.duty = pipeline.counts.duty
        self.bytes_moved = _bytes_moved(artifact.network.config, self.transient)

    def delay_s(self, impact: LabelSpan) -> float:
        """From the impact's start to the first decision for it; infinite where there is none."""
        first = np.searchsorted(self.times_s, impact.start_s)
        end = np.searchsorted(self.times_s, _end_s(impact), side="right")
        hits = np.flatnonzero(self.is_impact[first:end])
        return float(self.times_s[first + hits[0]] - impact.start_s) if len(hits) else float("inf")

    def within(self, impact: LabelSpan) -> NDArray[np.bool_]:
        """Whether the decision in force was right, at even times within the impact."""
        times = np.arange(impact.start_s, _end_s(impact), _STEP_S)
        in_force = np.searchsorted(self.times_s, times, side="right") - 1
        return self.is_impact[np.maximum(in_force, 0)] & (in_force >= 0)


def _bytes_moved(sizes: MixerConfig, transient: NDArray[np.bool_]) -> int:
    """By all inferences: weights of the path that each took, windows in and results out."""
    each = steady_bytes(sizes) + activation_bytes(sizes)
    return len(transient) * each + int(transient.sum()) * branch_bytes(sizes)


def _end_s(impact: LabelSpan) -> float:
    return max(impact.end_s, impact.start_s + LEAST_LABEL_S)  # as training labels it


def _run(bag: Path, artifact: Artifact, settings: Settings) -> _Found:
    pipeline = Pipeline(settings, artifact)
    with BagReader(bag, source_configs(settings)) as reader:
        return _Found(replay(reader, pipeline), pipeline, artifact, bag)


def _summary(found: list[_Found]) -> dict[str, float]:
    delays = np.array([f.delay_s(impact) for f in found for impact in f.impacts])
    right = np.concatenate([f.within(impact) for f in found for impact in f.impacts])
    seconds = sum(f.times_s[-1] - f.times_s[0] for f in found)
    return {
        "impacts": float(len(delays)),
        "impact_accuracy": float(right.mean()),
        **{f"recall_{1000 * soon:.0f}ms": float(np.mean(delays <= soon)) for soon in _SOON_S},
        "delay_median_ms": float(1000 * np.median(delays)),
        "inferences_per_s": sum(len(f.times_s) for f in found) / seconds,
        "bytes_moved_per_s": sum(f.bytes_moved for f in found) / seconds,
        "transient_share": float(np.mean(np.concatenate([f.transient for f in found]))),
        "duty": float(np.mean([f.duty for f in found])),
    }
