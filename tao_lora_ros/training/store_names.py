"""Learn what events are called from what people called those of a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import eq
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.raw_data import RawSamples, without_lags
from tao_lora_ros.messages.results import Kind, Phase
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.event_features import FEATURES, event_features
from tao_lora_ros.model.event_head import EventHead, margins_of
from tao_lora_ros.preservation.event_catalogue import read_entries, read_record
from tao_lora_ros.preservation.event_entry import Entry
from tao_lora_ros.preservation.event_labels import read_labels
from tao_lora_ros.training.event_names import NamedEvent, fit_event_head
from tao_lora_ros.training.event_scores import scores_held_out
from tao_lora_ros.training.name_events import PROVENANCE_KEY
from tao_lora_ros.training.progress import tracked

_LISTED = 10
_FEW = 5  # labels of a name, below which fits without some of them say little
# The store does not say when an onset was decided: after some rows, a contact's after its test.
_DECIDED_NS = {Kind.LASTING_CONTACT: 100_000_000}
_SOON_NS = 5_000_000


@dataclass(frozen=True, eq=False)
class StoreNames:
    """What was learned.

    Args:
        artifact: with the new event head.
        counts: labelled events by name.
        right: how many of these get the name of their label, from the artifact's own head and, by
            fits without their session, from the new one; unsure is not right.
        doubts: number of a labelled event, its label, and what fits without its session call it,
            with the probability: where these differ, the surest first.
        next: number of an event without a label, the likeliest name, and its margin over the
            second, the smallest first; those unlike any name come before, with none.
        replaced: names of the artifact's own head that a new word was put in place of, and that.
        forgotten: others of them that are known no more.
        new: names of labels that the artifact's own head did not have.
    """

    artifact: Artifact
    counts: dict[str, int]
    right: tuple[int, int]
    doubts: list[tuple[int, str, str, float]]
    next: list[tuple[int, str, float]]
    replaced: dict[str, str]
    forgotten: tuple[str, ...]
    new: tuple[str, ...]

    def lines(self) -> list[str]:
        """All this in words."""
        total = sum(self.counts.values())
        had = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        before, now = self.right
        lacking = f" (they have no {', no '.join(self.new)})" if self.new else ""
        said = [
            f"labels: {had}; {len(self.next)} events have none",
            f"called as they are labelled: {before} of {total} by the names so far{lacking}, {now} "
            "by those learned from the others",
        ]
        if few := [name for name, count in self.counts.items() if count < _FEW]:
            said.append(f"that says little with fewer than {_FEW} labels: {', '.join(few)}")
        head = self.artifact.event_head
        if kept := [name for name in (head.names if head else ()) if name not in self.counts]:
            said.append(f"kept as they were, without labels: {', '.join(kept)}")
        said += [
            f"{old} is now {new}, as most events of that label were called; label some {old} to "
            "have both"
            for old, new in self.replaced.items()
        ]
        if self.forgotten:
            said.append(
                f"forgotten: {', '.join(self.forgotten)}: the model does not say what events of "
                "these names are like; label some, or start from one that does (`tao-lora info`)"
            )
        said += [
            f"  event {number} is labelled {label}, and looks like {name} ({probability:.0%})"
            for number, label, name, probability in self.doubts[:_LISTED]
        ]
        if self.next:
            said.append("label next, the least sure first:")
        said += [
            f"  event {number}: "
            + (f"{name}, by {margin:.0%} before the second" if name else "unlike any name")
            for number, name, margin in self.next[:_LISTED]
        ]
        return said


def learn_names(store: Path, artifact: Artifact) -> StoreNames:
    """Fit an event head on the labelled events of a store, from the artifact's own on.

    Events between two starts of the node are a session: those of one are held out together.

    Args:
        store: the store.
        artifact: what to give the head to.

    Raises:
        StoreError: there is no store, or an event cannot be read.
        EventNameError: fewer than two names, or hardly any events of one.
    """
    entries = read_entries(store)
    labels = read_labels(store, entries)
    named, kept, others, features = [], [], [], []
    sessions = _sessions(entries)
    for entry in tracked(entries, "reading events", len(entries)):
        raw = without_lags(read_record(store, entry).event.raw)
        if entry.number in labels:
            named.append(_named(entry, raw, labels[entry.number].name, sessions[entry.number]))
            kept.append(entry.number)
        else:
            others.append(entry.number)
            features.append(event_features(raw, entry.onset_ns, entry.end_ns))
    head = artifact.event_head
    called = [_called(head, event) for event in named]
    labelled = [event.name for event in named]
    known = head.names if head else ()
    replaced = _replaced(known, called, labelled)
    fit = fit_event_head(named, head.without(replaced) if head else None)
    counts = dict(sorted(Counter(event.name for event in named).items()))
    provenance = artifact.provenance | {PROVENANCE_KEY: counts}
    return StoreNames(
        replace(artifact, event_head=fit.head, provenance=provenance),
        counts,
        (
            sum(map(eq, called, labelled)),
            round(scores_held_out(fit, labelled)["right"] * len(named)),
        ),
        _doubts(kept, labelled, fit.head.names, fit.probabilities),
        _next(others, fit.head, np.reshape(features, (-1, FEATURES))),
        replaced,
        tuple(name for name in known if name not in {*fit.head.names, *replaced}),
        tuple(name for name in counts if name not in known),
    )


def _sessions(entries: Sequence[Entry]) -> dict[int, str]:
    """Session of each event by number: a node that starts counts its events anew."""
    sessions, session, last = {}, 0, -1
    for entry in entries:
        session += entry.sequence <= last
        last = entry.sequence
        sessions[entry.number] = str(session)
    return sessions


def _named(entry: Entry, raw: tuple[RawSamples, ...], name: str, session: str) -> NamedEvent:
    known_ns = entry.onset_ns + _DECIDED_NS.get(Kind(entry.kind), _SOON_NS)
    return NamedEvent(raw, entry.onset_ns, entry.end_ns, name, session, known_ns)


def _called(head: EventHead | None, event: NamedEvent) -> str:
    """What a head calls an event; "" where it is not sure."""
    features = event_features(event.raw, event.onset_ns, event.end_ns)
    return head.name(Phase.END, features)[0] if head else ""


def _replaced(
    known: Sequence[str], called: Sequence[str], labelled: Sequence[str]
) -> dict[str, str]:
    """Known names that nobody labelled, by the new word for most of whose events they stood."""
    found = {}
    for word in sorted({*labelled} - {*known}):
        said = Counter(c for c, label in zip(called, labelled, strict=True) if label == word)
        name, count = said.most_common(1)[0]
        if name and name not in labelled and 2 * count > sum(said.values()):
            found[name] = word
    return found


def _doubts(
    numbers: Sequence[int],
    labels: Sequence[str],
    names: Sequence[str],
    said: NDArray[np.float64],
) -> list[tuple[int, str, str, float]]:
    rows = [
        (number, label, names[int(row.argmax())], float(row.max()))
        for number, label, row in zip(numbers, labels, said, strict=True)
    ]
    return sorted((row for row in rows if row[1] != row[2]), key=lambda row: -row[3])


def _next(
    numbers: Sequence[int], head: EventHead, features: NDArray[np.float64]
) -> list[tuple[int, str, float]]:
    assert head.likeness
    said = head.probabilities(Phase.END, features)
    unlike = head.distances(Phase.END, features) > head.likeness.limits[Phase.END]
    margins = np.where(unlike, 0.0, margins_of(said))
    rows = zip(numbers, said.argmax(axis=-1), margins, unlike, strict=True)
    found = [(n, "" if far else head.names[int(i)], float(by)) for n, i, by, far in rows]
    return sorted(found, key=lambda row: row[2])
