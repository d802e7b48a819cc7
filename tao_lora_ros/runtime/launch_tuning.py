"""How a model is launched on a GPU: programs that share a window, or windows that share one."""

from __future__ import annotations

import json
from importlib import resources
from typing import NamedTuple

_HIDDEN_A_PROGRAM = 64
_WARPS = 8


class Tuning(NamedTuple):
    """How windows are shared out.

    Args:
        splits: programs that share a window, a power of two.
        warps: of each program.
        rows: tokens, of several windows, of a program that goes layer by layer (`layered_mixer`);
            0: all of a window in one launch (`fused_mixer`).
    """

    splits: int
    warps: int
    rows: int = 0


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
        return Tuning(row["splits"], row["warps"], row.get("rows", 0))
    splits = 1
    while splits * _HIDDEN_A_PROGRAM < hidden and 2 * splits <= multiprocessors:
        splits *= 2
    while splits > 1 and splits * windows > multiprocessors:
        splits //= 2
    return Tuning(splits, _WARPS)
