"""Where the results of a run come from: recording, model, settings, version."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from tao_lora_ros.bags.reader import WHOLE
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.hardware.device import version_of
from tao_lora_ros.messages.stamps import SECOND_NS, moment_of
from tao_lora_ros.model.artifact import TENSORS, Artifact, default_artifact
from tao_lora_ros.model.describe import lines_of


def of_recording(
    path: Path, start_ns: int, topics: Mapping[str, str], part_s: tuple[float, float] = WHOLE
) -> dict[str, str]:
    """The recording: its path, first stamp, topics by source, and the part that was run."""
    moment, rest = moment_of(start_ns), start_ns % SECOND_NS
    said = {
        "recording": f"{path}",
        "first stamp": f"{moment:%Y-%m-%d %H:%M:%S}.{rest:09d} UTC ({start_ns} ns)",
        "topics": ", ".join(f"{name}: {topic}" for name, topic in topics.items()),
    }
    if part_s != WHOLE:
        said["part"] = f"from {part_s[0]:g} to {part_s[1]:g} s"
    return said


def of_model(settings: Settings, artifact: Artifact) -> dict[str, str]:
    """The model and its calibration, as they were when the run began."""
    said = {"model": f"{artifact.model_id} {artifact.version}"}
    if artifact.model is None:
        said["model"] += ", for detection only"
    else:
        folder = Path(settings.model) if settings.model else default_artifact()
        said["model"] += f", {folder}"
        if (file := folder / TENSORS).is_file():
            said["weights"] = f"SHA-256 {hashlib.sha256(file.read_bytes()).hexdigest()}"
    thresholds = ", ".join(f"{value:.4g}" for value in artifact.calibration.all_thresholds)
    said["thresholds"] = thresholds
    if artifact.provenance:
        said["trained with"] = lines_of(artifact.provenance)
    return said


def of_settings(settings: Settings) -> dict[str, str]:
    """The parameters that differ from their defaults."""
    usual = asdict(Settings())
    changed = {name: of for name, of in asdict(settings).items() if of != usual[name]}
    return {"settings": lines_of(changed) or "as they come"}


def of_software() -> dict[str, str]:
    """This package's version, when and where it ran."""
    ours = version_of("tao_lora_ros") or "of unknown version"
    made = datetime.now(timezone.utc)
    return {
        "made by": f"tao_lora_ros {ours}, Python {platform.python_version()}, {platform.machine()}",
        "made on": f"{made:%Y-%m-%d %H:%M:%S} UTC",
    }
