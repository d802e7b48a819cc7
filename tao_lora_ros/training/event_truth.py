"""What events in labelled bags are called: found by the detector, named by the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tao_lora_ros.bags.labels import read_contacts, topic_labels
from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.replay import replay
from tao_lora_ros.bags.true_names import end_of, longest_in, touches_in, true_name
from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.label_span import FREE, LabelSpan
from tao_lora_ros.messages.raw_data import without_lags
from tao_lora_ros.messages.results import Event, Phase
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.event_features import AFTER_S, BEFORE_S
from tao_lora_ros.training.event_names import NamedEvent
from tao_lora_ros.training.recordings import Reading, name_label_of

# A touch that lasts is an event of its own where loads are known; it is then seen so late.
_LASTING_S, _FOUND_S, _LONGEST_S = 0.2, 0.1, 4.0
_KEPT_S = 10.0


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


def lasting_touches(bag: Path, how: Reading) -> list[NamedEvent]:
    """The labelled touches that last, as the lasting contacts that they are.

    These are found only where the load on a wrench is known, which takes a calibration on the very
    robot. A head has to know them all the same, so it learns them from the labels.

    Raises:
        BagError: the bag or its labels cannot be read.
    """
    if name_label_of(bag, how) is not None:
        return []
    touches = [t for t in touches_in(labels_of(bag, how)) if end_of(t) - t[0].start_s > _LASTING_S]
    intake = Intake(replace(how.settings, post_roll_s=_KEPT_S), how.rate_hz)
    found: list[NamedEvent] = []
    begin_ns = 0
    with BagReader(bag, source_configs(how.settings), how.topics, how.part_s) as reader:
        for source, log_ns, data in reader.messages():
            intake.push(source, data, log_ns)
            newest_ns = intake.sources[source].newest_ns or 0
            begin_ns = begin_ns or newest_ns - round(reader.begin_s * 1e9) * bool(newest_ns)
            while touches and newest_ns > begin_ns + _until_ns(touches[0]):
                touch = touches.pop(0)
                first_s, last_s = touch[0].start_s, _last_s(touch)
                onset_ns, end_ns = (begin_ns + round(t * 1e9) for t in (first_s, last_s))
                cuts = [
                    buffer.cut(onset_ns - round(BEFORE_S * 1e9), end_ns + _AFTER_NS, "")[0]
                    for buffer in intake.buffers
                ]
                name = longest_in(first_s, last_s, touch)
                known_ns = onset_ns + round(_FOUND_S * 1e9)
                raw = without_lags(cuts)
                found.append(NamedEvent(raw, onset_ns, end_ns, name, bag.name, known_ns))
    return found


def _last_s(touch: Sequence[LabelSpan]) -> float:
    return min(end_of(touch), touch[0].start_s + _LONGEST_S)


def _until_ns(touch: Sequence[LabelSpan]) -> int:
    """When all sources have come beyond a touch."""
    return round(_last_s(touch) * 1e9) + 2 * _AFTER_NS


_AFTER_NS = round(AFTER_S * 1e9)
