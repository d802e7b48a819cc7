"""What events in labelled bags are called: found by the detector, named by the labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tao_lora_ros.bags.labels import read_contacts, topic_labels
from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.replay import replay
from tao_lora_ros.bags.rows import read_rows
from tao_lora_ros.bags.true_names import touches_in, true_name
from tao_lora_ros.detection.analyzer_state import ALARMS_PER_HOUR
from tao_lora_ros.detection.calibration import CalibrationError
from tao_lora_ros.detection.moments import AFTER_S, BEFORE_S
from tao_lora_ros.engine.calibration import calibrated_on
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.label_span import FREE, LabelSpan
from tao_lora_ros.messages.raw_data import without_lags
from tao_lora_ros.messages.results import Event, Phase
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.training.event_names import NamedEvent
from tao_lora_ros.training.recordings import Reading, name_label_of


@dataclass(frozen=True)
class Found:
    """An event of a labelled recording as it is, and as the pipeline gave it out."""

    event: NamedEvent  # and its true name; "" where there is none
    onset: Event
    end: Event


def labels_of(bag: Path, how: Reading) -> list[LabelSpan]:
    """The labelled stretches of a bag but for the background, by start."""
    if (label := name_label_of(bag, how)) is not None:
        return [LabelSpan(0.0, float("inf"), label)]
    spans = topic_labels(bag, how.label_topic) if how.label_topic else read_contacts(bag)
    return sorted((span for span in spans if span.label != FREE), key=lambda span: span.start_s)


def events_in(bag: Path, artifact: Artifact, how: Reading) -> list[Found]:
    """The events that a pipeline with this artifact finds in a bag, with their true names.

    Raises:
        BagError: the bag or its labels cannot be read.
        SettingsError: it has other sources than the artifact.
    """
    touches = touches_in(labels_of(bag, how))
    pipeline = Pipeline(how.settings.repeatable, artifact)
    sources = source_configs(how.settings)
    with BagReader(bag, sources, how.topics, how.part_s) as reader:
        result = replay(reader, pipeline)
        reader.warn()
    onsets = {e.sequence: e for e in result.events if e.phase is Phase.ONSET}
    found = []
    for end in result.events:
        if end.phase is Phase.ONSET:
            continue
        onset = onsets[end.sequence]
        name, sigma = true_name(end, result.first_stamp_ns, touches)
        raw, seen = (without_lags(event.raw) for event in (end, onset))
        known_ns = max((int(s.stamps_ns[-1]) for s in seen if len(s.stamps_ns)), default=0)
        event = NamedEvent(raw, end.onset_ns, end.end_ns, name, bag.name, known_ns, sigma)
        found.append(Found(event, onset, end))
    return found


def calibrated_for(artifact: Artifact, bag: Path, how: Reading) -> Artifact | None:
    """The artifact calibrated on those moments of a bag that have no label; None: on too few.

    A robot that is calibrated finds other events than what ships: smaller ones, with other ends,
    and lasting contacts, as it knows what hangs on the wrench.

    Raises:
        BagError: the bag or its labels cannot be read.
    """
    rows = list(read_rows(bag, how.settings, artifact.rate_hz, how.topics, how.part_s))
    times_s, values = (np.array(column) for column in zip(*rows, strict=True))
    for span in labels_of(bag, how):
        touched = (times_s > span.start_s - BEFORE_S) & (times_s < span.end_s + AFTER_S)
        values[touched] = np.nan
    start = artifact.calibration
    try:
        made = calibrated_on([values], start, artifact.channels, artifact.rate_hz, ALARMS_PER_HOUR)
    except CalibrationError:
        return None
    return replace(artifact, calibration=made.router, contacts=made.contacts)
