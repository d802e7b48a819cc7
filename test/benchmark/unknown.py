"""Events of a kind that nothing was learned of: how often they are given a name all the same.

One name in turn is left out of what a head learns from, and the head is asked about whole runs that
it did not see (open-set recognition). Then feet, which nothing that ships was learned from.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import kuka
from benchmark.names import _events, _simulated
from benchmark.touchdowns import read_walks, replayed
from tao_lora_ros.benchmarks.results import OURS, Measurement
from tao_lora_ros.messages.results import Phase
from tao_lora_ros.model.artifact import default_artifact, load_artifact
from tao_lora_ros.model.event_features import event_features
from tao_lora_ros.model.event_head import EventHead, margins_of
from tao_lora_ros.training.event_names import NamedEvent, fit_event_head

PEER = "margin-alone"  # unsure between two names, as before there was a distance
_FIRST = 388_000
_FEWEST = 10  # events that a name is learned of; the model that ships finds few slides here


def bench_unknown(quick: bool, cache: Path, say: Callable[[str], None]) -> Iterator[Measurement]:
    """Measure all that can be measured here.

    Args:
        quick: half of it.
        cache: folder for simulated bags.
        say: takes lines of progress.
    """
    shipped = load_artifact(default_artifact())
    seeds = range(_FIRST, _FIRST + (4 if quick else 8))
    say(f"unknown: {2 * len(seeds)} simulated minutes")
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        bags = [
            bag
            for kind in ("touched", "pressed")
            for bag in pool.map(partial(_simulated, cache, kind=kind), seeds)
        ]
        found = [
            [one.event for one in group if one.event.name]
            for group in pool.map(partial(_events, shipped), bags)
        ]
    learned, asked = ([e for group in found[i::2] for e in group] for i in range(2))
    often = {n for n, count in Counter(e.name for e in learned).items() if count >= _FEWEST}
    learned, asked = ([e for e in half if e.name in often] for half in (learned, asked))
    for name in sorted(often):
        head = fit_event_head([event for event in learned if event.name != name]).head
        yield from _left_out(name, head, asked)
    if (folder := kuka.data_folder().parent).is_dir():
        yield from _feet(folder)
    else:
        say(f"cases of feet: left out, {folder} does not exist; set TAO_LORA_DATA")


def _left_out(name: str, head: EventHead, asked: Sequence[NamedEvent]) -> Iterator[Measurement]:
    """What a head that did not learn a name says of its events, and of the others."""
    features = np.stack([event_features(e.raw, e.onset_ns, e.end_ns) for e in asked])
    other = np.array([event.name == name for event in asked])
    probabilities = head.probabilities(Phase.END, features)
    margins, distances = margins_of(probabilities), head.distances(Phase.END, features)
    said = [head.names[i] for i in probabilities.argmax(axis=1)]
    right = np.array([one == event.name for one, event in zip(said, asked, strict=True)])
    assert head.likeness
    sure = head.sure(Phase.END, probabilities)
    like = distances <= head.likeness.limits[Phase.END]
    for subject, unlike, named in ((OURS, distances, sure & like), (PEER, -margins, sure)):
        for metric, value in (
            ("auroc", _area(unlike[~other], unlike[other])),
            ("unknown", 1.0 - named[other].mean()),
            ("others_right", (named & right)[~other].mean()),
            ("others_unknown", 1.0 - named[~other].mean()),
        ):
            yield Measurement(subject, f"unknown-{name}", metric, float(value), "")
    yield Measurement(OURS, f"unknown-{name}", "events", float(other.sum()), "")


def _area(known: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Under the curve of hits over false alarms: how often one of the others is farther."""
    return float(np.mean(other[:, None] > known) + 0.5 * np.mean(other[:, None] == known))


def _feet(folder: Path) -> Iterator[Measurement]:
    """Walking feet by the model that ships, its head's names: there is none for a touchdown."""
    head = load_artifact(default_artifact()).event_head
    assert head
    for walk in read_walks(folder):
        with tempfile.TemporaryDirectory() as scratch:
            for subject, one in ((OURS, head), (PEER, replace(head, likeness=None))):
                (place := Path(scratch) / subject).mkdir()
                ends = [e for e in replayed(walk, place, one)[0].events if e.phase is Phase.END]
                named = sum(bool(event.label) for event in ends)
                yield Measurement(subject, f"unknown-{walk.name}", "events", len(ends), "")
                yield Measurement(subject, f"unknown-{walk.name}", "named", named, "")
