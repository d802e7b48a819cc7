"""A trained model as a folder: `model.safetensors` and `model.json`. Never pickle."""

from __future__ import annotations

import hashlib
import json
import re
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
from safetensors import SafetensorError
from safetensors.torch import load, save

from tao_lora_ros.detection.analyzer import Calibration
from tao_lora_ros.detection.calibration import uncalibrated
from tao_lora_ros.detection.innovation import LAGS
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.model.adapter import Adapter, set_adapter
from tao_lora_ros.model.mixer import Mixer, MixerConfig
from tao_lora_ros.signal.source import unit_of

SCHEMA_VERSION = 2
TENSORS, CARD = "model.safetensors", "model.json"
DEFAULT_ARTIFACT = "arm_base"


_NUMBERS = re.compile(r"\[[\s\d.eE+,-]+\]")


class ArtifactError(TaoLoraError):
    """The folder is not a usable artifact; the text names the file, the field and what is wrong."""


@dataclass(frozen=True)
class Artifact:
    """A model ready to infer, with all that the pipeline has to know about it.

    Without a `model` it is for detection only: the router is calibrated, and there are no labels.
    `adapters` are named branches for the same base, such as one a tool or a terrain, that
    `set_adapter` puts into the place of the model's own.
    """

    model_id: str
    version: str
    model: Mixer | None
    rate_hz: float
    channels: tuple[str, ...]
    labels: tuple[str, ...]
    calibration: Calibration
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    adapters: dict[str, Adapter] = field(default_factory=dict)

    @property
    def window(self) -> int:
        """Rows of a window."""
        return self.model.config.window if self.model else MixerConfig.window

    @property
    def network(self) -> Mixer:
        """The model, for what cannot do without one.

        Raises:
            ArtifactError: there is none.
        """
        if self.model is None:
            raise ArtifactError(
                f"model {self.model_id} is for detection only, it has no network: "
                "`tao-lora train` makes one"
            )
        return self.model


def default_artifact() -> Path:
    """Folder of the artifact that ships with the package."""
    return Path(str(resources.files("tao_lora_ros.model"))) / "artifacts" / DEFAULT_ARTIFACT


