"""An artifact in some lines: what a robot's engineer asks of a model first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tao_lora_ros.contact.contact_model import ContactModel, how_expected
from tao_lora_ros.detection.findings import UNCALIBRATED
from tao_lora_ros.detection.tail import NEVER
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.model.artifact import Artifact
from tao_lora_ros.model.describe import network_bytes
from tao_lora_ros.signal.channels import split_name


def summary(artifact: Artifact) -> list[str]:
    """Sensors, names, thresholds, contacts, network and where it comes from, a line each."""
    return [shown(line, MOST_LINE) for line in _lines(artifact)]


def _lines(artifact: Artifact) -> Iterator[str]:
    yield f"{artifact.model_id}, version {artifact.version}"
    yield from _sensors(artifact)
    if artifact.model:
        labels = ", ".join(artifact.labels) or "none, it forecasts alone"
        yield f"  labels of motion: {labels}; windows of {artifact.window / artifact.rate_hz:.3g} s"
    else:
        yield "  detection only: no network, no labels of motion; `tao-lora train` makes them"
    if head := artifact.event_head:
        others = (
            "unknown" if head.likeness else "named all the same (`tao-lora name` learns to tell)"
        )
        yield f"  names of events: {', '.join(head.names)}; what is unlike these is {others}"
    yield f"  thresholds: {_thresholds(artifact)}"
    yield from _contacts(artifact)
    if artifact.model:
        weights, steady, more = network_bytes(artifact.model)
        yield (
            f"  network: {weights:,} weights in {steady / 1024:.0f} KiB, and {more / 1024:.0f} KiB "
            "of a correction while something happens"
        )
    if artifact.adapters:
        yield f"  adapters beside its own: {', '.join(artifact.adapters)}"
    if made := _made(artifact):
        yield f"  made by: {made}"


def _sensors(artifact: Artifact) -> Iterator[str]:
    """A line a source."""
    axes: dict[str, list[str]] = {}
    for name in artifact.channels:
        source, quantity, axis = split_name(name)
        axes.setdefault(source, []).append(f"{quantity}_{axis}")
    for source, names in axes.items():
        yield f"  reads {source} at {artifact.rate_hz:g} rows a second: {', '.join(names)}"


def _thresholds(artifact: Artifact) -> str:
    calibration = artifact.calibration
    if not calibration.has_thresholds:
        return UNCALIBRATED
    of = f"{calibration.peaks_s:.0f} s of " if calibration.peaks_s else ""
    return f"for {calibration.alarms_per_hour:g} false alarms an hour, from {of}steady motion"


def _contacts(artifact: Artifact) -> Iterator[str]:
    """A line for each wrench: what hangs on it, and from when on something touches."""
    for model in artifact.contacts:
        wrench = artifact.channels[model.wrench[0]].rpartition(".")[0]
        weight = f", {model.hanging:.3g} N hang on it" if model.hanging else ""
        yield f"  {wrench}: {how_expected(model, artifact.channels)}{weight}; {_from(model)}"
    if not artifact.contacts and any("force" in name for name in artifact.channels):
        yield f"  contacts: {how_expected(None, artifact.channels)}"


def _from(model: ContactModel) -> str:
    of = zip(model.thresholds, ("N", "Nm"), strict=True)
    found = " and ".join(f"{least:.2g} {unit}" for least, unit in of if least < NEVER)
    return f"lasting contacts from {found} on" if found else "no lasting contacts"


def _made(artifact: Artifact) -> str:
    provenance = artifact.provenance
    steps: list[str] = []
    for key, what in (("training_runs", "training on {} runs"), ("steady_runs", "{} steady ones")):
        runs = provenance.get(key)
        if isinstance(runs, Sequence) and runs:
            steps.append(what.format(len(runs)))
    later = provenance.get("later_steps")
    if isinstance(later, Sequence):
        steps += [f"tao-lora {name}" for step in later for name in step]
    calibrated = provenance.get("calibration_runs")
    if isinstance(calibrated, Sequence) and calibrated:
        runs = ", ".join(map(str, calibrated[:3])) + ", ..." * (len(calibrated) > 3)
        steps.append(f"tao-lora calibrate on {runs}")
    return ", ".join(steps)
