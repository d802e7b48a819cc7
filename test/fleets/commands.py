"""Other commands over many bags: what they write with workers is what they write alone."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_SHORT = ["--steps", "20", "--settle-steps", "5", "--adapt-steps", "5", "--folds", "0"]


def written(tao_lora: Sequence[str], bags: list[str], folder: Path, *where: str) -> dict[str, str]:
    """What import, calibrate, train and evaluate write below a folder, as SHA-256 by file.

    Args:
        tao_lora: begins each command.
        bags: of an arm, with labels beside them.
        folder: to write into, not there yet.
        where: options of each command that say where bags are read.
    """
    folder.mkdir()
    for number in range(4):
        rows = np.random.default_rng(number).normal([0, 0, 9.81, 0, 0, 0], 0.02, (2000, 6))
        table = np.column_stack([np.arange(2000) * 0.01, rows])
        name = folder / f"run_{number}.csv"
        np.savetxt(name, table, delimiter=",", header="time,ax,ay,az,wx,wy,wz", comments="")
    model, cache = str(folder / "model"), ["--cache", str(folder / "rows")]
    tables = [str(file) for file in sorted(folder.glob("*.csv"))]
    steady = [str(folder / "bags" / f"run_{number}") for number in range(4)]
    for command in (
        ["import", *tables, "--out", str(folder / "bags")],
        ["calibrate", *steady, "--out", str(folder / "calibrated")],
        ["train", *bags, "--out", model, *_SHORT, *cache],
        ["evaluate", model, *bags, "--json", str(folder / "scores.json"), *cache],
    ):
        line = [*tao_lora, *command, *where]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(line)}: {done.stderr}")
    # What is written names the folder that it is in.
    kinds = ("*.mcap", "*.safetensors", "*.rows", "scores.json", "calibrated/model.json")
    files = sorted(file for kind in kinds for file in folder.rglob(kind))
    return {
        str(file.relative_to(folder)): hashlib.sha256(
            file.read_bytes().replace(str(folder).encode(), b"FOLDER")
        ).hexdigest()
        for file in files
    }
