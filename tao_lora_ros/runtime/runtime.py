"""What runs the model: one interface for the CPU, a GPU, and whatever else may come."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.route import Route

Array = NDArray[np.float32]


class Output(NamedTuple):
    """What the model says of a window.

    Args:
        logits: of the classes, float32 [L]; empty without a class head.
        forecast: of the next rows, in squashed standard units about the level, [horizon, C].
        level: that the forecast is about, SI units, [C].
    """

    logits: Array
    forecast: Array
    level: Array


def check_window(shape: tuple[int, ...], dtype: np.dtype, expected: tuple[int, int]) -> None:
    """Raise a ValueError that names what is wrong with a window's shape [T, C] or type."""
    if shape != expected or dtype != np.float32:
        raise ValueError(f"window of shape {shape}, {dtype}; expected {expected}, float32")


class Runtime(Protocol):
    """Runs a quantised model. Made of it alone: `SomeRuntime(model)`, warm once it is made.

    Its numbers are those of `Mixer.forward` up to rounding.
    """

    @property
    def name(self) -> str:
        """Short, for reports: `cpu`, `cuda`."""

    def infer(self, window: Array, path: Route) -> Output:
        """Infer on one window, raw SI values, float32 [T, C], NaN where there is none."""

    def infer_batch(self, windows: Array, paths: NDArray[np.int32]) -> Output:
        """Infer on windows [B, T, C], each on its own path, int32 [B].

        Each part of the output has the windows first, such as logits [B, L].
        """


class RuntimeOfPipeline(Runtime, Protocol):
    """A runtime that was chosen among others."""

    @property
    def reason(self) -> str:
        """Why it is that one."""