def save_artifact(artifact: Artifact, folder: Path) -> None:
    """Write an artifact; the card last, so that a folder with a card is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    card: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "model_id": artifact.model_id,
        "version": artifact.version,
        "rate_hz": artifact.rate_hz,
        "channels": [{"name": name, "unit": unit_of(name)} for name in artifact.channels],
        "labels": list(artifact.labels),
        "router": asdict(artifact.calibration),
        "provenance": artifact.provenance,
        "metrics": artifact.metrics,
    }
    if artifact.model:
        state = {name: tensor.contiguous() for name, tensor in artifact.model.state_dict().items()}
        tensors = save(state)
        (folder / TENSORS).write_bytes(tensors)
        card["config"] = asdict(artifact.model.config)
        card["tensors_sha256"] = hashlib.sha256(tensors).hexdigest()
    if artifact.adapters:
        card["adapters"] = {
            name: _save_adapter(adapter, folder / adapter_file(name))
            for name, adapter in artifact.adapters.items()
        }
    (folder / CARD).write_text(_NUMBERS.sub(_on_one_line, json.dumps(card, indent=1)) + "\n")


def _on_one_line(numbers: re.Match[str]) -> str:
    return f"[{' '.join(numbers.group()[1:-1].split())}]"


def load_artifact(folder: Path, adapter: str = "") -> Artifact:
    """Read and check an artifact.

    Args:
        folder: the artifact.
        adapter: named adapter to put into the model; empty: the model's own.

    Raises:
        ArtifactError: a file is missing, cut short or changed, a field is not as it should be, or
            there is no such adapter.
    """
    card = _read_card(folder / CARD)
    model = None
    if "config" in card:
        model = _build(folder, card, _read_checked(folder / TENSORS, card["tensors_sha256"]))
    adapters = {
        name: _load_adapter(folder / adapter_file(name), digest)
        for name, digest in card.get("adapters", {}).items()
    }
    if adapter and adapter not in adapters:
        there = ", ".join(adapters) or "none"
        raise ArtifactError(f"{folder}: no adapter '{adapter}'; there are: {there}")
    for name, branches in adapters.items():
        assert model is not None, "the schema lets adapters stand beside a network alone"
        try:
            set_adapter(model if name == adapter else deepcopy(model), branches)
        except ValueError as error:
            raise ArtifactError(f"{folder / adapter_file(name)}: {error}") from None
    return Artifact(
        model_id=card["model_id"],
        version=card["version"],
        model=model,
        rate_hz=card["rate_hz"],
        channels=tuple(channel["name"] for channel in card["channels"]),
        labels=tuple(card["labels"]),
        calibration=_calibration(card),
        provenance=card["provenance"],
        metrics=card["metrics"],
        adapters=adapters,
    )


def _calibration(card: dict[str, Any]) -> Calibration:
    """The card's; of one that was written before there were levels, they are off."""
    start = uncalibrated((channel["name"] for channel in card["channels"]), card["rate_hz"])
    levels = {"level_channels": start.level_channels, "level_rows": start.level_rows}
    return Calibration(**levels | {key: _tuples(value) for key, value in card["router"].items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def adapter_file(name: str) -> str:
    """File of a named adapter in an artifact's folder."""
    return f"adapter.{name}.safetensors"


def _save_adapter(adapter: Adapter, file: Path) -> str:
    """Write an adapter; returns its SHA-256."""
    tensors = save(
        {
            f"{layer}.{what}": tensor.contiguous()
            for layer, factors in adapter.items()
            for what, tensor in zip(("down", "up"), factors, strict=True)
        }
    )
    file.write_bytes(tensors)
    return hashlib.sha256(tensors).hexdigest()


def _load_adapter(file: Path, digest: str) -> Adapter:
    try:
        tensors = load(_read_checked(file, digest))
        layers = dict.fromkeys(name.rpartition(".")[0] for name in tensors)
        return {layer: (tensors[f"{layer}.down"], tensors[f"{layer}.up"]) for layer in layers}
    except SafetensorError as error:
        raise ArtifactError(f"{file}: {' '.join(str(error).split())}") from None
    except KeyError as error:
        raise ArtifactError(f"{file}: {error} is missing") from None


def _read_checked(file: Path, digest: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{file}: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ArtifactError(f"{file}: SHA-256 is {found}, {CARD} says {digest}")
    return content


def _read_card(file: Path) -> dict[str, Any]:
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
    try:
        json.dumps(card, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:  # JSON can spell what is no character: "\ud800"
        raise ArtifactError(f"{file}: a text in it is not Unicode: {error}") from None
    _check_lengths(file, card)
    return card


def _check_lengths(file: Path, card: dict[str, Any]) -> None:
    router, channels = card["router"], len(card["channels"])
    config = card.get("config", {"channels": channels, "classes": 0})
    for name, length, expected in (
        ("channels", channels, config["channels"]),
        ("labels", len(card["labels"]), config["classes"]),
        ("router.floors", len(router["floors"]), channels),
        ("router.thresholds", len(router["thresholds"]), len(router["scales"])),
        ("router.autocovariance", len(router["autocovariance"]), LAGS + 1),
        *(
            (f"router.autocovariance[{lag}]{at}", len(row), channels)
            for lag, matrix in enumerate(router["autocovariance"])
            for at, row in [("", matrix), *((f"[{i}]", row) for i, row in enumerate(matrix))]
        ),
    ):
        if length != expected:
            raise ArtifactError(f"{file}: {name} has {length} entries, expected {expected}")
    levels = router.get("level_channels", [])
    if router.get("level_thresholds") and len(router["level_thresholds"]) != len(levels):
        raise ArtifactError(
            f"{file}: router.level_thresholds has {len(router['level_thresholds'])} entries, "
            f"expected {len(levels)}"
        )
    numbers = [number for level in levels for number in level]
    if len(set(numbers)) < len(numbers) or max(numbers, default=0) >= config["channels"]:
        raise ArtifactError(f"{file}: router.level_channels is {levels}, expected each once")
    for name in ("scales", "memories"):
        if router[name] != sorted(set(router[name])):
            raise ArtifactError(f"{file}: router.{name} is {router[name]}, expected ascending")
    for i, channel in enumerate(card["channels"]):
        unit, expected_unit = channel["unit"], unit_of(channel["name"])
        if unit != expected_unit:
            raise ArtifactError(
                f"{file}: channels[{i}].unit is {unit!r}, expected {expected_unit!r}"
            )


def _build(folder: Path, card: dict[str, Any], tensors: bytes) -> Mixer:
    try:
        model = Mixer(MixerConfig(**card["config"]), quantized=True)
    except (ValueError, RuntimeError) as error:  # RuntimeError: torch finds no memory for it
        raise ArtifactError(f"{folder / CARD}: config: {' '.join(str(error).split())}") from None
    try:
        model.load_state_dict(load(tensors))
    except (SafetensorError, RuntimeError) as error:
        raise ArtifactError(f"{folder / TENSORS}: {' '.join(str(error).split())}") from None
    return model.prepare()
