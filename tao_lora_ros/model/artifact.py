"""A trained model as a folder: `model.safetensors` and `model.json`. Never pickle."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from tao_lora_ros.contact.contact_model import ContactModel
from tao_lora_ros.detection.analyzer_state import Calibration
from tao_lora_ros.detection.calibration import uncalibrated
from tao_lora_ros.messages.files import replace_file
from tao_lora_ros.messages.texts import shown
from tao_lora_ros.model.adapter import Adapter, with_adapter
from tao_lora_ros.model.card import CARD, SCHEMA_VERSION, ArtifactError, read_card, without_nan
from tao_lora_ros.model.event_head import EventHead, load_event_head, save_event_head
from tao_lora_ros.model.label_filter import LabelFilter
from tao_lora_ros.model.mixer_config import MixerConfig
from tao_lora_ros.model.network import Kind, Network, kinds_of
from tao_lora_ros.model.robot_scale import Known
from tao_lora_ros.model.tensor_file import check_values, load_tensors, read_tensors
from tao_lora_ros.signal.source import unit_of

TENSORS = "model.safetensors"
DEFAULT_ARTIFACT = "arm_base"


_NUMBERS = re.compile(r"\[[\s\d.eE+,-]+\]")


@dataclass(frozen=True)
class Artifact:
    """A model ready to infer, with all that the pipeline has to know about it.

    Without a `model` it is for detection only: the router is calibrated, and there are no labels.
    Without `contacts`, as before they were calibrated, no lasting contact is found. Without an
    `event_head` an event is called what the model says of its windows, but for the background.
    Without a `label_filter`, which is chosen by runs held out, there is no state over time.
    `scales` are those of the robot that it is fitted to, by quantity, in SI units, and `known` is
    what windows it was trained on; a model that was made before there were these has neither.
    A router that is not calibrated (`Calibration.has_thresholds`) finds no event; the rest runs.
    `adapters` are named branches for the same base, such as one a tool or a terrain, that
    `with_adapter` puts into the place of the model's own.
    """

    model_id: str
    version: str
    model: Network | None
    rate_hz: float
    channels: tuple[str, ...]
    labels: tuple[str, ...]
    calibration: Calibration
    contacts: tuple[ContactModel, ...] = ()
    event_head: EventHead | None = None
    label_filter: LabelFilter | None = None
    scales: dict[str, float] = field(default_factory=dict)
    known: Known | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    adapters: dict[str, Adapter] = field(default_factory=dict)

    @property
    def window(self) -> int:
        """Rows of a window."""
        return self.model.config.window if self.model else MixerConfig.window

    @property
    def network(self) -> Network:
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


def training_folder(out: Path) -> Path:
    """Where an artifact's folder keeps what training left."""
    return out / "training"


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
        "router": without_nan(asdict(artifact.calibration)),
        "contacts": [_contact_row(model) for model in artifact.contacts],
        "provenance": without_nan(artifact.provenance),
        "metrics": without_nan(artifact.metrics),
    }
    if artifact.model:
        tensors = save(artifact.model.tensors)
        replace_file(folder / TENSORS, tensors)
        card["config"] = asdict(artifact.model.config)
        card["tensors_sha256"] = hashlib.sha256(tensors).hexdigest()
    if artifact.scales:
        card["scales"] = artifact.scales
    if artifact.known:
        card["known"] = asdict(artifact.known)
    if artifact.event_head:
        card["event_head"] = save_event_head(artifact.event_head, folder)
    if artifact.label_filter:
        card["label_filter"] = asdict(artifact.label_filter)
    if artifact.adapters:
        card["adapters"] = {
            name: _save_adapter(adapter, folder / adapter_file(name))
            for name, adapter in artifact.adapters.items()
        }
    text = json.dumps(card, indent=1, allow_nan=False)
    replace_file(folder / CARD, f"{_NUMBERS.sub(_on_one_line, text)}\n".encode())


def _on_one_line(numbers: re.Match[str]) -> str:
    return f"[{' '.join(numbers.group()[1:-1].split())}]"


