"""A contact begins where a force sensor bears again what it always bears in steady motion: feet.

A robot that stands loads its feet, and contact can only push. So where a calibration always bears a
load (of a foot on the ground, not of an arm: its tool turns, or an IMU explains it), a force far
below it is one of a foot in the air, and its return is a touchdown. Such a level needs no model and
no threshold of energy; blows within a step, which touchdowns are not, stay with the other
statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tao_lora_ros.detection.covariance import Array
from tao_lora_ros.signal.compiled import compiled, inlined

# Shares of the load that is always borne. A foot is in the air below the first, or within the
# second of the least that it has borne since the start: contact only pushes, and real sensors are
# off zero by up to a fifth in the air. It is down again at the third above that, as of a Schmitt
# trigger.
IN_AIR, NEAR, ABOVE = 0.25, 0.1, 0.2
# What is always borne: all but this share of the time; and twice the lowest level that the load
# stayed under for as long as a flight, so that none in steady motion comes near one.
ALWAYS, MARGIN = 0.05, 2.0
# Shorter spans in the air are bounces, or a load that shifts from one foot to the other.
AIR_S = 0.05
# A load is one where `IN_AIR` of it is as many times the force's median change from row to row.
_LEAST_NOISES = 3.0

BEARING = np.dtype(
    [
        ("load", np.float64),  # that is always borne, N; 0: none
        ("air_rows", np.int64),  # in the air that make a flight
        ("rows", np.int64),  # in the air by now
        ("since", np.int64),  # rows since the last flight; 0 in one
        ("before", np.int64),  # rows since the flight before that
        ("least", np.float64),  # share of the load that was not exceeded for a flight
        ("low_rows", np.int64),  # newest in turn below `IN_AIR`
        ("highest", np.float64),  # share in these
    ]
)


def load_channels(channels: Iterable[str]) -> tuple[tuple[int, ...], ...]:
    """Channels of each source's force.

    >>> load_channels(("imu.accel_x", "foot.force_z", "foot.torque_z"))
    ((1,),)
    """
    forces: dict[str, list[int]] = {}
    for i, channel in enumerate(channels):
        source, _, axis = channel.rpartition(".")
        if axis.startswith("force"):
            forces.setdefault(source, []).append(i)
    return tuple(map(tuple, forces.values()))


def borne_loads(
    recordings: Sequence[Array],
    forces: Sequence[Sequence[int]],
    air_rows: int,
) -> tuple[float, ...]:
    """The load that steady motion always bears, of each force; 0 where there is none.

    There is none where the force is near zero at times, as it is about any zero that was set by a
    tare, nor where its direction turns, as that of a tool does: only what is along its mean counts.

    Args:
        recordings: steady motion, each [n, C].
        forces: channels of each force.
        air_rows: rows in the air that make a flight.
    """
    loads = []
    for channels in forces:
        borne = _along(np.concatenate([rows[:, list(channels)] for rows in recordings]))
        if np.count_nonzero(~np.isnan(borne)) <= air_rows:
            loads.append(0.0)
            continue
        lowest = np.nanmin(sliding_window_view(borne, air_rows).max(axis=1))
        load = float(min(np.nanquantile(borne, ALWAYS), MARGIN * lowest))
        noise = float(np.nanmedian(np.abs(np.diff(borne))))
        loads.append(float(f"{load:.6g}") if load * IN_AIR > _LEAST_NOISES * noise else 0.0)
    return tuple(loads)


def _along(forces: Array) -> Array:
    """Of forces [n, k] along their mean, an absent axis being 0; NaN of those without any."""
    known = np.nan_to_num(forces)
    mean = known.mean(axis=0)
    along = known @ mean / max(float(np.linalg.norm(mean)), 1e-12)
    return np.where(np.isnan(forces).all(axis=1), np.nan, along)


def force_numbers(forces: Sequence[Sequence[int]], channels: int) -> NDArray[np.int64]:
    """Which force each channel belongs to, [C], -1: none."""
    numbers = np.full(channels, -1)
    for number, force in enumerate(forces):
        numbers[list(force)] = number
    return numbers


def new_bearings(count: int) -> NDArray:
    """Of forces without a load, which stand on the ground."""
    bearings = np.zeros(count, BEARING)
    bearings["least"] = IN_AIR - NEAR
    bearings["since"] = bearings["before"] = np.iinfo(np.int64).max // 2
    return bearings


@inlined
def touchdown(bearings, numbers, values):
    """Take a row [C]; share of its load that has come back, the largest; 0 where none has."""
    landed = 0.0
    for k in range(len(bearings)):
        bearing = bearings[k]
        if bearing.load == 0.0:
            continue
        square, present = 0.0, False
        for c in range(len(values)):
            if numbers[c] == k and not np.isnan(values[c]):
                square += values[c] * values[c]
                present = True
        if not present:
            continue
        share = np.sqrt(square) / bearing.load
        _follow_least(bearing, share)
        bearing.before += 1
        bearing.since += 1
        if share < bearing.least + NEAR:
            bearing.rows += 1
            if bearing.rows == bearing.air_rows:
                bearing.before = bearing.since
        elif share >= bearing.least + ABOVE:
            if bearing.rows >= bearing.air_rows:
                landed = max(landed, share)
            bearing.rows = 0
        if bearing.rows >= bearing.air_rows:
            bearing.since = 0
    return landed


@compiled
def _follow_least(bearing, share):
    if share >= IN_AIR:
        bearing.low_rows, bearing.highest = 0, 0.0
        return
    bearing.low_rows += 1
    bearing.highest = max(bearing.highest, share)
    if bearing.low_rows == bearing.air_rows:
        bearing.least = min(bearing.least, bearing.highest)
        bearing.low_rows, bearing.highest = 0, 0.0
