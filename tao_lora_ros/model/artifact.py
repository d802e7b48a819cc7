"""A trained model as a folder: `model.safetensors` and `model.json`. Never pickle."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path as FilePath
from typing import Any

import jsonschema
from safetensors import SafetensorError
from safetensors.torch import load, save

from tao_lora_ros.model.mixer import Mixer, MixerConfig
from tao_lora_ros.router.analyzer import LAGS, Calibration
from tao_lora_ros.signal.source import unit_of

SCHEMA_VERSION = 2
TENSORS, CARD = "model.safetensors", "model.json"
DEFAULT_ARTIFACT = "arm_base"


_NUMBERS = re.compile(r"\[[\s\d.eE+,-]+\]")


class ArtifactError(ValueError):
    """The folder is not a usable artifact; the text names the file, the field and what is wrong."""


@dataclass(frozen=True)
class Artifact:
    """A model ready to infer, with all that the pipeline has to know about it."""

    model_id: str
    version: str
    model: Mixer
    rate_hz: float
    channels: tuple[str, ...]
    labels: tuple[str, ...]
    calibration: Calibration
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)


def default_artifact() -> FilePath:
    """Folder of the artifact that ships with the package."""
    return FilePath(str(resources.files("tao_lora_ros.model"))) / "artifacts" / DEFAULT_ARTIFACT


def save_artifact(artifact: Artifact, folder: FilePath) -> None:
    """Write an artifact; the card last, so that a folder with a card is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in artifact.model.state_dict().items()}
    tensors = save(state)
    card = {
        "schema_version": SCHEMA_VERSION,
        "model_id": artifact.model_id,
        "version": artifact.version,
        "config": asdict(artifact.model.config),
        "rate_hz": artifact.rate_hz,
        "channels": [{"name": name, "unit": unit_of(name)} for name in artifact.channels],
        "labels": list(artifact.labels),
        "router": asdict(artifact.calibration),
        "tensors_sha256": hashlib.sha256(tensors).hexdigest(),
        "provenance": artifact.provenance,
        "metrics": artifact.metrics,
    }
    (folder / TENSORS).write_bytes(tensors)
    (folder / CARD).write_text(_NUMBERS.sub(_on_one_line, json.dumps(card, indent=1)) + "\n")


def _on_one_line(numbers: re.Match[str]) -> str:
    return f"[{' '.join(numbers.group()[1:-1].split())}]"


def load_artifact(folder: FilePath) -> Artifact:
    """Read and check an artifact.

    Raises:
        ArtifactError: a file is missing, cut short or changed, or a field is not as it should be.
    """
    card = _read_card(folder / CARD)
    try:
        tensors = (folder / TENSORS).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{folder / TENSORS}: {error.strerror}") from None
    digest = hashlib.sha256(tensors).hexdigest()
    if digest != card["tensors_sha256"]:
        raise ArtifactError(
            f"{folder / TENSORS}: SHA-256 is {digest}, {CARD} says {card['tensors_sha256']}"
        )
    router = card["router"] | {
        key: _tuples(card["router"][key])
        for key in ("scales", "thresholds", "memories", "floors", "autocovariance")
    }
    return Artifact(
        model_id=card["model_id"],
        version=card["version"],
        model=_build(folder, card, tensors),
        rate_hz=card["rate_hz"],
        channels=tuple(channel["name"] for channel in card["channels"]),
        labels=tuple(card["labels"]),
        calibration=Calibration(**router),
        provenance=card["provenance"],
        metrics=card["metrics"],
    )


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _read_card(file: FilePath) -> dict[str, Any]:
    try:
        card = json.loads(file.read_text())
    except OSError as error:
        raise ArtifactError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise ArtifactError(f"{file}: not JSON: {error}") from None
    version = card.get("schema_version") if isinstance(card, dict) else None
    if version != SCHEMA_VERSION:
        raise ArtifactError(
            f"{file}: schema_version is {version!r}, expected {SCHEMA_VERSION}; "
            "another release wrote it: train and calibrate anew"
        )
    schema = json.loads(
        (resources.files("tao_lora_ros.model") / "artifact.schema.json").read_text()
    )
    try:
        jsonschema.validate(card, schema)
    except jsonschema.ValidationError as error:
        raise ArtifactError(f"{file}: {error.json_path}: {error.message}") from None
    _check_lengths(file, card)
    return card


def _check_lengths(file: FilePath, card: dict[str, Any]) -> None:
    config, router = card["config"], card["router"]
    for name, length, expected in (
        ("channels", len(card["channels"]), config["channels"]),
        ("labels", len(card["labels"]), config["classes"]),
        ("router.floors", len(router["floors"]), config["channels"]),
        ("router.thresholds", len(router["thresholds"]), len(router["scales"])),
        ("router.autocovariance", len(router["autocovariance"]), LAGS + 1),
        *(
            (f"router.autocovariance[{lag}]{at}", len(row), config["channels"])
            for lag, matrix in enumerate(router["autocovariance"])
            for at, row in [("", matrix), *((f"[{i}]", row) for i, row in enumerate(matrix))]
        ),
    ):
        if length != expected:
            raise ArtifactError(f"{file}: {name} has {length} entries, expected {expected}")
    for i, channel in enumerate(card["channels"]):
        unit, expected_unit = channel["unit"], unit_of(channel["name"])
        if unit != expected_unit:
            raise ArtifactError(
                f"{file}: channels[{i}].unit is {unit!r}, expected {expected_unit!r}"
            )


def _build(folder: FilePath, card: dict[str, Any], tensors: bytes) -> Mixer:
    try:
        config = MixerConfig(**card["config"])
    except ValueError as error:
        raise ArtifactError(f"{folder / CARD}: config: {error}") from None
    model = Mixer(config, quantized=True)
    try:
        model.load_state_dict(load(tensors))
    except (SafetensorError, RuntimeError) as error:
        raise ArtifactError(f"{folder / TENSORS}: {' '.join(str(error).split())}") from None
    return model.prepare()
