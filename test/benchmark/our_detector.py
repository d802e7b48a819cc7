"""The package's own router, fed as the pipeline feeds it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.scenes import RATE_HZ, Scene
from benchmark.score import Detections
from tao_lora_ros.benchmarks.results import OURS
from tao_lora_ros.detection.calibration import calibrated, uncalibrated
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.detection.glitch_filter import GlitchFilter
from tao_lora_ros.detection.router import Change, RouterConfig
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.signal.align import TIME, Rows


class TaoLora:
    """Glitch filter and detector with the default settings."""

    name = OURS
    needs = ()

    def __init__(self) -> None:
        settings = Settings()
        configs = source_configs(settings)
        self._channels = tuple(name for config in configs for name in config.channels)
        self.calibration = uncalibrated(self._channels, RATE_HZ)
        self._config = RouterConfig(
            off_score=settings.off_score,
            hold_rows=round(settings.hold_s * RATE_HZ),
            max_transient_rows=round(settings.max_transient_s * RATE_HZ),
        )

    def calibrate(self, steady: Sequence[Scene], alarms_per_hour: float) -> None:
        """Set covariance and thresholds."""
        rows = [self._glitch_filter().run(scene.rows, scene.fresh)[0] for scene in steady]
        self.calibration, _ = calibrated(self.calibration, rows, RATE_HZ, alarms_per_hour)

    def detect(self, scene: Scene) -> Detections:
        """Every onset; the dated-back onset is the reported time."""
        rows, settled_at = self._glitch_filter().run(scene.rows, scene.fresh)
        times_ns = np.round(scene.times_s * 1e9).astype(np.int64)
        alarms, events_ns = [], []
        transient = np.zeros(len(scene.rows), bool)
        done = 0
        for steps, change, described in self._detector().run(times_ns, rows):
            transient[settled_at[done : done + len(steps)]] = steps["transient"]
            done += len(steps)
            if change is Change.ONSET and described:
                alarms.append(settled_at[done - 1])
                events_ns.append(described.onset_ns)
        return Detections(scene.times_s[alarms], np.array(events_ns) * 1e-9, transient)

    def detect_row_by_row(self, scene: Scene) -> int:
        """Onsets, found as a live pipeline finds them: every row alone, when it comes."""
        glitches, detector = self._glitch_filter(), self._detector()
        times = np.zeros((len(scene.rows), 4), np.int64)
        times[:, TIME] = np.round(scene.times_s * 1e9)
        rows = Rows(times, scene.rows, scene.fresh)
        return sum(
            detector.push(settled.time_ns, settled.values).change is Change.ONSET
            for i in range(len(rows))
            for settled in glitches.push(rows.part(i, i + 1))
        )

    def _glitch_filter(self) -> GlitchFilter:
        return GlitchFilter(self._channels, RATE_HZ)

    def _detector(self) -> Detector:
        return Detector(self.calibration, self._config)
