"""Everything that one run gave, live or replayed, and how it compares with the truth."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.labels import read_contacts
from tao_lora_ros.bags.reader import WHOLE, BagReader
from tao_lora_ros.bags.replay import Replay
from tao_lora_ros.bags.true_names import touches_in, true_name
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.messages.label_span import FREE, LabelSpan
from tao_lora_ros.messages.results import Event, Inference
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.report.provenance import of_model, of_recording, of_settings, of_software
from tao_lora_ros.signal.cdr import Sample
from tao_lora_ros.signal.source import ClockJump, FrameChange, Source

TOLERANCE_S = 0.05  # an onset this near to a contact's start has found it
_ABUTTING_S = 1e-3

Outcome = Literal["found", "covered", "missed"]


class Signal(NamedTuple):
    """One source's accepted samples: stamps int64 [n] as sent, rising; values [n, C]."""

    stamps_ns: NDArray[np.int64]
    values: NDArray[np.floating]


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Args:
        title: what was run, in a few words.
        start_ns: stamp of the first message; all seconds count from it.
        channels: channel names of all sources, in the order of `signals`.
        signals: samples by source name.
        events: both phases of all events, in order.
        lags_s: by source name, how much later than the others it stamps the same instant.
        inferences: all inferences, in order.
        labels: names of the inferences' probabilities.
        model_id: name of the model.
        model_version: its version.
        rejected: refused messages by kind.
        contacts: the truth, in order of time; empty where nobody knows it.
        inference_latencies_s: one an inference, from the newest sample's arrival to publishing;
            empty for a replay.
        onset_latencies_s: by event sequence, from the onset sample's publication to the event's;
            empty for a replay.
        notes: further facts by name, such as the node's load.
        provenance: where it all comes from, by name.
    """

    title: str
    start_ns: int
    channels: tuple[str, ...]
    signals: dict[str, Signal]
    events: list[Event]
    lags_s: dict[str, float] = field(default_factory=dict)
    inferences: list[Inference] = field(default_factory=list)
    labels: tuple[str, ...] = ()
    model_id: str = ""
    model_version: str = ""
    rejected: Mapping[str, int] = field(default_factory=dict)
    contacts: list[LabelSpan] = field(default_factory=list)
    inference_latencies_s: list[float] = field(default_factory=list)
    onset_latencies_s: dict[int, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)

    def seconds(self, stamp_ns: int) -> float:
        """Seconds of a stamp from the start."""
        return (stamp_ns - self.start_ns) * 1e-9

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last sample."""
        stamps = [signal.stamps_ns[-1] for signal in self.signals.values() if len(signal.stamps_ns)]
        return self.seconds(int(max(stamps))) if stamps else 0.0

    @cached_property
    def final_events(self) -> list[Event]:
        """The last word on each event; one still open at the end is an ONSET.

        Sequences begin anew with the node that gives them.
        """
        return list({(event.onset_ns, event.sequence): event for event in self.events}.values())

    def span_s(self, event: Event) -> tuple[float, float]:
        """Onset and end of an event in seconds; an open one lasts to the end of the run."""
        end_s = self.seconds(event.end_ns) if event.end_ns else self.duration_s
        return self.seconds(event.onset_ns), end_s

    @cached_property
    def touches(self) -> list[LabelSpan]:
        """Contacts that follow on each other without a break (impact, then slide) joined."""
        joined: list[LabelSpan] = []
        for contact in self.contacts:
            if joined and contact.start_s - joined[-1].end_s < _ABUTTING_S:
                joined[-1] = _join(joined[-1], contact)
            else:
                joined.append(contact)
        return joined

    def outcome(self, touch: LabelSpan) -> Outcome:
        """Found by an onset of its own, covered by an event already open, or missed."""
        onsets, ends = self._spans_s
        if (np.abs(onsets - touch.start_s) <= TOLERANCE_S).any():
            return "found"
        inside = ((onsets <= touch.start_s) & (touch.start_s <= ends)).any()
        return "covered" if inside else "missed"

    @cached_property
    def _spans_s(self) -> NDArray[np.float64]:
        """Onsets and ends of the final events, [2, n]: thousands are held against thousands."""
        return np.array([self.span_s(event) for event in self.final_events]).reshape(-1, 2).T

    def touched(self, event: Event) -> bool:
        """Whether there was contact at some time in the event, give or take the tolerance."""
        onset, end = self.span_s(event)
        starts, ends = self._contacts_s
        return bool(((onset - TOLERANCE_S <= ends) & (starts <= end + TOLERANCE_S)).any())

    @cached_property
    def _contacts_s(self) -> NDArray[np.float64]:
        """Starts and ends of the contacts, [2, n]."""
        spans = [(contact.start_s, contact.end_s) for contact in self.contacts]
        return np.array(spans, np.float64).reshape(-1, 2).T

    @property
    def true_names(self) -> list[tuple[str, str]]:
        """What each event that is over was called, and by the labels was, where they say it."""
        touches = touches_in([contact for contact in self.contacts if contact.label != FREE])
        over = [event for event in self.final_events if event.end_ns]
        pairs = [(event.label, true_name(event, self.start_ns, touches)[0]) for event in over]
        return [(said, true) for said, true in pairs if true]

    def nearest_truth(self, event: Event) -> tuple[str, float] | None:
        """What truly happened nearest to the onset, and how much later the onset is, in seconds.

        A contact begins, or one that lasted ends: letting go shakes the tool as well.
        """
        names, times = self._happened
        if not names:
            return None
        later = self.seconds(event.onset_ns) - times
        nearest = int(np.abs(later).argmin())
        return names[nearest], float(later[nearest])

    @cached_property
    def _happened(self) -> tuple[list[str], NDArray[np.float64]]:
        """What happened, and when, in seconds."""
        lasting = [touch for touch in self.touches if touch.end_s - touch.start_s > 2 * TOLERANCE_S]
        found = [(contact.label, contact.start_s) for contact in self.contacts]
        found += [("end of contact", touch.end_s) for touch in lasting]
        return [name for name, _ in found], np.array([at_s for _, at_s in found])


