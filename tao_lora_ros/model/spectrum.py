"""Powers of a window by frequency, which tell surfaces apart where moments do not: multitaper."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PARTS = 4  # waves of a frequency
FLOOR = 1e-2  # of powers and moments, squashed standard units: what lies below is noise


def spectral_basis(window: int, segment: int) -> NDArray[np.float32]:
    """Waves whose products with a segment of a window, squared and added up, are its powers.

    Two sine tapers (Riedel and Sidorenko, IEEE Trans. Signal Processing 43(1), 1995) use nearly
    all rows and leak little, with no overlap of segments. Summed over parts and over the segments
    of a window the squares are the mean power.

    Args:
        window: rows.
        segment: rows of a segment, an even divisor of the window.

    Returns:
        Float32 [PARTS, segment / 2, segment], frequency k at (k + 1) / segment of the row rate.
        The first two parts are the same backwards, the others the negative of it.
    """
    rows = np.arange(segment) - (segment - 1) / 2
    angles = 2 * np.pi * np.outer(np.arange(1, segment // 2 + 1), rows) / segment
    size = np.sqrt(1 / ((segment + 1) * (window // segment)))
    even, odd = np.cos(np.pi * rows / (segment + 1)), np.sin(2 * np.pi * rows / (segment + 1))
    cosine, sine = size * np.cos(angles), size * np.sin(angles)
    return np.stack((even * cosine, odd * sine, even * sine, odd * cosine)).astype(np.float32)
