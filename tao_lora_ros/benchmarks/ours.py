"""The package's own router, fed as the pipeline feeds it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tao_lora_ros.benchmarks.results import OURS
from tao_lora_ros.benchmarks.scenes import RATE_HZ, Scene
from tao_lora_ros.benchmarks.score import Detections
from tao_lora_ros.engine.pipeline import source_configs
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.router.analyzer import VarianceAnalyzer
from tao_lora_ros.router.calibration import calibrated, maxima_of, uncalibrated
from tao_lora_ros.router.router import Change, Path, Router, RouterConfig
from tao_lora_ros.router.transients import TransientTracker


class TaoLora:
    """Analyzer, router and tracker with the default settings."""

    name = OURS
    needs: tuple[str, ...] = ()

    def __init__(self) -> None:
        settings = Settings()
        channels = [name for config in source_configs(settings) for name in config.channels]
        self.calibration = uncalibrated(channels, RATE_HZ)
        self._off_score = settings.off_score
        self._config = RouterConfig(
            off_score=settings.off_score,
            hold_rows=round(settings.hold_s * RATE_HZ),
            max_transient_rows=round(settings.max_transient_s * RATE_HZ),
        )

    def calibrate(self, steady: Sequence[Scene], alarms_per_hour: float) -> None:
        """Set the thresholds of all scales."""
        maxima = maxima_of([scene.rows for scene in steady], self.calibration, RATE_HZ)
        self.calibration = calibrated(self.calibration, maxima.values, alarms_per_hour)

    def detect(self, scene: Scene) -> Detections:
        """Every onset; the tracker's dated-back onset is the reported time."""
        analyzer, router = VarianceAnalyzer(self.calibration), Router(self._config)
        tracker = TransientTracker(max(self.calibration.scales))
        alarms_s, events_s = [], []
        transient = np.zeros(len(scene.rows), bool)
        times_ns = np.round(scene.times_s * 1e9).astype(np.int64).tolist()
        for i, time_ns in enumerate(times_ns):
            analysis = analyzer.update(scene.rows[i], frozen=router.path is Path.TRANSIENT)
            tracker.observe(time_ns, analysis, self._off_score)
            change = router.update(analysis.score)
            transient[i] = router.path is Path.TRANSIENT
            if change is Change.ONSET:
                alarms_s.append(time_ns * 1e-9)
                events_s.append(tracker.begin(time_ns, analysis).onset_ns * 1e-9)
            elif change is not Change.NONE:
                if change is Change.ACCEPTED:
                    analyzer.accept()
                tracker.end()
        return Detections(np.array(alarms_s), np.array(events_s), transient)
