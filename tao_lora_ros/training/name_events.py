"""Give an artifact an event head, and score it: on the events in labelled bags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tao_lora_ros.detection.findings import UNCALIBRATED
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.training.event_names import EventNameError, NamedEvent, fit_event_head
from tao_lora_ros.training.event_scores import event_scores, scores_held_out
from tao_lora_ros.training.event_truth import calibrated_for, events_in
from tao_lora_ros.training.progress import tracked
from tao_lora_ros.training.recordings import Reading

PROVENANCE_KEY = "named_events"


def name_events(artifact: Artifact, bags: Sequence[Path], how: Reading) -> Artifact:
    """The artifact with a head that learned from the bags, and its scores on recordings held out.

    The rest stays as it is.

    Raises:
        BagError: no bag or none of the labels can be read.
        EventNameError: there are too few events, all have one name, or the artifact finds none.
    """
    if not artifact.calibration.has_thresholds:
        raise EventNameError(f"model {artifact.model_id}: {UNCALIBRATED}")
    detector = replace(artifact, model=None, labels=(), event_head=None)
    work = partial(_to_learn, detector=detector, how=how)
    shown = tracked(how.pool.map(work, bags), "finding events", len(bags))
    events = [event for _, found in shown for event in found]
    found = fit_event_head(events)
    scores = scores_held_out(found, [event.name for event in events])
    counts = dict(sorted(Counter(event.name for event in events).items()))
    provenance = artifact.provenance | {PROVENANCE_KEY: counts}
    metrics = artifact.metrics | {"events": scores}
    return replace(artifact, event_head=found.head, provenance=provenance, metrics=metrics)


def evaluate_events(artifact: Artifact, bags: Sequence[Path], how: Reading) -> dict[str, Any]:
    """Scores of the names that an artifact gives to the events in labelled bags.

    Raises:
        BagError: no bag or none of the labels can be read.
    """
    if artifact.event_head:  # windows have no say
        artifact = replace(artifact, model=None, labels=())
    work = partial(events_in, artifact=artifact, how=how)
    shown = tracked(how.pool.map(work, bags), "naming events", len(bags))
    return event_scores([event for _, found in shown for event in found])


def _to_learn(bag: Path, detector: Artifact, how: Reading) -> list[NamedEvent]:
    """The events of a bag to learn from: as they are found before and after a calibration."""
    found = events_in(bag, detector, how)
    if own := calibrated_for(detector, bag, how):
        found += events_in(bag, own, how)
    return [one.event for one in found if one.event.name]
