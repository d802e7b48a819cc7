"""The way of a sample: decode, align, window, statistics, route, infer, preserve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from tao_lora_ros.engine.inferrer import Inferrer
from tao_lora_ros.engine.results import Event, Inference, Phase, Result
from tao_lora_ros.engine.schedule import HopSchedule
from tao_lora_ros.engine.settings import Settings, SettingsError
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.preservation.outlier_buffer import OutlierBuffer
from tao_lora_ros.router.analyzer import Analysis, VarianceAnalyzer
from tao_lora_ros.router.router import Change, Path, Router, RouterConfig
from tao_lora_ros.router.transients import Transient, TransientTracker
from tao_lora_ros.signal.align import Aligner, Row
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.signal.source import ClockJump, Source, SourceConfig
from tao_lora_ros.signal.window import SlidingWindow

_LEAST_SHARE = 0.01


def source_configs(settings: Settings) -> list[SourceConfig]:
    """The sources that the settings name, IMUs first; an empty name is none (for ROS's YAML)."""
    imus = zip(settings.imus, settings.imu_lags_s, strict=True)
    wrenches = zip(settings.wrenches, settings.wrench_lags_s, strict=True)
    configs = [SourceConfig(name, IMU, lag) for name, lag in imus]
    configs += [SourceConfig(name, WRENCH, lag) for name, lag in wrenches]
    return [config for config in configs if config.name]


def aligner_for(configs: list[SourceConfig], settings: Settings, rate_hz: float) -> Aligner:
    """An aligner of these sources."""
    return Aligner(
        widths=[len(config.channels) for config in configs],
        lags_s=[config.lag_s for config in configs],
        rate_hz=rate_hz,
        max_gap_s=settings.max_gap_s,
        timeout_s=settings.source_timeout_s,
    )


def check_channels(settings: Settings, artifact: Artifact) -> None:
    """Make sure that the sources give what the model reads.

    Raises:
        SettingsError: they do not; the text names both.
    """
    given = [name for config in source_configs(settings) for name in config.channels]
    if tuple(given) != artifact.channels:
        raise SettingsError(
            f"model {artifact.model_id} reads channels {', '.join(artifact.channels)}; "
            f"the sources give {', '.join(given) or 'none'}"
        )


class Pipeline:
    """Messages in, inferences and events out, in the order of their times.

    Args:
        settings: the parameters.
        artifact: the model and its calibration.

    Raises:
        SettingsError: the sources do not give the channels that the model reads.
    """

    def __init__(self, settings: Settings, artifact: Artifact) -> None:
        check_channels(settings, artifact)
        configs = source_configs(settings)
        self.channels = artifact.channels
        self._artifact = artifact
        self._configs = configs
        self._settings = settings
        self.sources = [Source(config, settings.clock_jump_s) for config in configs]
        self.counts: Counter[str] = Counter()
        self._window = SlidingWindow(artifact.model.config.window, len(self.channels))
        self._analyzer = VarianceAnalyzer(artifact.calibration)
        self._router = Router(self._router_config(settings))
        self._tracker = TransientTracker(max(artifact.calibration.scales))
        self._schedule = HopSchedule(settings.hop_steady, settings.hop_transient)
        self._inferrer = Inferrer(artifact.model)
        # No event lasts longer than max_transient_s, so this much holds any event and its pre-roll.
        keep_s = settings.pre_roll_s + settings.max_transient_s + settings.source_timeout_s + 1.0
        self._buffers = [
            OutlierBuffer(config.name, config.channels, config.lag_s, keep_s) for config in configs
        ]
        self._restart()

    def _router_config(self, settings: Settings) -> RouterConfig:
        rate = self._artifact.rate_hz
        return RouterConfig(
            off_score=settings.off_score,
            hold_rows=round(settings.hold_s * rate),
            max_transient_rows=round(settings.max_transient_s * rate),
        )

    def apply(self, settings: Settings) -> None:
        """Take the live parameters of new settings, between two rows."""
        self._settings = settings
        self._router.config = self._router_config(settings)
        self._schedule.hops = {
            Path.STEADY: settings.hop_steady,
            Path.TRANSIENT: settings.hop_transient,
        }

    def push(self, source: int, data: bytes) -> list[Result]:
        """Take one message of a source (its place among the settings' sources).

        Returns:
            What became known, oldest first. A bad message gives nothing and is counted in
            `sources[source].rejected`.
        """
        self.counts["messages"] += 1
        closed: list[Result] = []
        try:
            sample = self.sources[source].accept(data)
        except ClockJump:
            closed = self.reset()
            sample = self.sources[source].accept(data)
        if sample is None:
            return closed
        self._buffers[source].push(sample.stamp_ns, sample.values)
        rows = self._aligner.push(source, sample.stamp_ns, sample.values)
        return closed + [result for row in rows for result in self._row(row)]

    def reset(self) -> list[Result]:
        """Close the open event, if any, and forget all signals; counts and sequence go on."""
        closed: list[Result] = list(self.flush())
        self.counts["resets"] += 1
        self._restart()
        return closed

    def flush(self) -> Iterator[Event]:
        """Close the event that is open at the end of the input."""
        if self._router.path is Path.TRANSIENT:
            self._router.clear()
            yield self._event(Phase.END, self._tracker.end(), self._last_ns)

    @property
    def rejected(self) -> Counter[str]:
        """Refused messages of all sources by kind."""
        return sum((source.rejected for source in self.sources), Counter())

    def _restart(self) -> None:
        self._aligner = aligner_for(self._configs, self._settings, self._artifact.rate_hz)
        for part in (*self._buffers, self._window, self._analyzer, self._router, self._tracker):
            part.clear()
        self._schedule.clear()
        self._inferrer.clear()
        for source in self.sources:
            source.restart()
        self._label_sum = np.zeros(len(self._artifact.labels))
        self._last_ns = 0

    def _row(self, row: Row) -> Iterator[Result]:
        self.counts["rows"] += 1
        self._last_ns = row.time_ns
        self._window.push(row.time_ns, row.values)
        analysis = self._analyzer.update(row.values, frozen=self._router.path is Path.TRANSIENT)
        self._tracker.observe(row.time_ns, analysis, self._settings.off_score)
        change = self._router.update(analysis.score)
        if self._window.full:
            self.counts["windows"] += 1
            if self._schedule.due(self._router.path, onset=change is Change.ONSET):
                yield self._infer(row, analysis)
        if change is not Change.NONE:
            yield self._transition(change, row.time_ns, analysis)

    def _infer(self, row: Row, analysis: Analysis) -> Inference:
        path = self._router.path
        self.counts[path.name.lower()] += 1
        probabilities, error = self._inferrer.infer(self.counts["rows"], self._window.values, path)
        if path is Path.TRANSIENT:
            self._label_sum += probabilities
        times = self._window.times_ns
        return Inference(
            stamp_ns=row.stamp_ns,
            frame_id=self._frame_id(0),
            path=path,
            score=analysis.score,
            probabilities=probabilities,
            forecast_error=error,
            window_start_ns=int(times[0]),
            window_end_ns=int(times[-1]),
        )

    def _transition(self, change: Change, time_ns: int, analysis: Analysis) -> Event:
        if change is Change.ONSET:
            self.counts["events"] += 1
            return self._event(Phase.ONSET, self._tracker.begin(time_ns, analysis), time_ns)
        if change is Change.ACCEPTED:
            self._analyzer.accept()
        return self._event(Phase.END, self._tracker.end(), time_ns)

    def _event(self, phase: Phase, transient: Transient, time_ns: int) -> Event:
        """Describe a transient; its label is the likeliest on average over its inferences."""
        order = np.argsort(-transient.shares)
        shares = [(self.channels[i], float(transient.shares[i])) for i in order]
        label, probability = "", 0.0
        if total := self._label_sum.sum():
            best = int(self._label_sum.argmax())
            label, probability = self._artifact.labels[best], float(self._label_sum[best] / total)
        if phase is Phase.END:
            self._label_sum[:] = 0.0
        start_ns = transient.onset_ns - round(self._settings.pre_roll_s * 1e9)
        raw = [
            buffer.cut(start_ns, time_ns, source.frame_id)
            for buffer, source in zip(self._buffers, self.sources, strict=True)
        ]
        return Event(
            phase=phase,
            sequence=transient.sequence,
            frame_id=self._frame_id(int(order[0])),
            onset_ns=transient.onset_ns,
            peak_ns=transient.peak_ns,
            end_ns=transient.end_ns,
            peak_score=transient.peak_score,
            channels=tuple(share for share in shares if share[1] >= _LEAST_SHARE),
            label=label,
            probability=probability,
            raw=tuple(raw),
        )

    def _frame_id(self, channel: int) -> str:
        """Frame of the source that a channel belongs to."""
        return self.sources[channel // 6].frame_id
