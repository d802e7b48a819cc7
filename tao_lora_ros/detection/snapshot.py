"""Arrays that compiled loops work on, as bytes and back; what comes back may be forged.

The loops check no index. So lengths and whatever else a configuration gives stay as they are in the
arrays that are restored into, and counters have to be within bounds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_MOST = 3 * 2**61  # more than any count, which may have begun at the half of an int64
_FLAGS = ("transient", "open")
# Whole numbers that are not part of what is remembered.
_CONFIGURED = (
    *("start_rows", "level_rows", "hold_rows", "max_transient_rows", "air_rows", "energy"),
    *("terms", "confirm_rows", "bias_rows", "most_rows", "load_rows", "columns", "change"),
    *("release_rows", "drift_rows", "usual", "by_own_force"),
    *("sequence", "scale", "moving", "channels"),
)


def packed(arrays: Sequence[NDArray]) -> bytes:
    """All arrays, one after the other."""
    return b"".join(array.tobytes() for array in arrays)


def restore(arrays: Sequence[NDArray], data: bytes, ring_rows: int) -> None:
    """Write what `packed` gave into arrays of the same shapes.

    Args:
        arrays: those to be written, which hold the configuration.
        data: the bytes.
        ring_rows: rows of the ring that fields `at` and `filled` count.

    Raises:
        ValueError: the bytes are of other shapes, or hold what no such state has; nothing was
            written.
    """
    if len(data) != sum(array.nbytes for array in arrays):
        raise ValueError("a state of other channels, scales or contact models")
    found, start = [], 0
    for array in arrays:
        new = np.frombuffer(data[start : start + array.nbytes], array.dtype).reshape(array.shape)
        found.append(new.copy())
        start += array.nbytes
        _check(found[-1], array, ring_rows)
    for array, new in zip(arrays, found, strict=True):
        array[...] = new


def _check(new: NDArray, own: NDArray, ring_rows: int) -> None:
    """Put the own configuration in place, and see that all counters are possible ones."""
    if new.dtype.names is None:
        _check_range("rows", new, _MOST)
        return
    for name in new.dtype.names:
        lengths = name == "rows" and "threshold" in new.dtype.names  # of the scales
        if name in _CONFIGURED or lengths:
            new[name] = own[name]
            continue
        most = {"at": ring_rows - 1, "filled": ring_rows}.get(name, _MOST)
        _check_range(name, new[name], 1 if name in _FLAGS else most)


def _check_range(name: str, values: NDArray, most: int) -> None:
    if values.dtype.kind == "b":
        values, most = np.ascontiguousarray(values).view(np.uint8), 1
    if values.dtype.kind == "f" or not values.size:
        return
    if values.min() < 0 or values.max() > most:
        raise ValueError(f"a state whose '{name}' is out of range")
