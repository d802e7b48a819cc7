"""The route of a window through the model."""

from __future__ import annotations

from enum import IntEnum


class Route(IntEnum):
    """Which path of the model a window takes; the values of Inference.msg."""

    STEADY = 0
    TRANSIENT = 1
