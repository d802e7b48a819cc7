"""What twenty labels of each of three names bring on a robot that the shipped names never saw.

A mounting of its own: some of its runs go into a store, events of three names are labelled by the
simulation's truth, and names are learned from them as `tao-lora train --store` does. The other runs
of the mounting are scored, and runs of mountings that neither has seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmark.names import _simulated
from benchmark.scenes import RATE_HZ
from tao_lora_ros.bags.labels import read_contacts
from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.replay import replay
from tao_lora_ros.bags.true_names import touches_in, true_name
from tao_lora_ros.benchmarks.results import OURS, Measurement
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.label_span import FREE
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact
from tao_lora_ros.preservation.event_catalogue import read_entries
from tao_lora_ros.preservation.event_labels import label_event
from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.training.event_truth import Found, events_in
from tao_lora_ros.training.recordings import Reading
from tao_lora_ros.training.store_names import learn_names

NAMES, LABELS = 3, 20
SHIPPED = "shipped-names"
_FIRST = 386_000  # of mountings; names.py's end below
_SEEDS = 1000  # between the runs of a mounting
_HOW = Reading(Settings(), RATE_HZ)


def bench_labels(quick: bool, cache: Path, say: Callable[[str], None]) -> Iterator[Measurement]:
    """Share of events that are named right, before and after.

    Args:
        quick: one mounting instead of four.
        cache: folder for simulated bags.
        say: takes lines of progress.
    """
    shipped = load_artifact(default_artifact())
    mountings = range(_FIRST, _FIRST + (2 if quick else 5))
    runs = {
        m: [_simulated(cache, m + _SEEDS * n, "touched", m) for n in range(6)] for m in mountings
    }
    scores: dict[tuple[str, str], list[float]] = {}
    for mounting, other in pairwise(mountings):
        with TemporaryDirectory() as folder:
            names = _store(Path(folder), shipped, runs[mounting][:4])
            own = learn_names(Path(folder), shipped).artifact
        say(f"labels: mounting {mounting}, {LABELS} each of {', '.join(names)}")
        for case, bags in (("own", runs[mounting][4:]), ("other", runs[other][4:])):
            for subject, artifact in ((SHIPPED, shipped), (OURS, own)):
                right = _right(artifact, bags, names)
                scores.setdefault((subject, case), []).append(right)
    for (subject, case), rights in scores.items():
        yield Measurement(subject, f"labels-{case}-mounting", "right", float(np.mean(rights)), "")
        for n, right in enumerate(rights):
            yield Measurement(subject, f"labels-{case}-mounting", f"right_{n}", right, "")
    for case in ("own", "other"):
        gain = np.subtract(scores[OURS, case], scores[SHIPPED, case])
        yield Measurement(OURS, f"labels-{case}-mounting", "gain", float(gain.mean()), "")
        yield Measurement(OURS, f"labels-{case}-mounting", "least_gain", float(gain.min()), "")


def _store(folder: Path, artifact: Artifact, bags: Sequence[Path]) -> tuple[str, ...]:
    """Events of bags in a store, the first of each of the commonest names labelled."""
    truth: list[str] = []
    with EventStore(folder) as store:
        for bag in bags:
            touches = touches_in([s for s in read_contacts(bag) if s.label != FREE])
            pipeline = Pipeline(Settings(), replace(artifact, model=None, labels=()))
            with BagReader(bag, source_configs(Settings())) as reader:
                result = replay(reader, pipeline)
                for kept in result.kept:
                    store.append(EventRecord.of(kept, reader.recorded))
                    truth.append(true_name(kept.event, result.first_stamp_ns, touches)[0])
    common = Counter(name for name in truth if name).most_common(NAMES)
    left = dict.fromkeys((name for name, _ in common), LABELS)
    for entry, name in zip(read_entries(folder), truth, strict=True):
        if left.get(name, 0):
            label_event(folder, entry, name, "simulation")
            left[name] -= 1
    if any(left.values()):
        raise ValueError(f"too few events to label: {left} are missing")
    return tuple(left)


def _right(artifact: Artifact, bags: Sequence[Path], names: Sequence[str]) -> float:
    """Share of the events of these true names that are called so; "unknown" is not right."""
    if artifact.event_head:
        artifact = replace(artifact, model=None, labels=())
    found: list[Found] = [one for bag in bags for one in events_in(bag, artifact, _HOW)]
    known = [one for one in found if one.event.name in names]
    return float(np.mean([one.end.label == one.event.name for one in known]))
