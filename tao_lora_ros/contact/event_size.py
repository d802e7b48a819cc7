"""How hard an event was, from the samples as the sensors gave them.

Joint efforts alone tell no contact force: what they mean depends on the arm's pose and its load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Size
from tao_lora_ros.signal.channels import quantities

Array = NDArray[np.float64]


def size_of(raws: Sequence[RawSamples], onset_ns: int, end_ns: int) -> Size:
    """The size of an event.

    Args:
        raws: the samples of each source, from before the onset on.
        onset_ns, end_ns: the event's first and last moment; of one that goes on, the newest.

    Returns:
        The size; of several wrenches that with the largest force, of several IMUs that which
        changed the most.
    """
    loads = [_load_size(raw, onset_ns, end_ns) for raw in raws]
    shakes = [_shake_size(raw, onset_ns, end_ns) for raw in raws]
    shake = max(shakes, key=lambda size: _order(size.acceleration_change), default=Size())
    load = max(loads, key=_load_order, default=Size())
    size = shake if isnan(load.peak_force) else load
    return replace(
        size,
        duration=(end_ns - onset_ns) * 1e-9,
        peak_torque=load.peak_torque,
        acceleration_change=shake.acceleration_change,
    )


def _load_order(size: Size) -> tuple[float, float]:
    return _order(size.peak_force), _order(size.peak_torque)


def _order(value: float) -> float:
    return -1.0 if isnan(value) else value


def _load_size(raw: RawSamples, onset_ns: int, end_ns: int) -> Size:
    """Force, impulse and torque of a wrench."""
    stamps_ns, force = _change(raw, "force", onset_ns, end_ns)
    _, torque = _change(raw, "torque", onset_ns, end_ns)
    between_s = np.diff(stamps_ns)[:, None] * 1e-9
    impulse = (0.5 * (force[1:] + force[:-1]) * between_s).sum(axis=0)
    return replace(
        _peak(raw, force),
        impulse=float(np.linalg.norm(impulse)) if len(force) else nan,
        peak_torque=float(np.linalg.norm(torque, axis=1).max()) if len(torque) else nan,
    )


def _shake_size(raw: RawSamples, onset_ns: int, end_ns: int) -> Size:
    """The change of an accelerometer's reading."""
    _, change = _change(raw, "accel", onset_ns, end_ns)
    size = _peak(raw, change)
    return replace(size, peak_force=nan, acceleration_change=size.peak_force)


def _peak(raw: RawSamples, change: Array) -> Size:
    """Size and direction of the largest of some vectors, [n, 3]."""
    if not len(change):
        return Size()
    sizes = np.linalg.norm(change, axis=1)
    at = int(sizes.argmax())
    x, y, z = (change[at] / sizes[at]).tolist() if sizes[at] else (nan, nan, nan)
    return Size(
        peak_force=float(sizes[at]), sensor=raw.source, frame_id=raw.frame_id, direction=(x, y, z)
    )


def _change(
    raw: RawSamples, quantity: str, onset_ns: int, end_ns: int
) -> tuple[NDArray[np.int64], Array]:
    """What an event changed of a quantity with three axes, and the stamps; both empty without."""
    columns = quantities(raw.channels).get(f"{raw.source}.{quantity}", slice(0))
    values = raw.values[:, columns]
    known = np.isfinite(values).all(axis=1) & (values.shape[1] == 3) & (raw.stamps_ns <= end_ns)
    stamps_ns, values = raw.stamps_ns[known], values[known]
    during = stamps_ns >= onset_ns
    if not during.any():
        return stamps_ns[:0], values.reshape(-1, 3)[:0]
    rest = values[~during]
    usual = np.median(rest, axis=0) if len(rest) else values[0]
    return stamps_ns[during], values[during] - usual
