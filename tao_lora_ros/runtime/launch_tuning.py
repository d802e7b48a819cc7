"""How many programs share a window on a GPU, and their warps."""

from __future__ import annotations

import json
from importlib import resources
from typing import NamedTuple

_HIDDEN_A_PROGRAM = 64
_WARPS = 8


class Tuning(NamedTuple):
    """Programs that share a window, a power of two, and warps of each."""

    splits: int
    warps: int


def tuning(gpu: str, multiprocessors: int, width: int, hidden: int, windows: int) -> Tuning:
    """What was found fastest on this GPU; on another one what is safe.

    The files in `kernels/tuned` name the GPU, the model's sizes, and up to how many windows a
    row holds. Elsewhere programs share a window as far as there are multiprocessors for all.
    """
    tuned = resources.files("tao_lora_ros.kernels") / "tuned"
    files = (file for file in tuned.iterdir() if file.name.endswith(".json"))
    rows = [row for file in files for row in json.loads(file.read_text())]
    fit = [
        row
        for row in rows
        if (row["gpu"], row["width"], row["hidden"]) == (gpu, width, hidden)
        and windows <= row["windows"]
        and row["splits"] <= multiprocessors
    ]
    if fit:
        row = min(fit, key=lambda row: row["windows"])
        return Tuning(row["splits"], row["warps"])
    splits = 1
    while splits * _HIDDEN_A_PROGRAM < hidden and 2 * splits <= multiprocessors:
        splits *= 2
    while splits > 1 and splits * windows > multiprocessors:
        splits //= 2
    return Tuning(splits, _WARPS)
