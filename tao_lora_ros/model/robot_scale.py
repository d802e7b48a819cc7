"""A robot's own scale, which a model is fitted to without training: how large its signals are.

Weight, sensor and mounting make what one robot measures a multiple of what another of the kind
does. So a model keeps the scale of the robot that it learned from, one number a quantity, and takes
another robot's from a minute of its motion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.model.network import Network
from tao_lora_ros.signal.channels import quantities

Array = NDArray[np.float64]

_UNITS = ("level_mean", "level_std", "spread")  # tensors in SI units, a value a channel
_SHARE = 0.98  # of the windows that a feature's usual range holds
_MOST_UNLIKE = 0.01  # of the training windows
_LEAST_VARIANCE = 1e-4  # as the mixer's
SMALL = 0.25  # of the scale; below, it may be rest that is measured
_BLOCK = 32  # rows
_WHITE = 0.6  # of the changes' half mean square to the variance; noise has 1
_EVEN = 2.0  # of the strongest tenth of blocks to the weakest; noise has about 1.2


def scales_of(
    recordings: Sequence[NDArray[np.floating]], channels: Sequence[str]
) -> dict[str, float]:
    """Root mean square of each quantity's size, such as of `wrench.force` in N.

    The mean square of a vector does not depend on how its sensor is turned, and is the steadiest
    of the measures that were tried: see `docs/training.md`.

    Args:
        recordings: rows of motion, each [n, C], NaN where they do not count.
        channels: their names.

    Returns:
        By quantity; without those that were never there, or always 0.
    """
    found = {}
    for quantity, columns in quantities(channels).items():
        squares = np.concatenate([np.square(rows[:, columns]) for rows in recordings])
        there = ~np.isnan(squares).all(axis=1)
        mean = float(np.nansum(squares[there], axis=1).mean()) if there.any() else 0.0
        if mean > 0.0:
            found[quantity] = mean**0.5
    return found


def at_rest(recordings: Sequence[Array], columns: slice) -> bool:
    """Whether a quantity shows noise alone: even in time, and no row like the one before."""
    blocks = [
        rows[at : at + _BLOCK, columns]
        for rows in recordings
        for at in range(0, len(rows) - _BLOCK + 1, _BLOCK)
    ]
    blocks = [b for b in blocks if np.isfinite(np.diff(b, axis=0)).any(axis=0).all()]
    if not blocks:
        return True
    sizes = np.array([np.nanvar(block, axis=0).sum() for block in blocks])
    changes = np.array([np.nanmean(np.diff(block, axis=0) ** 2, axis=0).sum() for block in blocks])
    low, high = np.quantile(sizes, (0.1, 0.9))
    return bool(high <= _EVEN**2 * low and np.median(changes) / 2 >= _WHITE * np.median(sizes))


def rescaled(network: Network, channels: Sequence[str], ratios: Mapping[str, float]) -> Network:
    """The network for a robot whose quantities are multiples of those that it knows."""
    factors = np.ones(len(channels), np.float32)
    for quantity, columns in quantities(channels).items():
        factors[columns] = ratios.get(quantity, 1.0)
    units = {name: network.tensors[name] * factors for name in _UNITS}
    return Network(network.config, network.tensors | units)


@dataclass(frozen=True)
class Known:
    """What windows a model was trained on.

    Args:
        center: median of each feature of `features`, [2 C].
        width: half its usual range, [2 C].
        limit: how many widths from the center a window's farthest feature usually is at most.
    """

    center: tuple[float, ...]
    width: tuple[float, ...]
    limit: float

    @staticmethod
    def of(network: Network, windows: NDArray[np.float32]) -> Known:
        """Of the training's windows, [B, T, C]."""
        found = features(network, windows)
        low, center, high = np.quantile(found, ((1 - _SHARE) / 2, 0.5, (1 + _SHARE) / 2), axis=0)
        width = np.maximum((high - low) / 2, 1e-3)
        far = (np.abs(found - center) / width).max(axis=1)
        limit = float(np.quantile(far, 1 - _MOST_UNLIKE))
        return Known(tuple(center.tolist()), tuple(width.tolist()), limit)

    def unlike(
        self, network: Network, windows: NDArray[np.float32]
    ) -> tuple[float, NDArray[np.float64]]:
        """Share of windows [B, T, C] that are unlike any trained on, and of each channel [C]."""
        far = np.abs(features(network, windows) - self.center) / np.array(self.width)
        beyond = far.reshape(len(far), 2, -1).max(axis=1) > self.limit
        return float(beyond.any(axis=1).mean()), beyond.mean(axis=0)


def features(network: Network, windows: NDArray[np.float32]) -> Array:
    """What the model is told of each window beside its rows, [B, 2 C]: see `mixer.Mixer`."""
    level_mean, level_std, spread = (network.tensors[name] for name in _UNITS)
    there = ~np.isnan(windows)
    count = there.sum(axis=1)
    level = np.where(there, windows, 0).sum(axis=1) / np.maximum(count, 1)
    level = np.where(count > 0, level, level_mean)
    x = np.arcsinh(np.nan_to_num((windows - level[:, None]) / spread))
    placed = np.arcsinh((level - level_mean) / level_std)
    return np.concatenate((placed, np.log(x.var(axis=1, ddof=1) + _LEAST_VARIANCE)), axis=1)
