"""All that finding contacts needs, from steady recordings: expected loads and thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tao_lora_ros.contact import level_test
from tao_lora_ros.contact.contact_model import (
    MOST_GAIN,
    Array,
    Columns,
    ContactModel,
    imus_of,
    wrenches_of,
)
from tao_lora_ros.contact.contacts import Contacts
from tao_lora_ros.contact.identification import (
    FOLDS,
    Samples,
    biases_of,
    directions,
    fold_gains,
    folds_of,
    gains_of,
    rigid,
    samples_of,
    unexplained,
)
from tao_lora_ros.detection import tail
from tao_lora_ros.detection.calibration import MOST_LEFT_OUT
from tao_lora_ros.messages.texts import digits
from tao_lora_ros.signal.units import GRAVITY

LEAST_S = 2.0  # of steady rows
EXPLAINS = 0.95  # of the load: an IMU that leaves more of it does not move with the wrench
# The same of a force of one axis alone, of which nothing else tells whether anything hangs on it:
# a foot's follows the trunk's motion too, but not as closely.
EXPLAINS_ALONE = 0.1
NOT_WORSE = 1.1  # times what the IMU leaves without its gyro, which physics says is to be used
CLEAR = 15.0  # times what is usually left: a lasting contact, which does not belong
AROUND_S = 0.3  # left out before and after
NAMED = 3
LEAST_STEP = 1e-6  # N or Nm: thresholds are above zero, and rounded to that
MIXED = 3.0  # times more left by one expectation than by one of each recording: they differ

# Of what hangs on a sensor; beyond these its wrench is in other units.
_FAR_M, _NEAR_M, _HEAVY_N = 3.0, 1e-3, 500.0
_RATHER_FAR_M = 0.5  # what a force in kgf makes of 5 cm


class _Expectation(NamedTuple):
    """How a load may be expected: from which IMU, by which gains of each fold, and what is left."""

    imu: str
    accel: Columns
    gyro: Columns
    samples: Samples
    gains: list[Array]
    left: Array

    def model(
        self,
        wrench: Columns,
        gains: Array,
        thresholds: tuple[float, float],
        noise: tuple[float, float] = (0.0, 0.0),
    ) -> ContactModel:
        """A model of a wrench, [6, terms], that expects its load in this way."""
        rows = tuple(map(tuple, gains.tolist()))
        return ContactModel(wrench, self.accel, self.gyro, rows, thresholds, noise)


def calibrated(
    channels: Sequence[str],
    recordings: Sequence[Array],
    rate_hz: float,
    alarms_per_hour: float,
) -> tuple[tuple[ContactModel, ...], list[str]]:
    """Identify the load of every wrench, and set its thresholds by what is left of it.

    The IMU, and whether its gyro is used, is what leaves the least of those parts of the recordings
    that it was not identified on. Of those parts is also the level below which a contact ends, by
    the same rule as the router's thresholds (`tail.thresholds`); it begins at twice that.

    Args:
        channels: their names.
        recordings: steady motion as the glitch filter gives it out, each float64 [n, C], NaN where
            something is left out.
        rate_hz: of the rows.
        alarms_per_hour: target of crossings, of a wrench's force and torque together.

    Returns:
        A model of each wrench of which something can be said, and a line about each wrench.
    """
    models, lines = [], []
    for name, wrench in wrenches_of(channels).items():
        model, line = _model(name, wrench, channels, recordings, rate_hz, alarms_per_hour)
        lines.append(f"contact load of {name}: {line}")
        models += [model] if model else []
    return tuple(models), lines


def _model(
    name: str,
    wrench: Columns,
    channels: Sequence[str],
    recordings: Sequence[Array],
    rate_hz: float,
    alarms_per_hour: float,
) -> tuple[ContactModel | None, str]:
    first, *others = _expectations(wrench, channels, recordings, rate_hz)
    if len(first.samples) * level_test.FILTER_S / 2.0 < LEAST_S:
        return None, f"not known, less than {LEAST_S:g} s of it were reported"
    best = first
    for other in others:
        if not _may_hang(other, first):
            continue
        same = other.accel == best.accel  # with the gyro
        if _ratio(other.left, best.left) < (NOT_WORSE if same else EXPLAINS):
            best = other
    if not best.imu:
        best = _by_own_force(first, wrench, recordings, rate_hz)
    gains = gains_of(best.samples)
    recordings, left_out = _without_contacts(best, gains, wrench, recordings, rate_hz)
    if left_out:
        samples = samples_of(recordings, wrench, best.accel, best.gyro, rate_hz)
        best = _expected(best.imu, best.accel, best.gyro, samples)
        gains = gains_of(best.samples)
    if best.imu and _mixed(best.samples, gains):
        return None, "not known, the recordings differ in what hangs on it: calibrate on one robot"
    levels = _levels(best, wrench, recordings, rate_hz)
    if not any((level > -np.inf).any() for level in levels):
        return None, "not known, the recordings are too short"
    ends, _ = tail.thresholds(levels, rate_hz, alarms_per_hour)
    thresholds = np.where(ends < tail.NEVER, ends / level_test.OFF, tail.NEVER)
    if (thresholds >= tail.NEVER).all():
        return None, "not known, the wrench never changes"
    force, torque = np.maximum(thresholds, _steps(recordings, wrench)).round(6).tolist()
    noise = round(float(best.left[0]), 6), round(float(best.left[1]), 6)
    model = best.model(wrench, gains.round(6), (force, torque), noise)
    usual = _usual(biases_of(best.samples, gains), (force, torque))
    return replace(model, usual=usual), _told(best, first, model, others) + left_out


def _steps(recordings: Sequence[Array], wrench: Columns) -> Array:
    """The coarsest step in which an axis of force and of torque changes: less is not measured."""
    changes = np.concatenate(
        [np.abs(np.diff(rows[:, list(wrench)], axis=0)) for rows in recordings]
    )
    steps = np.where(changes > 0.0, changes, np.inf).min(axis=0, initial=np.inf)
    least: Array = np.where(np.isfinite(steps), steps, 0.0).reshape(2, 3).max(axis=1)
    return np.maximum(least, LEAST_STEP)


def _usual(biases: dict[int, Array], thresholds: tuple[float, float]) -> tuple[float, ...]:
    """The bias of all recordings; none where they differ by what would be a contact."""
    found = np.array(list(biases.values()))
    usual = np.median(found, axis=0)
    off = np.linalg.norm((found - usual).reshape(-1, 2, 3), axis=2).max(axis=0)
    return tuple(usual.round(6).tolist()) if (off < thresholds).all() else ()


def _expectations(
    wrench: Columns, channels: Sequence[str], recordings: Sequence[Array], rate_hz: float
) -> Iterator[_Expectation]:
    """Ways to expect a load, the simpler ones first: none, each IMU without and with its gyro."""
    ways: list[tuple[str, Columns, Columns]] = [("", (), ())]
    for name, (accel, gyro) in imus_of(channels).items():
        ways += [(name, accel, ())] + [(name, accel, gyro)] * bool(gyro)
    rows = 0
    for name, accel, gyro in ways:
        samples = samples_of(recordings, wrench, accel, gyro, rate_hz)
        rows = rows or len(samples)
        if name and len(samples) < max(rows / 2, 1):
            continue  # the IMU, or its gyro, is hardly ever there
        yield _expected(name, accel, gyro, samples)


def _expected(name: str, accel: Columns, gyro: Columns, samples: Samples) -> _Expectation:
    gains = fold_gains(samples)
    return _Expectation(name, accel, gyro, samples, gains, unexplained(samples, gains))


def _by_own_force(
    first: _Expectation, wrench: Columns, recordings: Sequence[Array], rate_hz: float
) -> _Expectation:
    """The torque expected by the wrench's own force, where that leaves less of it."""
    own = _expected("", wrench[:3], (), samples_of(recordings, wrench, wrench[:3], (), rate_hz))
    return own if own.left[1] < EXPLAINS * first.left[1] else first


