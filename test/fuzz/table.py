"""What `tao-lora import` reads: CSV files, and the arrays of NPZ files."""

from __future__ import annotations

import io

import numpy as np
from fuzz.harness import as_file, in_corpus, refused

from tao_lora_ros.bags.import_layout import Layout
from tao_lora_ros.bags.measured import measured
from tao_lora_ros.bags.tables import tables

PARTS = tuple(
    f"tao_lora_ros.bags.{name}" for name in ("columns", "measured", "tables", "text_files")
) + (
    "numpy.lib._format_impl",
    "numpy.lib._npyio_impl",
    "zipfile",
)
_NAMES = ["time", "ax", "ay", "az", "wx", "wy", "wz"]


def seeds() -> list[bytes]:
    """A good file of either kind, and hostile ones."""
    rows = np.column_stack([np.arange(4) * 0.01, np.ones((4, 6))])
    lines = "\n".join(",".join(f"{cell:g}" for cell in row) for row in rows)
    packed = io.BytesIO()
    np.savez_compressed(packed, run=rows)
    return [f"{','.join(_NAMES)}\n{lines}\n".encode(), packed.getvalue(), *in_corpus("import")]


def one(data: bytes) -> None:
    """It is a table of a sensor, or refused."""
    packed = data.startswith(b"PK")
    file = as_file(data, "t.npz" if packed else "t.csv")
    with refused():
        for table in tables(file, _NAMES if packed else ()):
            measured(table, Layout())
    file.unlink()
