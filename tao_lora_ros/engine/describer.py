"""Put a transient into words: its channels, its label, and the raw samples around it."""

from __future__ import annotations

import numpy as np

from tao_lora_ros.engine.results import Event, Phase
from tao_lora_ros.preservation.outlier_buffer import OutlierBuffer
from tao_lora_ros.router.transients import Transient
from tao_lora_ros.signal.source import Source

_LEAST_SHARE = 0.01
_CHANNELS_A_SOURCE = 6


class EventDescriber:
    """Describes transients from what their inferences said and what the buffers kept.

    Args:
        sources: the sources.
        labels: the model's labels.
        pre_roll_s: raw samples before the onset, in seconds.
        longest_s: longest stretch from an onset to its end, in seconds.
    """

    def __init__(
        self, sources: list[Source], labels: tuple[str, ...], pre_roll_s: float, longest_s: float
    ) -> None:
        self._sources = sources
        self._channels = [name for source in sources for name in source.config.channels]
        self._labels = labels
        self._pre_roll_ns = round(pre_roll_s * 1e9)
        self.buffers = [
            OutlierBuffer(config.name, config.channels, config.lag_s, pre_roll_s + longest_s)
            for config in (source.config for source in sources)
        ]
        self.clear()

    def clear(self) -> None:
        """Forget all samples and inferences."""
        self._label_sum = np.zeros(len(self._labels))
        for buffer in self.buffers:
            buffer.clear()

    def hear(self, probabilities: tuple[float, ...]) -> None:
        """Take what an inference within the transient said."""
        self._label_sum += probabilities

    def describe(
        self, phase: Phase, transient: Transient, until_ns: int, regime_change: bool = False
    ) -> Event:
        """The event as it stands at `until_ns`; its label is the likeliest over its inferences."""
        order = np.argsort(-transient.shares)
        shares = [(self._channels[i], float(transient.shares[i])) for i in order]
        label, probability = "", 0.0
        if total := self._label_sum.sum():
            best = int(self._label_sum.argmax())
            label, probability = self._labels[best], float(self._label_sum[best] / total)
        if phase is Phase.END:
            self._label_sum[:] = 0.0
        start_ns = transient.onset_ns - self._pre_roll_ns
        raw = [
            buffer.cut(start_ns, until_ns, source.frame_id)
            for buffer, source in zip(self.buffers, self._sources, strict=True)
        ]
        return Event(
            phase=phase,
            sequence=transient.sequence,
            frame_id=self._sources[int(order[0]) // _CHANNELS_A_SOURCE].frame_id,
            onset_ns=transient.onset_ns,
            peak_ns=transient.peak_ns,
            end_ns=transient.end_ns,
            peak_score=transient.peak_score,
            channels=tuple(share for share in shares if share[1] >= _LEAST_SHARE),
            label=label,
            probability=probability,
            raw=tuple(raw),
            regime_change=regime_change,
        )