def _without_contacts(
    best: _Expectation,
    gains: Array,
    wrench: Columns,
    recordings: Sequence[Array],
    rate_hz: float,
) -> tuple[Sequence[Array], str]:
    """The recordings without what is clearly a contact, and words on that; all where it is much."""
    force, torque = np.where(best.left > 0, CLEAR * best.left, tail.NEVER).tolist()
    model = best.model(wrench, gains, (force, torque))
    biases = biases_of(best.samples, gains)
    kept, found, rows_out = [], [], 0
    for number, rows in enumerate(recordings):
        usual = tuple(biases.get(number, np.full(6, np.nan)).tolist())
        began = replace(model, usual=usual, same_run=True)
        contacts = Contacts([began], rows.shape[1], rate_hz, np.inf)
        contacts.begin()
        kept.append(rows.copy())
        for contact in [*contacts.run(rows), *contacts.stop()]:
            around = round(AROUND_S * rate_hz)
            first, end = max(contact.onset_ns - around, 0), contact.end_ns + around + 1
            kept[-1][first:end, list(wrench)] = np.nan
            rows_out += min(end, len(rows)) - first
            found.append(f"{contact.onset_ns / rate_hz:.1f} s ({contact.mean_load:.1f} N)")
    if not found or rows_out > MOST_LEFT_OUT * sum(map(len, recordings)):
        return recordings, ""
    more = f" and {len(found) - NAMED} more" * (len(found) > NAMED)
    return kept, f"; left out: lasting contacts at {', '.join(found[:NAMED])}{more}"


