"""Put what was found into words: its channels, its label, and what was received around it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf, isnan

import numpy as np

from tao_lora_ros.contact.contacts import Contact, Contacts
from tao_lora_ros.contact.event_size import Span, size_of
from tao_lora_ros.detection.transients import Transient
from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.messages.label_span import FREE
from tao_lora_ros.messages.raw_data import RawMessages, RawSamples, without_lags
from tao_lora_ros.messages.results import Event, Kept, Kind, Phase, RouterState, Size
from tao_lora_ros.model.event_features import event_features
from tao_lora_ros.model.event_head import EventHead

_LEAST_SHARE = 0.01
_BLOW = -1  # in the place of a contact's wrench

_Cut = list[tuple[RawSamples, RawMessages]]  # of each source


class _Open:
    """An event that goes on: its number, the state before it, what its inferences said, and its
    beginning once it is so long that the buffers will not hold it until the end."""

    def __init__(
        self, sequence: int, labels: int, head_ns: float, state: RouterState | None
    ) -> None:
        self.sequence = sequence
        self.state = state
        self.label_sum = np.zeros(labels)
        self.head_ns = head_ns
        self.heads: dict[int, _Cut] = {}  # by the pre-roll


class EventDescriber:
    """Describes blows and contacts from what their inferences said and what the buffers hold.

    Args:
        intake: the sources and their newest messages.
        contacts: what is known of the wrenches' loads.
        labels: the model's labels.
        head: what names events; without one, the model's labels do.
        pre_roll_s: raw samples before the onset, in seconds.
        store_pre_roll_s: messages to be kept from before the onset, as much or more.
        longest_s: of a longer event the beginning and the end are kept, so long each.
        post_roll_s: messages to be kept after the end.
        state_before: what is to be kept of the time before an onset.

    Attributes:
        described: events so far, the number of the next.
    """

    def __init__(
        self,
        intake: Intake,
        contacts: Contacts,
        labels: tuple[str, ...],
        head: EventHead | None,
        pre_roll_s: float,
        store_pre_roll_s: float,
        longest_s: float,
        post_roll_s: float,
        state_before: Callable[[int], RouterState | None] = lambda _: None,
        described: int = 0,
    ) -> None:
        self._intake = intake
        self._contacts = contacts
        self._source_of = [s for s in intake.sources for _ in s.config.channels]
        self._labels, self._head = labels, head
        # A name's one Gaussian holds its blows and its lasting contacts, so these are far from it
        # without being of another kind.
        self._lasting_head = head and replace(head, likeness=None)
        self._pre_roll_ns = round(pre_roll_s * 1e9)
        self._store_pre_roll_ns = round(store_pre_roll_s * 1e9)
        self._longest_ns = round(longest_s * 1e9)
        self._post_roll_ns = round(post_roll_s * 1e9)
        self._state_before = state_before
        self.described = described
        self.clear()

    def clear(self) -> None:
        """Forget all inferences, and events that go on or wait for their post-roll."""
        self._label_sum = np.zeros(len(self._labels))  # of a transient, also before its onset
        self._open: dict[int, _Open] = {}
        self._waiting: deque[tuple[int, Event, _Open]] = deque()  # and until when

    @property
    def going_on(self) -> set[int]:
        """Numbers of the events that have begun and not ended."""
        return {opened.sequence for opened in self._open.values()}

    def add(self, probabilities: tuple[float, ...], transient: bool) -> None:
        """Take what an inference said, within the transient or not."""
        if transient:
            self._label_sum += probabilities
        for opened in self._open.values():
            opened.label_sum += probabilities

    def describe(
        self,
        phase: Phase,
        found: Transient | Contact,
        until_ns: int,
        regime_change: bool = False,
    ) -> Event:
        """The event as it stands at `until_ns`."""
        contact = found if isinstance(found, Contact) else None
        key = contact.wrench if contact else _BLOW
        if phase is Phase.ONSET:
            head_ns = found.onset_ns + self._longest_ns if contact else inf
            state = self._state_before(found.onset_ns)
            self._open[key] = _Open(self.described, len(self._labels), head_ns, state)
            self.described += 1
        opened = self._open[key]
        order = np.argsort(-found.shares)
        shares = [(self._intake.channels[i], float(found.shares[i])) for i in order]
        cuts = self._cut(opened, found.onset_ns, until_ns, self._pre_roll_ns)
        raw = tuple(samples for samples, _ in cuts)
        timed = without_lags(raw)
        label, probability = self._name(phase, found, timed, opened)
        event = Event(
            phase=phase,
            sequence=opened.sequence,
            frame_id=self._source_of[order[0]].frame_id,
            onset_ns=found.onset_ns,
            peak_ns=found.peak_ns,
            end_ns=found.end_ns,
            peak_score=found.peak_score,
            channels=tuple(share for share in shares if share[1] >= _LEAST_SHARE),
            label=label,
            probability=probability,
            raw=raw,
            regime_change=regime_change,
            kind=_kind(found),
            size=self._size(found, timed, until_ns),
        )
        if phase is Phase.END:
            del self._open[key]
            if contact is None:
                self._label_sum[:] = 0.0
            until_ns = max(until_ns, event.end_ns + self._post_roll_ns)
            self._waiting.append((until_ns, event, opened))
        return event

    def wish(self, time_ns: int, reason: str) -> list[Event]:
        """The event that somebody asked for at a time: both phases, and what is around it kept."""
        cuts = self._cut_buffers(time_ns - self._pre_roll_ns, time_ns)
        onset = Event(
            phase=Phase.ONSET,
            sequence=self.described,
            frame_id=self._intake.sources[0].frame_id,
            onset_ns=time_ns,
            peak_ns=time_ns,
            end_ns=0,
            peak_score=0.0,
            channels=(),
            label="",
            probability=0.0,
            raw=tuple(samples for samples, _ in cuts),
            kind=Kind.MANUAL,
            reason=reason,
        )
        end = replace(onset, phase=Phase.END, end_ns=time_ns)
        opened = _Open(self.described, 0, inf, self._state_before(time_ns))
        self.described += 1
        self._waiting.append((time_ns + self._post_roll_ns, end, opened))
        return [onset, end]

    def _name(
        self, phase: Phase, found: Transient | Contact, raw: tuple[RawSamples, ...], opened: _Open
    ) -> tuple[str, float]:
        """Name and probability: the head's, else what its inferences said but for background."""
        if head := self._lasting_head if isinstance(found, Contact) else self._head:
            return head.name(phase, event_features(raw, found.onset_ns, found.end_ns))
        sums = opened.label_sum if isinstance(found, Contact) else self._label_sum
        said = {
            label: float(s) for label, s in zip(self._labels, sums, strict=True) if label != FREE
        }
        best = max(said, key=lambda label: said[label], default="")
        return (best, said[best] / float(sums.sum())) if said.get(best) else ("", 0.0)

    def _size(self, found: Transient | Contact, raw: tuple[RawSamples, ...], until_ns: int) -> Size:
        """How hard it was up to its end, or so far."""
        span = Span(found.onset_ns, found.end_ns or until_ns)
        measured = size_of(raw, span, self._intake.channels, self._contacts.models, found.shares)
        of_torque_alone = isnan(measured.peak_force) and not isnan(measured.peak_torque)
        if not isinstance(found, Contact) or of_torque_alone:
            return measured
        return replace(measured, mean_load=found.mean_load)

    @property
    def due_ns(self) -> float:
        """Time from which on `kept` has something to do."""
        if not self._open and not self._waiting:
            return inf
        heads = (opened.head_ns for opened in self._open.values() if not opened.heads)
        return min(min(heads, default=inf), self._waiting[0][0] if self._waiting else inf)

    def kept(self, time_ns: float) -> Iterator[Kept]:
        """Events whose post-roll is over at this time, in their order; at infinity all."""
        for opened in self._open.values():
            if not opened.heads and opened.head_ns <= time_ns < inf:
                head_ns = int(opened.head_ns)
                onset_ns = head_ns - self._longest_ns
                for pre_roll_ns in (self._pre_roll_ns, self._store_pre_roll_ns):
                    cut = self._cut_buffers(onset_ns - pre_roll_ns, head_ns)
                    opened.heads[pre_roll_ns] = cut
        while self._waiting and self._waiting[0][0] <= time_ns:
            until_ns, event, opened = self._waiting.popleft()
            cuts = self._cut(opened, event.onset_ns, until_ns, self._store_pre_roll_ns)
            spans = self._spans(opened, event.onset_ns - self._store_pre_roll_ns, until_ns)
            yield Kept(event, tuple(messages for _, messages in cuts), opened.state, spans)

    def _cut(self, opened: _Open, onset_ns: int, until_ns: int, pre_roll_ns: int) -> _Cut:
        """What was received from the pre-roll on, of a long event without its middle."""
        *_, (start_ns, end_ns) = self._spans(opened, onset_ns - pre_roll_ns, until_ns)
        last = self._cut_buffers(start_ns, end_ns)
        if not opened.heads:
            return last
        return [_joined(*cuts) for cuts in zip(opened.heads[pre_roll_ns], last, strict=True)]

    def _spans(self, opened: _Open, start_ns: int, until_ns: int) -> tuple[tuple[int, int], ...]:
        """From when to when something is kept."""
        if not opened.heads:
            return ((start_ns, until_ns),)
        head_ns = int(opened.head_ns)
        newest_ns = until_ns - self._longest_ns - self._post_roll_ns
        return (start_ns, head_ns), (max(head_ns + 1, newest_ns), until_ns)

    def _cut_buffers(self, start_ns: int, until_ns: int) -> _Cut:
        return [
            buffer.cut(start_ns, until_ns, source.frame_id)
            for buffer, source in zip(self._intake.buffers, self._intake.sources, strict=True)
        ]


def _joined(
    head: tuple[RawSamples, RawMessages], tail: tuple[RawSamples, RawMessages]
) -> tuple[RawSamples, RawMessages]:
    """Both parts of an event, what was refused between them once."""
    (first, before), (last, after) = head, tail
    known = set(map(id, before.data))
    new = [i for i, data in enumerate(after.data) if id(data) not in known]
    samples = RawSamples(
        last.source,
        last.frame_id,
        last.channels,
        np.concatenate((first.stamps_ns, last.stamps_ns)),
        np.concatenate((first.values, last.values)),
        last.lag_ns,
    )
    times_ns = np.concatenate((before.times_ns, after.times_ns[new]))
    return samples, RawMessages(times_ns, (*before.data, *(after.data[i] for i in new)))


def _kind(found: Transient | Contact) -> Kind:
    if isinstance(found, Contact):
        return Kind.LASTING_CONTACT
    return Kind.TOUCHDOWN if found.touchdown else Kind.BLOW
