"""The event head: what a whole event is called, and whether it is sure enough to say so."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from tao_lora_ros.messages.files import replace_file
from tao_lora_ros.messages.results import Phase
from tao_lora_ros.model.card import CARD, ArtifactError
from tao_lora_ros.model.event_features import FEATURES, VERSION
from tao_lora_ros.model.network import Kind
from tao_lora_ros.model.tensor_file import read_tensors

Array = NDArray[np.float64]

FILE = "event_head.safetensors"
_MOST = 6.0  # standard deviations that a feature counts at most
_DECIMALS = 4  # processors differ in the last bits of a logarithm


@dataclass(frozen=True, eq=False)
class EventHead:
    """Multinomial logistic regression on standardised features, one for each phase of an event.

    Args:
        names: what events are called, N of them; background is none.
        margins: by how much the likeliest name has to be above the next one, of each phase.
        mean, std: of the features, [2, F].
        weights, bias: [2, F, N] and [2, N].
    """

    names: tuple[str, ...]
    margins: tuple[float, float]
    mean: Array
    std: Array
    weights: Array
    bias: Array

    def standardised(self, phase: Phase, features: Array) -> Array:
        """Features [..., F] in standard deviations from their mean; 0 where not known."""
        values = (features - self.mean[phase]) / self.std[phase]
        return np.clip(np.nan_to_num(values), -_MOST, _MOST)

    def probabilities(self, phase: Phase, features: Array) -> Array:
        """Of each name, [..., N], for features [..., F]."""
        inputs = self.standardised(phase, features)
        logits = (inputs[..., None] * self.weights[phase]).sum(axis=-2) + self.bias[phase]
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

    def name(self, phase: Phase, features: Array) -> tuple[str, float]:
        """The likeliest name of one event and its probability; no name below the margin."""
        probabilities = self.probabilities(phase, features).round(_DECIMALS)
        best = int(probabilities.argmax())
        sure = margins_of(probabilities) >= self.margins[phase]
        return self.names[best] if sure else "", float(probabilities[best])


def margins_of(probabilities: Array) -> Array:
    """By how much the likeliest of probabilities [..., N] is above the next one, [...]."""
    ordered = np.sort(probabilities, axis=-1)
    return np.asarray(ordered[..., -1] - ordered[..., -2])


def save_event_head(head: EventHead, folder: Path) -> dict[str, Any]:
    """Write its tensors beside an artifact's card; returns what the card says of it."""
    kinds = _kinds(len(head.names))
    tensors = save({name: np.asarray(getattr(head, name), kinds[name].dtype) for name in kinds})
    replace_file(folder / FILE, tensors)
    digest = hashlib.sha256(tensors).hexdigest()
    return {
        "names": list(head.names),
        "margins": list(head.margins),
        "features": VERSION,
        "sha256": digest,
    }


def load_event_head(folder: Path, card: dict[str, Any]) -> EventHead:
    """Read what `save_event_head` wrote.

    Raises:
        ArtifactError: it is of other features, or its tensors are not as they should be.
    """
    if card["features"] != VERSION:
        raise ArtifactError(
            f"{folder / CARD}: event_head.features is {card['features']}, expected {VERSION}; "
            "another release wrote it: `tao-lora name` makes one anew"
        )
    tensors = read_tensors(folder / FILE, card["sha256"], _kinds(len(card["names"])))
    return EventHead(tuple(card["names"]), tuple(card["margins"]), **tensors)


def _kinds(names: int) -> dict[str, Kind]:
    phases = len(Phase)
    return {
        "mean": Kind("float64", (phases, FEATURES)),
        "std": Kind("float64", (phases, FEATURES)),
        "weights": Kind("float64", (phases, FEATURES, names)),
        "bias": Kind("float64", (phases, names)),
    }