def _may_hang(way: _Expectation, first: _Expectation) -> bool:
    """Whether something may hang on the wrench and move with the IMU as its gains say."""
    gains = np.median(way.gains, axis=0)
    if max(np.abs(fold).max() for fold in way.gains) > MOST_GAIN / 2.0:
        return False  # no tool weighs as much: the units are others
    if np.count_nonzero(way.samples.loads[:, :3].any(axis=0)) == 1:
        return bool(way.left[0] < EXPLAINS_ALONE * first.left[0])
    return rigid(way.samples, gains)


def _ratio(left: Array, before: Array) -> float:
    """How much is left, of force and torque alike, as against before."""
    known = before > 0
    return float(np.exp(np.log(left[known] / before[known]).mean())) if known.any() else 1.0


def _mixed(samples: Samples, gains: Array) -> bool:
    """Whether recordings leave much more by common gains than by gains of their own."""
    numbers = np.unique(samples.recording)
    if len(numbers) < 2:
        return False
    own, common = [], []
    for number in numbers:
        part = samples.part(samples.recording == number)
        own.append(unexplained(part, [gains_of(part)] * FOLDS))
        common.append(unexplained(part, [gains] * FOLDS))
    return _ratio(np.median(common, axis=0), np.median(own, axis=0)) > MIXED


def _levels(
    best: _Expectation, wrench: Columns, recordings: Sequence[Array], rate_hz: float
) -> list[Array]:
    """Contact force and torque of steady motion, [n, 2] a recording, each fold foretold."""
    found = []
    for rows, folds in zip(recordings, folds_of(recordings), strict=True):
        levels = np.full((len(rows), 2), -np.inf)
        for fold in np.unique(folds):
            model = best.model(wrench, best.gains[fold], (1.0, 1.0))
            out = np.empty((len(rows), 2))
            level_test.levels(level_test.new_level_test([model], rate_hz), rows, out)
            levels[folds == fold] = out[folds == fold]
        found.append(levels)
    return found


def _told(
    best: _Expectation, first: _Expectation, model: ContactModel, others: Sequence[_Expectation]
) -> str:
    finds = f"lasting contacts from {_size(model.thresholds)} on"
    if not best.imu:
        why = "no IMU explains it" if others else "no IMU rides along"
        told = f"{why}: {finds}, against its own slow baseline ({_size(best.left)} RMS)"
        if best.accel:
            told += f"; its torque by its own force, which leaves {_size([0, best.left[1]])} "
            told += f"of {_size([0, first.left[1]])}"
        return told
    text = f"{_size(best.left)} RMS left of {_size(first.left)} by {best.imu}; {finds}"
    known = directions(best.samples)
    if known < 3:
        text += f"; {best.imu} turned or moved in {known} of 3 directions, the rest is not known"
    return text + _hanging(model)


def _hanging(model: ContactModel) -> str:
    """The weight that was found and its lever, by which anybody sees a wrench in other units."""
    if model.hanging < model.weight / 2.0:  # known in one direction alone
        return ""
    moment = np.linalg.norm(np.array(model.gains)[3:, :3], ord=2)
    lever_m = float(GRAVITY * moment / model.weight)
    text = f"; {digits(model.weight)} N hang on it, {digits(lever_m)} m from its axes"
    if lever_m > _FAR_M:
        return f"{text}: torque in N mm, N cm or lbf in instead of Nm?"
    if lever_m > _RATHER_FAR_M:
        return f"{text}: a long way, is that its weight? Else force in kgf, or torque in lbf in?"
    if lever_m < _NEAR_M and model.weight > _HEAVY_N:
        return f"{text}: force in mN instead of N?"
    return text


def _size(sizes: Sequence[float] | Array) -> str:
    """Force and torque in words, those that are absent left out."""
    units = zip(sizes, ("N", "Nm"), strict=True)
    return " and ".join(f"{digits(size)} {unit}" for size, unit in units if 0 < size < tail.NEVER)
