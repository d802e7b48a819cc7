"""The event head: what a whole event is called, and whether it is sure enough to say so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from tao_lora_ros.messages.files import replace_file
from tao_lora_ros.messages.results import Phase
from tao_lora_ros.model.card import CARD, ArtifactError
from tao_lora_ros.model.event_features import FEATURES, VERSION
from tao_lora_ros.model.likeness import Likeness
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
        margins: by how much each name has to be above the next likely one, [2, N].
        mean, std: of the features, [2, F].
        weights, bias: [2, F, N] and [2, N].
        likeness: what the events of these names were; without it, as in a model that was made
            before there was one, every event is named, however unlike them.
    """

    names: tuple[str, ...]
    margins: Array
    mean: Array
    std: Array
    weights: Array
    bias: Array
    likeness: Likeness | None = None

    def without(self, names: Iterable[str]) -> EventHead:
        """The head without some of its names."""
        kept = [i for i, name in enumerate(self.names) if name not in {*names}]
        likeness = self.likeness
        return replace(
            self,
            names=tuple(self.names[i] for i in kept),
            margins=self.margins[:, kept],
            weights=self.weights[:, :, kept],
            bias=self.bias[:, kept],
            likeness=likeness and replace(likeness, centres=likeness.centres[:, :, kept]),
        )

    def standardised(self, phase: Phase, features: Array) -> Array:
        """Features [..., F] in standard deviations from their mean."""
        return (features - self.mean[phase]) / self.std[phase]

    def probabilities(self, phase: Phase, features: Array) -> Array:
        """Of each name, [..., N], for features [..., F]."""
        inputs = inputs_of(self.standardised(phase, features))
        logits = (inputs[..., None] * self.weights[phase]).sum(axis=-2) + self.bias[phase]
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

    def name(self, phase: Phase, features: Array) -> tuple[str, float]:
        """The likeliest name of one event and its probability.

        There is no name below the margin, nor for an event unlike those that were learned.
        """
        probabilities = self.probabilities(phase, features).round(_DECIMALS)
        best = int(probabilities.argmax())
        sure = bool(self.sure(phase, probabilities))
        if sure and self.likeness:
            sure = self.distances(phase, features[None])[0] <= self.likeness.limits[phase]
        return self.names[best] if sure else "", float(probabilities[best])

    def sure(self, phase: Phase, probabilities: Array) -> NDArray[np.bool_]:
        """Whether the likeliest of probabilities [..., N] exceeds the next by its margin, [...]."""
        needed = self.margins[phase][probabilities.argmax(axis=-1)]
        return np.asarray(margins_of(probabilities) >= needed)

    def distances(self, phase: Phase, features: Array) -> Array:
        """How unlike what was learned events are, by their features [n, F]; 0 where not known."""
        if self.likeness is None:
            return np.zeros(len(features))
        values = self.standardised(phase, features)
        return self.likeness.distances(phase, values).round(_DECIMALS)


def inputs_of(standardised: Array) -> Array:
    """What the regression takes for standardised features: 0 where not known, and bounded."""
    return np.clip(np.nan_to_num(standardised), -_MOST, _MOST)


def margins_of(probabilities: Array) -> Array:
    """By how much the likeliest of probabilities [..., N] is above the next one, [...]."""
    ordered = np.sort(probabilities, axis=-1)
    return np.asarray(ordered[..., -1] - ordered[..., -2])


def save_event_head(head: EventHead, folder: Path) -> dict[str, Any]:
    """Write its tensors beside an artifact's card; returns what the card says of it."""
    kinds = _kinds(len(head.names), head.likeness is not None)
    values = vars(head) | (vars(head.likeness) if head.likeness else {})
    tensors = save({name: np.asarray(values[name], kinds[name].dtype) for name in kinds})
    replace_file(folder / FILE, tensors)
    digest = hashlib.sha256(tensors).hexdigest()
    return {
        "names": list(head.names),
        "margins": head.margins.tolist(),
        **({"limits": list(head.likeness.limits)} if head.likeness else {}),
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
    knows = "limits" in card
    tensors = read_tensors(folder / FILE, card["sha256"], _kinds(len(card["names"]), knows))
    likeness = None
    if knows:
        covariance = tensors.pop("covariance").astype(np.float64)
        likeness = Likeness(tuple(card["limits"]), tensors.pop("centres"), covariance)
        _check(folder / FILE, likeness)
    margins = np.array([_of_each_name(folder, card["names"], row) for row in card["margins"]])
    return EventHead(tuple(card["names"]), margins, **tensors, likeness=likeness)


def _of_each_name(folder: Path, names: list[str], margins: list[float]) -> list[float]:
    if len(margins) != len(names):
        raise ArtifactError(
            f"{folder / CARD}: event_head.margins has {len(margins)} of {len(names)} names"
        )
    return margins


def _check(file: Path, likeness: Likeness) -> None:
    """Refuse what is no covariance of the features that were seen."""
    for phase in Phase:
        matrix, seen = likeness.covariance[phase], likeness.seen(phase)
        try:
            np.linalg.cholesky(matrix[np.ix_(seen, seen)])
            good = bool((matrix == matrix.T).all())
        except np.linalg.LinAlgError:
            good = False
        if not good:
            raise ArtifactError(f"{file}: covariance is not symmetric and positive definite")


def _kinds(names: int, likeness: bool) -> dict[str, Kind]:
    phases = len(Phase)
    kinds = {
        "mean": Kind("float64", (phases, FEATURES)),
        "std": Kind("float64", (phases, FEATURES)),
        "weights": Kind("float64", (phases, FEATURES, names)),
        "bias": Kind("float64", (phases, names)),
    }
    if likeness:
        kinds["centres"] = Kind("float64", (phases, FEATURES, names))
        kinds["covariance"] = Kind("float32", (phases, FEATURES, FEATURES))
    return kinds
