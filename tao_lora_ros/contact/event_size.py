"""How hard an event was, from the samples as the sensors gave them.

A wrench tells what touches and what the body that hangs on it makes of its motion, ringing after a
blow too. Where a contact model knows the latter it is taken off, by the IMU's samples interpolated
to the wrench's stamps. What is left of the wrench, less its median before the event, is the contact
load; without a model that is the change of the wrench, and no impulse: ringing and gravity would
be in it, and no force of a wrench that hardly drove the event. Joint efforts alone tell no force:
what they mean depends on the arm's pose and load.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
from numpy.typing import NDArray

from tao_lora_ros.contact.contact_model import Array, Columns, ContactModel, rate_terms
from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Size
from tao_lora_ros.signal.channels import quantities

# A blow begins a few samples before the row that shows it, a press while it is still small.
LEAD_S = 0.02
LEAST_SHARE = 0.02  # of what drove an event: a source below took no part in it


@dataclass(frozen=True)
class Span:
    """What an event takes of the time, in ns: its first and last moment, or so far the newest."""

    onset_ns: int
    end_ns: int

    @property
    def begin_ns(self) -> int:
        """What is older is from before the event."""
        return self.onset_ns - round(LEAD_S * 1e9)


@dataclass(frozen=True)
class _Signal:
    """A quantity of three axes: stamps ascend, [n]; values are finite, [n, 3].

    An axis that is never reported, as of a load cell, is 0.
    """

    sensor: str
    frame_id: str
    stamps_ns: NDArray[np.int64]
    values: Array

    def change(self, span: Span) -> _Signal:
        """What an event changed of it; empty where there is no sample in it."""
        first, last = np.searchsorted(self.stamps_ns, (span.begin_ns, span.end_ns + 1))
        if first == last:
            return replace(self, stamps_ns=self.stamps_ns[:0], values=self.values[:0])
        usual = np.median(self.values[:first], axis=0) if first else self.values[0]
        values = self.values[first:last] - usual
        return replace(self, stamps_ns=self.stamps_ns[first:last], values=values)

    def at(self, stamps_ns: NDArray[np.int64]) -> Array:
        """Its values at other stamps, [m, 3]."""
        times = self.stamps_ns - stamps_ns[0]
        return np.array([np.interp(stamps_ns - stamps_ns[0], times, v) for v in self.values.T]).T

    def slope(self) -> _Signal:
        """By how much it changes a second, between its samples."""
        between = np.diff(self.stamps_ns)
        stamps_ns = self.stamps_ns[:-1] + between // 2
        return replace(
            self, stamps_ns=stamps_ns, values=np.diff(self.values, axis=0) / between[:, None] * 1e9
        )

    @property
    def sizes(self) -> Array:
        """Length of each value."""
        return np.asarray(np.linalg.norm(self.values, axis=1))


_Signals = dict[str, _Signal]  # by the name of the quantity, such as `wrench.force`


def size_of(
    raws: Sequence[RawSamples],
    span: Span,
    channels: Sequence[str] = (),
    models: Sequence[ContactModel] = (),
    shares: Sequence[float] | Array = (),
) -> Size:
    """The size of an event.

    Args:
        raws: the samples of each source since the pre-roll, their lags taken off the stamps.
        span: of the event.
        channels: of the rows that the models are of.
        models: what is known of the wrenches' loads.
        shares: how much each channel drove the event; none: not known. Of a wrench that did not,
            and whose motion is not taken off, no force is given: a robot's own steps change it too.

    Returns:
        The size; of several wrenches that with the largest force, of several IMUs that which
        changed the most.
    """
    signals = _signals(raws)
    explained: set[str] = set()
    for model in models:
        if model.by_own_force:
            continue
        loads = _contact_load(signals, channels, model)
        signals |= loads
        explained |= loads.keys()
    idle = _idle(channels, shares) - {name.rpartition(".")[0] for name in explained}
    changes = {
        name: signal.change(span)
        for name, signal in signals.items()
        if name.endswith(".accel") or name.rpartition(".")[0] not in idle
    }
    force, torque, accel = (_largest(changes, name) for name in ("force", "torque", "accel"))
    if force:
        torque = changes.get(f"{force.sensor}.torque")
    size = _directed(force or accel)
    return replace(
        size,
        duration=(span.end_ns - span.onset_ns) * 1e-9,
        peak_force=_peak(force),
        impulse=_impulse(force) if force and f"{force.sensor}.force" in explained else nan,
        peak_torque=_peak(torque),
        acceleration_change=_peak(accel),
    )


def _idle(channels: Sequence[str], shares: Sequence[float] | Array) -> set[str]:
    """Sources that hardly drove an event."""
    of_sources: Counter[str] = Counter()
    for channel, share in zip(channels, shares, strict=False):
        of_sources[channel.rpartition(".")[0]] += share
    return {source for source, share in of_sources.items() if share < LEAST_SHARE}


def _signals(raws: Sequence[RawSamples]) -> _Signals:
    """All that has three axes, where all that are reported are known."""
    found: _Signals = {}
    for raw in raws:
        later = np.diff(raw.stamps_ns, prepend=-(2**62)) > 0
        for name, columns in quantities(raw.channels).items():
            values = raw.values[:, columns]
            finite = np.isfinite(values)
            absent = ~finite.any(axis=0)
            known = later & (finite | absent).all(axis=1)
            if values.shape[1] == 3 and known.any() and not absent.all():
                stamps_ns, there = raw.stamps_ns[known], np.where(absent, 0.0, values[known])
                found[name] = _Signal(raw.source, raw.frame_id, stamps_ns, there)
    return found


def _contact_load(signals: _Signals, channels: Sequence[str], model: ContactModel) -> _Signals:
    """Force and torque that motion does not explain, of one wrench."""

    def named(columns: Columns) -> str:
        return channels[columns[0]].rpartition("_")[0] if columns else ""

    accel, gyro = (signals.get(named(columns)) for columns in (model.accel, model.gyro))
    if accel is None or (model.gyro and (gyro is None or len(gyro.stamps_ns) < 2)):
        return {}
    gains, found = np.array(model.gains), {}
    for axes, columns in ((slice(3), model.wrench[:3]), (slice(3, 6), model.wrench[3:])):
        signal = signals.get(named(columns))
        if signal is None:
            continue
        terms = accel.at(signal.stamps_ns)
        reported = signal.values.any(axis=0)
        if gyro:
            rates = gyro.at(signal.stamps_ns)
            terms = rate_terms(terms, rates, gyro.slope().at(signal.stamps_ns))
        explained = terms @ gains[axes].T * reported
        found[named(columns)] = replace(signal, values=signal.values - explained)
    return found


def _largest(changes: _Signals, quantity: str) -> _Signal | None:
    """Of the sensors of a quantity that with the largest change."""
    of_kind = [
        signal
        for name, signal in changes.items()
        if name.endswith(f".{quantity}") and len(signal.values)
    ]
    return max(of_kind, key=_peak, default=None)


def _peak(signal: _Signal | None) -> float:
    return float(signal.sizes.max()) if signal and len(signal.values) else nan


def _impulse(force: _Signal) -> float:
    """Size of the integral, by the trapezoidal rule."""
    between_s = np.diff(force.stamps_ns)[:, None] * 1e-9
    means = 0.5 * (force.values[1:] + force.values[:-1])
    return float(np.linalg.norm((means * between_s).sum(axis=0)))


def _directed(signal: _Signal | None) -> Size:
    """The direction of the largest value, and whose it is."""
    if signal is None:
        return Size()
    sizes = signal.sizes
    at = int(sizes.argmax())
    x, y, z = (signal.values[at] / sizes[at]).tolist() if sizes[at] else (nan, nan, nan)
    return Size(sensor=signal.sensor, frame_id=signal.frame_id, direction=(x, y, z))
