"""Set a trained artifact's router to a user's own steady recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.bags.rows import read_run
from tao_lora_ros.detection.calibration import calibrated
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import check_channels
from tao_lora_ros.model.artifact import Artifact


def recalibrate(
    artifact: Artifact,
    bags: Sequence[Path],
    settings: Settings,
    topics: Mapping[str, str],
    alarms_per_hour: float,
) -> tuple[Artifact, NDArray[np.float64]]:
    """The artifact calibrated on steady bags, and the block maxima of its thresholds.

    Raises:
        BagError: a bag cannot be used.
        SettingsError: the bags' sources are not the model's.
        CalibrationError: the bags are too short.
    """
    check_channels(settings, artifact)
    runs = [
        np.asarray(read_run(bag, settings, artifact.rate_hz, topics).values, np.float64)
        for bag in bags
    ]
    calibration, maxima = calibrated(artifact.calibration, runs, artifact.rate_hz, alarms_per_hour)
    provenance = artifact.provenance | {"calibration_runs": [bag.name for bag in bags]}
    return replace(artifact, calibration=calibration, provenance=provenance), maxima
