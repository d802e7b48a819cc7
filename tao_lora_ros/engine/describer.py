"""Put a transient into words: its channels, its label, and what was received around it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from tao_lora_ros.detection.transients import Transient
from tao_lora_ros.engine.intake import Intake
from tao_lora_ros.messages.raw_data import RawMessages, RawSamples
from tao_lora_ros.messages.results import Event, Kept, Phase

_LEAST_SHARE = 0.01


class EventDescriber:
    """Describes transients from what their inferences said and what the buffers hold.

    Args:
        intake: the sources and their newest messages.
        labels: the model's labels.
        pre_roll_s: raw samples before the onset, in seconds.
        post_roll_s: messages to be kept after the end.
    """

    def __init__(
        self, intake: Intake, labels: tuple[str, ...], pre_roll_s: float, post_roll_s: float
    ) -> None:
        self._intake = intake
        self._source_of = [s for s in intake.sources for _ in s.config.channels]
        self._labels = labels
        self._pre_roll_ns = round(pre_roll_s * 1e9)
        self._post_roll_ns = round(post_roll_s * 1e9)
        self.clear()

    def clear(self) -> None:
        """Forget all inferences, and events that wait for their post-roll."""
        self._label_sum = np.zeros(len(self._labels))
        self._waiting: deque[tuple[int, Event]] = deque()  # and until when

    def add(self, probabilities: tuple[float, ...]) -> None:
        """Take what an inference within the transient said."""
        self._label_sum += probabilities

    def describe(
        self, phase: Phase, transient: Transient, until_ns: int, regime_change: bool = False
    ) -> Event:
        """The event as it stands at `until_ns`; its label is the likeliest over its inferences."""
        order = np.argsort(-transient.shares)
        shares = [(self._intake.channels[i], float(transient.shares[i])) for i in order]
        label, probability = "", 0.0
        if total := self._label_sum.sum():
            best = int(self._label_sum.argmax())
            label, probability = self._labels[best], float(self._label_sum[best] / total)
        event = Event(
            phase=phase,
            sequence=transient.sequence,
            frame_id=self._source_of[order[0]].frame_id,
            onset_ns=transient.onset_ns,
            peak_ns=transient.peak_ns,
            end_ns=transient.end_ns,
            peak_score=transient.peak_score,
            channels=tuple(share for share in shares if share[1] >= _LEAST_SHARE),
            label=label,
            probability=probability,
            raw=tuple(samples for samples, _ in self._cut(transient.onset_ns, until_ns)),
            regime_change=regime_change,
            touchdown=transient.touchdown,
        )
        if phase is Phase.END:
            self._label_sum[:] = 0.0
            self._waiting.append((max(until_ns, event.end_ns + self._post_roll_ns), event))
        return event

    def kept(self, time_ns: float) -> Iterator[Kept]:
        """Events whose post-roll is over at this time, in their order; at infinity all."""
        while self._waiting and self._waiting[0][0] <= time_ns:
            until_ns, event = self._waiting.popleft()
            cuts = self._cut(event.onset_ns, until_ns)
            yield Kept(event, tuple(messages for _, messages in cuts))

    def _cut(self, onset_ns: int, until_ns: int) -> list[tuple[RawSamples, RawMessages]]:
        """What the buffers hold from the pre-roll on, a source each."""
        return [
            buffer.cut(onset_ns - self._pre_roll_ns, until_ns, source.frame_id)
            for buffer, source in zip(self._intake.buffers, self._intake.sources, strict=True)
        ]
