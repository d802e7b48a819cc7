"""Windows of other sizes: what else of a model follows from them, and which suits recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log

import numpy as np

from tao_lora_ros.bags.rows import Run
from tao_lora_ros.model.mixer_config import MixerConfig

LEAST, MOST, STEP = 8, 1024, 4
_TOKENS = 16  # at least, as the kernels want it: patches grow with the window
_SEGMENT = 32  # rows: long enough for frequencies, short enough for a mean over several
_LEAST_SEGMENT = 16  # rows: a coarser spectrum tells robots apart (NOTES-accuracy.md)
_STANDARD = MixerConfig.window


def with_window(sizes: MixerConfig, window: int, horizon: int) -> MixerConfig:
    """The sizes for windows of so many rows, a multiple of `STEP`, and such a forecast.

    A patch is the largest power of two that leaves `_TOKENS` of them. A segment of the spectrum is
    the even divisor nearest to `_SEGMENT` of which a window has two at least; below 32 rows there
    is none, and rows are taken as they lie: so few say more by where they are than by how they move
    about their mean, and on another robot too (NOTES-accuracy.md).
    """
    patch = 1
    while window % (2 * patch) == 0 and window // (2 * patch) >= _TOKENS:
        patch *= 2
    even = [n for n in range(_LEAST_SEGMENT, window // 2 + 1, 2) if window % n == 0]
    segment = min(even, key=lambda n: abs(log(n / _SEGMENT)), default=0)
    return replace(
        sizes,
        window=window,
        horizon=horizon,
        patch=patch,
        segment=segment,
        absolute=not segment,
    )


def nearest(window: int) -> tuple[int, ...]:
    """The windows next to one that does not fit; one of these alone at the ends."""
    below = min(max(window // STEP * STEP, LEAST), MOST)
    return tuple(dict.fromkeys((below, min(max(below + STEP * (window > below), LEAST), MOST))))


def fitting(runs: Sequence[Run], horizon: int) -> tuple[int, int]:
    """The largest window up to the standard one, and forecast, that suit recordings of every label.

    Two windows and a forecast of an eighth at most fit into the usual (median) recording of each
    label, so that it has several that differ.
    """
    lengths: dict[str, list[int]] = {}
    for run in runs:
        for label in {span.label for span in run.spans} or {""}:
            lengths.setdefault(label, []).append(len(run.values))
    rows = min((int(np.median(of)) for of in lengths.values()), default=0)
    horizon = min(horizon, max(rows // 8, 1))
    window = (rows - horizon) // 2 // STEP * STEP
    return min(max(window, LEAST), _STANDARD), horizon
