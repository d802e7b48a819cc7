"""What every drawing of a signal needs, whatever draws it: colours, titles, fewer points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.channels import split_name
from tao_lora_ros.signal.source import unit_of

# x, y and z, or the joints
AXES = ("#d1495b", "#2e8b57", "#2f6fb5", "#f08c00", "#7048e8", "#0ca678", "#868e96")
QUANTITIES = {
    "accel": "Acceleration",
    "gyro": "Angular velocity",
    "force": "Force",
    "torque": "Torque",
    "effort": "Effort",
}


def title_of(channel: str) -> str:
    """The title of what is drawn of a channel's quantity, such as `Force · wrench [N]`."""
    source, quantity, _ = split_name(channel)
    return f"{QUANTITIES[quantity]} · {source} [{unit_of(channel).replace('^2', '²')}]"


def decimate(values: NDArray[np.float64], buckets: int) -> NDArray[np.int64]:
    """Indices, ascending, of the samples to draw: each bucket's least, greatest and first NaN.

    So no spike is lost, however short, and no gap; short signals are kept whole.
    """
    count = len(values)
    if count <= 3 * buckets:
        return np.arange(count)
    size = -(-count // buckets)
    table = np.full((-(-count // size), size), np.nan)
    table.reshape(-1)[:count] = values
    gaps = np.isnan(table)
    least = np.where(gaps, np.inf, table).argmin(axis=1)
    greatest = np.where(gaps, -np.inf, table).argmax(axis=1)
    picked = np.stack([least, greatest, np.where(gaps.any(axis=1), gaps.argmax(axis=1), least)])
    kept = np.unique(picked + size * np.arange(len(table)))
    return kept[kept < count]