def _join(first: LabelSpan, second: LabelSpan) -> LabelSpan:
    known = {first.label: None, second.label: None}
    sigma = float(np.fmax(first.peak_sigma, second.peak_sigma))
    return LabelSpan(first.start_s, second.end_s, ", ".join(known), sigma)


def record_replay(
    bag: Path,
    result: Replay,
    pipeline: Pipeline,
    artifact: Artifact,
    topics: Mapping[str, str] | None = None,
    part_s: tuple[float, float] = WHOLE,
) -> RunRecord:
    """The record of a replay of a bag or a part of it; the signals are read once more.

    Raises:
        BagError: the bag or its labels cannot be read.
    """
    sources = [Source(source.config, source.jump_s) for source in pipeline.intake.sources]
    with BagReader(bag, [source.config for source in sources], topics, part_s) as reader:
        signals, _ = collect_signals(reader.messages(), sources)
        read = reader.topics
    return RunRecord(
        title=f"Replay of {bag.name}",
        start_ns=result.first_stamp_ns,
        channels=pipeline.artifact.channels,
        signals=signals,
        lags_s={source.config.name: source.config.lag_s for source in sources},
        inferences=result.inferences,
        events=result.events,
        labels=artifact.labels,
        model_id=artifact.model_id,
        model_version=artifact.version,
        rejected=pipeline.intake.rejected,
        contacts=[c for c in read_contacts(bag) if part_s[0] <= c.start_s <= part_s[1]],
        notes=_notes(pipeline) | ({"Not read": result.damage} if result.damage else {}),
        provenance=of_recording(bag, result.first_stamp_ns, read, part_s)
        | of_model(pipeline.settings, artifact)
        | of_settings(pipeline.settings)
        | of_software(),
    )


def _notes(pipeline: Pipeline) -> dict[str, str]:
    """What was used of each source, and what a user should know of it."""
    notes = {}
    for source, account in zip(pipeline.intake.sources, pipeline.intake.accounts, strict=True):
        used = f"{account.used} of {account.received}"
        known = [account.remedy, *source.notices]
        notes[f"{account.name}, messages used"] = "; ".join([used, *filter(None, known)])
    return notes


def collect_signals(
    messages: Iterable[tuple[int, int, bytes]], sources: Sequence[Source]
) -> tuple[dict[str, Signal], int]:
    """Decode (source number, time when it came in ns, CDR bytes) by fresh sources.

    They count what they refuse.

    Returns:
        The signals by source name, values as float32, which is what is drawn, and the stamp of the
        first message taken (0 without any).
    """
    # Arrays: an hour of lists of samples is gigabytes.
    stamps = [array("q") for _ in sources]
    values = [array("f") for _ in sources]
    start_ns = 0
    for index, received_ns, data in messages:
        for sample in samples_of(sources[index], data, received_ns):
            start_ns = start_ns or sample.stamp_ns
            stamps[index].append(sample.stamp_ns)
            values[index].frombytes(np.asarray(sample.values, np.float32).tobytes())
    signals = {}
    for source, of_source, rows in zip(sources, stamps, values, strict=True):
        times, table = np.asarray(of_source), np.asarray(rows)
        signal = Signal(times, table.reshape(-1, len(source.config.channels)))
        if (np.diff(times) < 0).any():
            order = np.argsort(times, kind="stable")
            signal = Signal(times[order], signal.values[order])
        signals[source.config.name] = signal
    return signals, start_ns


def samples_of(source: Source, data: bytes, received_ns: int) -> list[Sample]:
    """The samples that a message of a source brings."""
    try:
        outcomes = source.accept(data, received_ns)
    except ClockJump:
        source.restart()
        outcomes = source.accept(data, received_ns)
    except FrameChange:
        source.change_frame()
        outcomes = source.accept(data, received_ns)
    return [sample for _, sample in outcomes if sample is not None]
