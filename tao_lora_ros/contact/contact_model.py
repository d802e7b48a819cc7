"""What is known of a wrench beforehand: the load to be expected of it, and how far that is off.

A rigid body of mass m, centre c and inertia J about it that hangs on a force sensor and moves with
an IMU loads the sensor with f = m s + m (alpha x c + omega x (omega x c)) and with a torque that is
linear in the same terms: the specific force s, the angular acceleration alpha, and the products of
the angular rate omega (Kubus, Kroeger, Wahl 2008, On-line estimation of inertial parameters using a
recursive total least-squares approach). Free blocks for each term need neither the mounting nor the
directions of the axes, nor TF; what m, c and J would tell apart is not told.

Where no IMU rides along, its own force tells the torque to be expected: of what weighs and is
accelerated without turning fast, the torque is that of the force at c. A hand that presses
elsewhere has another lever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.signal.source import quantities
from tao_lora_ros.signal.units import GRAVITY

Array = NDArray[np.float64]
Columns = tuple[int, ...]

MOST_GAIN = 1e6  # that an artifact may have
STATIC, DYNAMIC = 3, 12  # terms: the specific force; with products of rates, and accelerations


@dataclass(frozen=True)
class ContactModel:
    """What is known of one wrench.

    Args:
        wrench: channels of its force and torque, 6 of them.
        accel: channels of the IMU's specific force that moves with it, 3; those of its own force:
            only its torque is expected, by that; none: nothing is. What is not expected is held
            against its own slow baseline.
        gyro: channels of its angular rate, 3; none: only the static load is expected.
        gains: what each term adds to each channel of the wrench, [6][terms]: `STATIC` without
            a gyro, else `DYNAMIC`, in the order of `terms_of`.
        thresholds: contact force (N) and torque (Nm) at which a lasting contact begins;
            `tail.NEVER` where the axes are absent.
        noise: RMS of force (N) and torque (Nm) that the calibration left unexplained.
        usual: what is left of each axis while nothing touches; none: the calibration's recordings
            differ in it. A sensor that was tared since, or drifts, has another one.
        same_run: whether the first rows are of the run that was calibrated on: that holds then.
    """

    wrench: Columns
    accel: Columns
    gyro: Columns
    gains: tuple[tuple[float, ...], ...]
    thresholds: tuple[float, float]
    noise: tuple[float, float]
    usual: tuple[float, ...] = ()
    same_run: bool = False

    @property
    def by_own_force(self) -> bool:
        """Whether only the torque is expected, by the wrench's own force."""
        return self.accel == self.wrench[:3]

    @property
    def weight(self) -> float:
        """Of what hangs on the sensor, N, by the static gains; 0 where no IMU explains the load."""
        return self._weights[0]

    @property
    def hanging(self) -> float:
        """The same where it turned with the sensor, known in two directions; else 0.

        In one alone a robot that squats on its feet looks like what hangs on them.
        """
        return self._weights[1]

    @property
    def _weights(self) -> tuple[float, ...]:
        """Along the principal directions of the static gains, N, the largest first."""
        if not self.accel:
            return 0.0, 0.0, 0.0
        gains = np.array(self.gains)[:3, :STATIC]
        return tuple((GRAVITY * np.linalg.svd(gains, compute_uv=False)).tolist())

    @property
    def terms(self) -> int:
        """How many terms the load is expected from."""
        return len(self.gains[0])


def how_expected(model: ContactModel | None, channels: Sequence[str]) -> str:
    """In a few words, what lasting contacts of a wrench are found by."""
    if model is None:
        return "not known what hangs on it, no lasting contacts: calibrate on steady motion"
    if not model.accel:
        return "no IMU explains its load, held against its own slow baseline"
    if model.by_own_force:
        return (
            "no IMU explains its load: torque expected by its own force, "
            "force held against its own slow baseline"
        )
    imu = channels[model.accel[0]].rpartition(".")[0]
    return f"expected by {imu}{' and its gyro' * bool(model.gyro)}"


def terms_of(rows: Array, accel: Columns, gyro: Columns, rate_hz: float) -> Array:
    """The terms that a load is linear in, [n, 0, `STATIC` or `DYNAMIC`].

    Args:
        rows: of all channels, [n, C].
        accel, gyro: columns of the IMU; none of them: no term; no gyro: the static ones alone.
        rate_hz: of the rows.

    Returns:
        Specific force x y z, the rates' products xx yy zz xy xz yz, angular acceleration x y z, NaN
        where one of its channels has no value, in this row or (with a gyro) in the one before.
    """
    if not gyro:
        return rows[:, list(accel)]
    rates = rows[:, list(gyro)]
    accelerations = np.diff(rates, axis=0, prepend=np.nan) * rate_hz
    return rate_terms(rows[:, list(accel)], rates, accelerations)


def rate_terms(force: Array, rates: Array, accelerations: Array) -> Array:
    """All `DYNAMIC` terms of specific force, angular rates and accelerations, [n, 3] each."""
    x, y, z = rates.T
    products = np.stack((x * x, y * y, z * z, x * y, x * z, y * z), axis=1)
    return np.hstack((force, products, accelerations))


def wrenches_of(channels: Iterable[str]) -> dict[str, Columns]:
    """Columns of each wrench, by its source's name."""
    found = quantities(channels)
    return {
        name[:-6]: (*_range(columns), *_range(found[f"{name[:-6]}.torque"]))
        for name, columns in found.items()
        if name.endswith(".force") and f"{name[:-6]}.torque" in found
    }


def imus_of(channels: Iterable[str]) -> dict[str, tuple[Columns, Columns]]:
    """Columns of accelerometer and gyro of each IMU that has the former, by its source's name.

    Where the only accelerometer has no gyro, one that is a source of its own goes with it.
    """
    found = quantities(channels)
    accels = {name[:-6]: _range(c) for name, c in found.items() if name.endswith(".accel")}
    gyros = {name[:-5]: _range(c) for name, c in found.items() if name.endswith(".gyro")}
    alone = next(iter(gyros.values())) if len(accels) == len(gyros) == 1 else ()
    return {name: (accel, gyros.get(name, alone)) for name, accel in accels.items()}


def _range(columns: slice) -> Columns:
    return tuple(range(columns.start, columns.stop))