@contextmanager
def _panics_as_errors() -> Iterator[None]:
    """Raise a panic of Rust's code (safetensors, rpds), which is no `Exception`, as an error.

    Without memory they panic; no callback that goes on after any `Exception` would go on.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of a module that cannot be imported
            raise
        raise RuntimeError(f"out of memory, or a fault of a library: {error}") from error


@_panics_as_errors()
def load_artifact(folder: Path, adapter: str = "") -> Artifact:
    """Read and check an artifact.

    Args:
        folder: the artifact.
        adapter: named adapter to put into the model; empty: the model's own.

    Raises:
        ArtifactError: a file is missing, cut short or changed, a field is not as it should be, or
            there is no such adapter.
    """
    card = read_card(folder / CARD)
    model: Network | None = None
    expected: dict[str, Kind] = {}
    if "config" in card:
        config, expected = _sizes(folder / CARD, card)
        tensors = read_tensors(folder / TENSORS, card["tensors_sha256"], expected)
        model = Network(config, tensors)
    adapters = {
        name: _load_adapter(folder / adapter_file(name), digest, expected)
        for name, digest in card.get("adapters", {}).items()
    }
    if adapter and adapter not in adapters:
        there = ", ".join(adapters) or "none"
        raise ArtifactError(f"{folder}: no adapter '{adapter}'; there are: {there}")
    base = model
    for name, branches in adapters.items():
        assert base is not None, "the schema lets adapters stand beside a network alone"
        try:
            adapted = with_adapter(base, branches)
            model = adapted if name == adapter else model
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
        contacts=tuple(
            ContactModel(**{key: _tuples(value) for key, value in row.items()})
            for row in card.get("contacts", [])
        ),
        event_head=load_event_head(folder, card["event_head"]) if "event_head" in card else None,
        label_filter=LabelFilter(**card["label_filter"]) if "label_filter" in card else None,
        scales=card.get("scales", {}),
        known=Known(**{key: _tuples(value) for key, value in card["known"].items()})
        if "known" in card
        else None,
        provenance=card["provenance"],
        metrics=card["metrics"],
        adapters=adapters,
    )


def _calibration(card: dict[str, Any]) -> Calibration:
    """The card's; of one that was written before there were levels and loads, they are off."""
    start = uncalibrated((channel["name"] for channel in card["channels"]), card["rate_hz"])
    later = ("level_channels", "level_rows", "load_channels", "air_rows")
    off = {name: getattr(start, name) for name in later}
    given = {key: _tuples(value) for key, value in card["router"].items()}
    if given["alarms_per_hour"] is None:
        given |= {"alarms_per_hour": start.alarms_per_hour, "thresholds": start.thresholds}
    return Calibration(**off | given)


def _contact_row(model: ContactModel) -> dict[str, Any]:
    """All but which run it is used in."""
    return {key: value for key, value in asdict(model).items() if key != "same_run"}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def adapter_file(name: str) -> str:
    """File of a named adapter in an artifact's folder."""
    return f"adapter.{name}.safetensors"


def _save_adapter(adapter: Adapter, file: Path) -> str:
    """Write an adapter; returns its SHA-256."""
    tensors = save(
        {
            f"{layer}.{what}": np.ascontiguousarray(tensor)
            for layer, factors in adapter.items()
            for what, tensor in zip(("down", "up"), factors, strict=True)
        }
    )
    replace_file(file, tensors)
    return hashlib.sha256(tensors).hexdigest()


def _load_adapter(file: Path, digest: str, expected: Mapping[str, Kind]) -> Adapter:
    tensors = load_tensors(file, digest, expected)
    for name, tensor in tensors.items():
        if tensor.dtype != np.float16:
            raise ArtifactError(f"{file}: {shown(name)} is {tensor.dtype}, expected float16")
        check_values(file, shown(name), tensor)
    layers = dict.fromkeys(name.rpartition(".")[0] for name in tensors)
    try:
        return {layer: (tensors[f"{layer}.down"], tensors[f"{layer}.up"]) for layer in layers}
    except KeyError as error:
        raise ArtifactError(f"{file}: {shown(error)} is missing") from None


def _sizes(file: Path, card: dict[str, Any]) -> tuple[MixerConfig, dict[str, Kind]]:
    """The sizes of the model, and the tensors that one of them has; nothing is allocated yet."""
    try:
        config = MixerConfig(**card["config"])
        return config, kinds_of(config)
    except ValueError as error:
        raise ArtifactError(f"{file}: config: {' '.join(str(error).split())}") from None
