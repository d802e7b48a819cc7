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
from tao_lora_ros.router.analyzer import Calibration
from tao_lora_ros.router.calibration import SteadyRows, calibrated
from tao_lora_ros.router.detector import Detector, Step
from tao_lora_ros.router.outliers import GlitchFilter
from tao_lora_ros.router.router import Change, Path, RouterConfig
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
        self._detector = Detector(artifact.calibration, self._router_config(settings))
        self._steady = SteadyRows(artifact.rate_hz, len(self.channels))
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
        self._detector.configure(self._router_config(settings))
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
        for row in self._aligner.push(source, sample.stamp_ns, sample.values):
            self._steady.push(row.values)
            for settled in self._glitches.push(row):
                closed += self._row(settled)
        return closed

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
        if transient := self._detector.stop():
            yield self._describer.describe(Phase.END, transient, self._last_ns)

    def calibrate(self) -> Calibration:
        """Calibrate on the motion since the last reset, its newest ten minutes at most.

        All of it has to have been steady; the target is the artifact's rate of false alarms.

        Raises:
            CalibrationError: it was too short.
        """
        old = self._artifact.calibration
        calibration, _ = calibrated(
            old, [self._steady.values], self._artifact.rate_hz, old.alarms_per_hour
        )
        self._detector.recalibrate(calibration)
        return calibration

    @property
    def glitches(self) -> Counter[str]:
        """Single bad samples that were mended, by channel."""
        return self._glitches.glitches

    @property
    def jumps(self) -> Counter[str]:
        """Samples as far off that were let through as physical, by channel."""
        return self._glitches.jumps

    @property
    def rejected(self) -> Counter[str]:
        """Refused messages of all sources by kind."""
        return sum((source.rejected for source in self.sources), Counter())

    def _restart(self) -> None:
        self._aligner = aligner_for(self._configs, self._settings, self._artifact.rate_hz)
        for signals in (self._steady, self._glitches, self._window, self._detector):
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
        step = self._detector.push(row.time_ns, row.values)
        self.counts["transient_rows"] += step.path is Path.TRANSIENT
        if self._window.full:
            self.counts["windows"] += 1
            if self._schedule.due(step.path, onset=step.change is Change.ONSET):
                yield self._infer(row, step)
        if step.change is not Change.NONE:
            yield self._transition(step.change, row.time_ns)

    def _infer(self, row: Row, step: Step) -> Inference:
        path = step.path
        self.counts[path.name.lower()] += 1
        probabilities, error = self._inferrer.infer(self.counts["rows"], self._window.values, path)
        if path is Path.TRANSIENT:
            self._describer.hear(probabilities)
        times = self._window.times_ns
        return Inference(
            stamp_ns=row.stamp_ns,
            frame_id=self.sources[0].frame_id,
            path=path,
            score=step.score,
            probabilities=probabilities,
            forecast_error=error,
            window_start_ns=int(times[0]),
            window_end_ns=int(times[-1]),
        )

    def _transition(self, change: Change, time_ns: int) -> Event:
        transient = self._detector.transient
        if change is Change.ONSET:
            self.counts["events"] += 1
            return self._describer.describe(Phase.ONSET, transient, time_ns)
        accepted = change is Change.ACCEPTED
        self.counts["regime_changes"] += accepted
        return self._describer.describe(Phase.END, transient, time_ns, accepted)
