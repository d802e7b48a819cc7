"""The state of the package's own code, by which a cache knows whether it still holds.

Imports nothing of ours: `tools/setup_environment.py` loads this file alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# What numba compiles, with the constants that it uses.
COMPILED = (
    *("signal", "detection", "contact", "runtime"),
    *("messages/route.py", "messages/stamps.py", "model/spectrum.py"),
    *("preservation/preroll_buffer.py", "bags/mcap.py"),
    *("engine/following.py", "engine/schedule.py", "engine/scores.py"),
)
# What makes rows of bags.
ROWS = ("messages", "signal", "detection", "contact", "engine", "bags")
# What makes events of bags.
REPLAY = (
    *(*ROWS, "model", "preservation", "runtime", "training/calibrate.py"),
    *("fleet/columns.py", "fleet/gpu.py", "fleet/task.py"),
)


def digest(places: tuple[str, ...], package: Path = PACKAGE) -> str:
    """SHA-256 of the sources in some folders and files of the package, names and contents.

    Raises:
        FileNotFoundError: a place is missing or holds no source; it was renamed, and a cache that
            did not notice would keep stale code.
    """
    total = hashlib.sha256()
    for file in _sources(places, package):
        total.update(f"{file.relative_to(package)}\0".encode() + file.read_bytes())
    return total.hexdigest()


def _sources(places: tuple[str, ...], package: Path) -> Iterator[Path]:
    for place in places:
        path = package / place
        files = [path] if path.is_file() else sorted(path.glob("*.py"))
        if not files:
            raise FileNotFoundError(f"{path}: no sources here; is it renamed in {__file__}?")
        yield from files
