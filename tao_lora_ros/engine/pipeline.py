"""The way of a sample: decode, align, window, statistics, route, infer, preserve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tao_lora_ros.engine.describer import EventDescriber
from tao_lora_ros.engine.inferrer import Inferrer
from tao_lora_ros.engine.results import Event, Inference, Phase, Result
from tao_lora_ros.engine.schedule import HopSchedule
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import aligner_for, check_channels, source_configs
from tao_lora_ros.hardware.choose import ChosenRuntime
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.router.analyzer import Analysis, Calibration, VarianceAnalyzer
from tao_lora_ros.router.calibration import BlockMaxima, calibrated
from tao_lora_ros.router.outliers import GlitchFilter
from tao_lora_ros.router.router import Change, Path, Router, RouterConfig
from tao_lora_ros.router.transients import TransientTracker
from tao_lora_ros.signal.align import Row
from tao_lora_ros.signal.source import ClockJump, Source
from tao_lora_ros.signal.window import SlidingWindow


class Pipeline:
    """Messages in, inferences and events out, in the order of their times.

    Args:
        settings: the parameters.
        artifact: the model and its calibration.

    `runtime` is what runs the model, warm already, and says why it is that one.

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
        self._lags_ns = [round(config.lag_s * 1e9) for config in configs]
        self._jump_ns = round(settings.clock_jump_s * 1e9)
        self.counts: Counter[str] = Counter()
        self._window = SlidingWindow(artifact.model.config.window, len(self.channels))
        self._analyzer = VarianceAnalyzer(artifact.calibration)
        self._maxima = BlockMaxima(artifact.rate_hz)
        self._router = Router(self._router_config(settings))
        self._tracker = TransientTracker(max(artifact.calibration.scales))
        self._schedule = HopSchedule(settings.hop_steady, settings.hop_transient)
        self.runtime = ChosenRuntime(artifact.model, settings.backend)
        self._inferrer = Inferrer(self.runtime, artifact.model)
        self._glitches = GlitchFilter(
            self.channels, artifact.calibration.floors, artifact.calibration.covariance_rows
        )
        # Sources may run ahead of the row that ends the longest transient by their timeout.
        longest_s = settings.max_transient_s + settings.source_timeout_s + 1.0
        self._describer = EventDescriber(
            self.sources, artifact.labels, settings.pre_roll_s, longest_s
        )
        self._newest_ns = 0  # of all sources, less their lags
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
        ahead_ns = sample.stamp_ns - self._lags_ns[source] - (self._newest_ns or sample.stamp_ns)
        if ahead_ns < -self._jump_ns:
            behind = f"stamp {sample.stamp_ns} ns is {-ahead_ns * 1e-9:.1f} s behind the others'"
            self.sources[source].refuse("other_clock", behind)
            return closed
        if ahead_ns > self._jump_ns:
            closed += self.reset()
        self._newest_ns = max(self._newest_ns, sample.stamp_ns - self._lags_ns[source])
        self._describer.buffers[source].push(sample.stamp_ns, sample.values)
        return closed + [
            result
            for row in self._aligner.push(source, sample.stamp_ns, sample.values)
            for settled in self._glitches.push(row)
            for result in self._row(settled)
        ]

    def reset(self) -> list[Result]:
        """Close the open event, if any, and forget all signals; counts and sequence go on."""
        closed = list(self.flush())
        self.counts["resets"] += 1
        self._restart()
        return closed

    def flush(self) -> Iterator[Result]:
        """Settle what is held back at the end of the input, and close the open event."""
        for row in self._glitches.flush():
            yield from self._row(row)
        if self._router.path is Path.TRANSIENT:
            self._router.clear()
            yield self._describer.describe(Phase.END, self._tracker.end(), self._last_ns)

    def calibrate(self) -> Calibration:
        """Set the thresholds from the motion since the last reset, an hour at most.

        All of it has to have been steady; the target is the artifact's rate of false alarms.

        Raises:
            CalibrationError: it was too short.
        """
        old = self._artifact.calibration
        calibration = calibrated(old, self._maxima.values, old.alarms_per_hour)
        self._analyzer.recalibrate(calibration.thresholds)
        return calibration

    @property
    def glitches(self) -> Counter[str]:
        """Single bad samples that were mended, by channel."""
        return self._glitches.glitches

    @property
    def rejected(self) -> Counter[str]:
        """Refused messages of all sources by kind."""
        return sum((source.rejected for source in self.sources), Counter())

    def _restart(self) -> None:
        self._aligner = aligner_for(self._configs, self._settings, self._artifact.rate_hz)
        self._maxima.clear()
        for signals in (self._glitches, self._window, self._analyzer, self._router, self._tracker):
            signals.clear()
        for results in (self._schedule, self._inferrer, self._describer):
            results.clear()
        for source in self.sources:
            source.restart()
        self._last_ns = 0
        self._newest_ns = 0

    def _row(self, row: Row) -> Iterator[Result]:
        self.counts["rows"] += 1
        self._last_ns = row.time_ns
        self._window.push(row.time_ns, row.values)
        analysis = self._analyzer.update(row.values, frozen=self._router.path is Path.TRANSIENT)
        if self._analyzer.ready:
            self._maxima.push(self._analyzer.log_ratios)
        self._tracker.observe(row.time_ns, analysis, self._settings.off_score)
        change = self._router.update(analysis.score)
        self.counts["transient_rows"] += self._router.path is Path.TRANSIENT
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
            self._describer.hear(probabilities)
        times = self._window.times_ns
        return Inference(
            stamp_ns=row.stamp_ns,
            frame_id=self.sources[0].frame_id,
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
            transient = self._tracker.begin(time_ns, analysis)
            return self._describer.describe(Phase.ONSET, transient, time_ns)
        accepted = change is Change.ACCEPTED
        if accepted:
            self.counts["regime_changes"] += 1
            self._analyzer.accept()
        return self._describer.describe(Phase.END, self._tracker.end(), time_ns, accepted)
