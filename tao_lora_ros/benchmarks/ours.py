"""The package's own router, fed as the pipeline feeds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.benchmarks.results import OURS
from tao_lora_ros.benchmarks.scenes import RATE_HZ, Scene
from tao_lora_ros.benchmarks.score import Detections
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.router.analyzer import VarianceAnalyzer
from tao_lora_ros.router.calibration import calibrated, maxima_of, uncalibrated
from tao_lora_ros.router.outliers import GlitchFilter
from tao_lora_ros.router.router import Change, Path, Router, RouterConfig
from tao_lora_ros.router.transients import TransientTracker
from tao_lora_ros.signal.align import Row


class TaoLora:
    """Glitch filter, analyzer, router and tracker with the default settings."""

    name = OURS
    needs = ()

    def __init__(self) -> None:
        settings = Settings()
        configs = source_configs(settings)
        self._channels = tuple(name for config in configs for name in config.channels)
        self.calibration = uncalibrated(self._channels, RATE_HZ)
        self._off_score = settings.off_score
        self._config = RouterConfig(
            off_score=settings.off_score,
            hold_rows=round(settings.hold_s * RATE_HZ),
            max_transient_rows=round(settings.max_transient_s * RATE_HZ),
        )

    def calibrate(self, steady: Sequence[Scene], alarms_per_hour: float) -> None:
        """Set the thresholds of all scales."""
        recordings = ((row.values for _, row in self._settled(scene)) for scene in steady)
        maxima = maxima_of(recordings, self.calibration, RATE_HZ)
        self.calibration = calibrated(self.calibration, maxima.values, alarms_per_hour)

    def detect(self, scene: Scene) -> Detections:
        """Every onset; the tracker's dated-back onset is the reported time."""
        analyzer, router = VarianceAnalyzer(self.calibration), Router(self._config)
        tracker = TransientTracker(max(self.calibration.scales))
        alarms, events_ns = [], []
        transient = np.zeros(len(scene.rows), bool)
        for now, row in self._settled(scene):
            analysis = analyzer.update(row.values, frozen=router.path is Path.TRANSIENT)
            tracker.observe(row.time_ns, analysis, self._off_score)
            change = router.update(analysis.score)
            transient[now] = router.path is Path.TRANSIENT
            if change is Change.ONSET:
                alarms.append(now)
                events_ns.append(tracker.begin(row.time_ns, analysis).onset_ns)
            elif change is not Change.NONE:
                if change is Change.ACCEPTED:
                    analyzer.accept()
                tracker.end()
        return Detections(scene.times_s[alarms], np.array(events_ns) * 1e-9, transient)

    def _settled(self, scene: Scene) -> Iterator[tuple[int, Row]]:
        """The rows that the glitch filter lets through, each with the row at which it does."""
        glitches = GlitchFilter(
            self._channels, self.calibration.floors, self.calibration.covariance_rows
        )
        times_ns = _nanoseconds(scene.times_s)
        for now, time_ns in enumerate(times_ns):
            for row in glitches.push(Row(time_ns, time_ns, scene.rows[now])):
                yield now, row


def _nanoseconds(times_s: NDArray[np.float64]) -> list[int]:
    return [int(time_ns) for time_ns in np.round(times_s * 1e9)]
