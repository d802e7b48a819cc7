"""The heads of the mixer, in the one order in which every runtime computes and returns them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Sizes(Protocol):
    """What of a mixer's sizes its heads depend on."""

    @property
    def classes(self) -> int:
        """Labels."""

    @property
    def horizon(self) -> int:
        """Rows of the forecast."""

    @property
    def channels(self) -> int:
        """Of the input."""


@dataclass(frozen=True)
class Head:
    """One linear layer at the end of the mixer.

    Args:
        name: of the layer in the model and in its tensors.
        outputs: how many values it gives in a model of these sizes; with 0 it is left out.
    """

    name: str
    outputs: Callable[[Sizes], int]


CLASSES = Head("class_head", lambda sizes: sizes.classes)
FORECAST = Head("forecast_head", lambda sizes: sizes.horizon * sizes.channels)
HEADS = (CLASSES, FORECAST)
