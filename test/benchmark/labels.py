"""What twenty labels of each of three names bring on a robot that the shipped names never saw.

A mounting of its own, struck, touched and pressed: some of its runs go into a store, events of its
three commonest names are labelled by the simulation's truth, and names are learned from them as
`tao-lora train --store` does. The other runs of the mounting are scored, and runs of a mounting
that neither has seen: with all sensors, and as a robot with an IMU alone would have them.
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
from tao_lora_ros.bags.replay import Replay, replay
from tao_lora_ros.bags.true_names import touches_in, true_name
from tao_lora_ros.benchmarks.results import OURS, Measurement
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.label_span import FREE
from tao_lora_ros.messages.results import Kept, Phase
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact
from tao_lora_ros.model.event_features import event_features
from tao_lora_ros.preservation.event_catalogue import read_entries
from tao_lora_ros.preservation.event_labels import label_event
from tao_lora_ros.preservation.event_record import EventRecord
from tao_lora_ros.preservation.event_store import EventStore
from tao_lora_ros.training.event_names import NamedEvent
from tao_lora_ros.training.event_truth import events_in
from tao_lora_ros.training.recordings import Reading
from tao_lora_ros.training.store_names import learn_names

NAMES, LABELS = 3, 20
SHIPPED = "shipped-names"
SENSORS = {"": ("imu", "wrench"), "-imu-alone": ("imu",)}  # by what a case's name ends with
_FIRST = 396_000  # of mountings; the others' end below
_KINDS = "touched", "pressed"  # runs, in turns
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
        m: [_simulated(cache, m + _SEEDS * n, _KINDS[n % 2], m) for n in range(6)]
        for m in mountings
    }
    scores: dict[tuple[str, str, str], list[float]] = {}
    for mounting, other in pairwise(mountings):
        asked = {
            place: [e for bag in bags for e in _events(shipped, bag)]
            for place, bags in (("own", runs[mounting][4:]), ("other", runs[other][4:]))
        }
        for ending, sensors in SENSORS.items():
            with TemporaryDirectory() as folder:
                names = _store(Path(folder), shipped, runs[mounting][:4], sensors)
                own = learn_names(Path(folder), shipped).artifact
            say(f"labels{ending}: mounting {mounting}, at most {LABELS} each of {', '.join(names)}")
            for place, events in asked.items():
                case = f"labels-{place}-mounting{ending}"
                for subject, artifact in ((SHIPPED, shipped), (OURS, own)):
                    for metric, of in (("right", names), ("right_all_names", ())):
                        right = _right(artifact, events, of, sensors)
                        scores.setdefault((case, metric, subject), []).append(right)
    for (case, metric, subject), rights in scores.items():
        yield Measurement(subject, case, metric, float(np.mean(rights)), "")
        for n, right in enumerate(rights):
            yield Measurement(subject, case, f"{metric}_{n}", right, "")
    for case, metric in sorted({key[:2] for key in scores}):
        gain = np.subtract(scores[case, metric, OURS], scores[case, metric, SHIPPED])
        yield Measurement(OURS, case, f"gain_{metric}", float(gain.mean()), "")
        yield Measurement(OURS, case, f"least_gain_{metric}", float(gain.min()), "")


def _store(
    folder: Path, artifact: Artifact, bags: Sequence[Path], sensors: Sequence[str]
) -> tuple[str, ...]:
    """Events of bags in a store, the first of each of the commonest names labelled."""
    truth: list[str] = []
    with EventStore(folder) as store:
        for bag in bags:
            touches = touches_in([s for s in read_contacts(bag) if s.label != FREE])
            pipeline = Pipeline(Settings(), replace(artifact, model=None, labels=()))
            with BagReader(bag, source_configs(Settings())) as reader:
                around: list[Kept] = []
                result = replay(reader, pipeline, result=Replay(keep=around.append))
                for kept in around:
                    raw = tuple(r for r in kept.event.raw if r.source in sensors)
                    event = replace(kept.event, raw=raw)
                    store.append(EventRecord.of(replace(kept, event=event), reader.recorded))
                    truth.append(true_name(kept.event, result.first_stamp_ns, touches)[0])
    common = Counter(name for name in truth if name).most_common(NAMES)
    left = {name: min(count, LABELS) for name, count in common}
    for entry, name in zip(read_entries(folder), truth, strict=True):
        if left.get(name, 0):
            label_event(folder, entry, name, "simulation")
            left[name] -= 1
    return tuple(left)


def _events(artifact: Artifact, bag: Path) -> list[NamedEvent]:
    """The events of a bag that have a true name."""
    detector = replace(artifact, model=None, labels=(), event_head=None)
    return [one.event for one in events_in(bag, detector, _HOW) if one.event.name]


def _right(
    artifact: Artifact, events: Sequence[NamedEvent], names: Sequence[str], sensors: Sequence[str]
) -> float:
    """Share of the events of these true names, or of all, called so; "unknown" is not right."""
    assert artifact.event_head
    right = []
    for event in events:
        if event.name in names or not names:
            raw = [samples for samples in event.raw if samples.source in sensors]
            features = event_features(raw, event.onset_ns, event.end_ns)
            right.append(artifact.event_head.name(Phase.END, features)[0] == event.name)
    return float(np.mean(right))
