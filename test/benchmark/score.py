"""Score detections against known impacts.

A detection counts by the time that it reports: when it alarmed, or, of a detector that dates back,
when it says that the event began. Detections and impacts are matched one to one. A detection that
meets no impact is false, unless it lies in a span of other contact, where it is neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.scenes import Scene
from tao_lora_ros.benchmarks.results import Measurement

TOLERANCES_S = (0.05, 0.02)
FLAG_S = 0.01


@dataclass(frozen=True)
class Detections:
    """What a detector says of one scene, in seconds on the scene's clock, ascending.

    Args:
        alarms_s: when each detection was decided, [n]; nothing later was looked at.
        events_s: when it says that the event began, [n].
        transient: whether each row was taken for a transient, [rows]; None where that is not said.
    """

    alarms_s: NDArray[np.float64]
    events_s: NDArray[np.float64]
    transient: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Outcome:
    """One scene's score.

    Args:
        sigmas: size of each impact, [m].
        matches: index of each impact's detection, -1 where missed; a row a tolerance, [2, m].
        false: false detections, one a tolerance, [2].
        delays_s: alarm after each impact's onset, [m], NaN where missed at the wider tolerance.
        onset_errors_s: reported time after the onset, likewise.
        flagged: whether a row within `FLAG_S` after each onset was taken for a transient, [m].
        duty: share of rows taken for a transient, NaN where that is not said.
        hours: length of the scene.
    """

    sigmas: NDArray[np.float64]
    matches: NDArray[np.int64]
    false: NDArray[np.int64]
    delays_s: NDArray[np.float64]
    onset_errors_s: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    duty: float
    hours: float


def match(
    onsets_s: NDArray[np.float64], events_s: NDArray[np.float64], tolerance_s: float
) -> NDArray[np.int64]:
    """Index of each onset's event, -1 where it has none; both ascending.

    In order of time each onset takes the first event in reach that is left. As all reaches are
    equally wide, no other choice matches more of them.
    """
    matches = np.full(len(onsets_s), -1)
    event = 0
    for i, onset_s in enumerate(onsets_s):
        while event < len(events_s) and events_s[event] < onset_s - tolerance_s:
            event += 1
        if event < len(events_s) and events_s[event] <= onset_s + tolerance_s:
            matches[i] = event
            event += 1
    return matches


def unexplained(
    events_s: NDArray[np.float64], matches: NDArray[np.int64], ignored_s: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Indices of the events that met no onset and lie in none of the ignored spans, [k, 2]."""
    free = np.ones(len(events_s), bool)
    free[matches[matches >= 0]] = False
    inside = (events_s >= ignored_s[:, :1]) & (events_s <= ignored_s[:, 1:])
    return np.flatnonzero(free & ~inside.any(axis=0))


def outcome(scene: Scene, found: Detections) -> Outcome:
    """Score one scene."""
    order = np.argsort(found.events_s, kind="stable")
    alarms_s, events_s = found.alarms_s[order], found.events_s[order]
    matches = np.array([match(scene.impacts_s, events_s, limit) for limit in TOLERANCES_S])
    hit = matches[0] >= 0
    delays_s, errors_s = np.full((2, len(hit)), np.nan)
    delays_s[hit] = alarms_s[matches[0][hit]] - scene.impacts_s[hit]
    errors_s[hit] = events_s[matches[0][hit]] - scene.impacts_s[hit]
    return Outcome(
        sigmas=scene.sigmas,
        matches=matches,
        false=np.array([len(unexplained(events_s, row, scene.ignored_s)) for row in matches]),
        delays_s=delays_s,
        onset_errors_s=errors_s,
        flagged=_flagged(scene, found),
        duty=float("nan") if found.transient is None else float(found.transient.mean()),
        hours=scene.hours,
    )


def _flagged(scene: Scene, found: Detections) -> NDArray[np.bool_]:
    if found.transient is None:
        return np.zeros(len(scene.impacts_s), bool)
    starts = np.searchsorted(scene.times_s, scene.impacts_s)
    ends = np.searchsorted(scene.times_s, scene.impacts_s + FLAG_S, side="right")
    return np.array(
        [found.transient[a:b].any() for a, b in zip(starts, ends, strict=True)], dtype=bool
    )


def detection_metrics(subject: str, case: str, outcomes: Sequence[Outcome]) -> list[Measurement]:
    """Recall, F1 at each tolerance, and delays of a case; ours also how well it routes."""
    matches = np.concatenate([part.matches for part in outcomes], axis=1)
    false = np.sum([part.false for part in outcomes], axis=0)
    rows = [_row(subject, case, "impacts", matches.shape[1])]
    for i, tolerance_s in enumerate(TOLERANCES_S):
        name = f"f1_{tolerance_s * 1e3:.0f}ms"
        rows.append(_row(subject, case, name, f1(matches[i] >= 0, int(false[i]))))
    rows.append(_row(subject, case, "recall_50ms", _mean(matches[0] >= 0)))
    rows.append(_row(subject, case, "false_detections", int(false[0])))
    rows += _delays(subject, case, np.concatenate([part.delays_s for part in outcomes]))
    if not np.isnan(duty := _duty(outcomes)):
        flagged = np.concatenate([part.flagged for part in outcomes])
        errors_s = np.concatenate([part.onset_errors_s for part in outcomes])
        rows.append(_row(subject, case, "recall_10ms", _mean(flagged)))
        rows.append(_row(subject, case, "duty", duty))
        rows.append(_row(subject, case, "onset_error_median_ms", 1e3 * _quantile(errors_s, 0.5)))
    return rows


def size_metrics(
    subject: str, case: str, outcomes: Sequence[Outcome], low: float, high: float
) -> list[Measurement]:
    """Recall and delays of the impacts of one size; false detections have no size, so no F1."""
    sigmas = np.concatenate([part.sigmas for part in outcomes])
    here = (sigmas >= low) & (sigmas < high)
    hit = np.concatenate([part.matches[0] for part in outcomes])[here] >= 0
    delays_s = np.concatenate([part.delays_s for part in outcomes])[here]
    rows = [
        _row(subject, case, "impacts", int(here.sum())),
        _row(subject, case, "recall_50ms", _mean(hit)),
        *_delays(subject, case, delays_s),
    ]
    if not np.isnan(_duty(outcomes)):
        flagged = np.concatenate([part.flagged for part in outcomes])[here]
        rows.append(_row(subject, case, "recall_10ms", _mean(flagged)))
    return rows


def steady_metrics(subject: str, case: str, outcomes: Sequence[Outcome]) -> list[Measurement]:
    """False alarms of steady motion; ours also its duty."""
    hours = sum(part.hours for part in outcomes)
    alarms = sum(int(part.false[0]) for part in outcomes)
    rows = [
        _row(subject, case, "hours", hours),
        _row(subject, case, "false_alarms_per_hour", alarms / hours),
    ]
    if not np.isnan(duty := _duty(outcomes)):
        rows.append(_row(subject, case, "duty", duty))
    return rows


def f1(hit: NDArray[np.bool_], false: int) -> float:
    """F1 of impacts hit or missed, [m], and a number of false detections; NaN without either."""
    hits = int(hit.sum())
    total = 2 * hits + int((~hit).sum()) + false
    return 2 * hits / total if total else float("nan")


_UNITS = {"hours": "h", "false_alarms_per_hour": "1/h"}


def _row(subject: str, case: str, metric: str, value: float) -> Measurement:
    unit = "ms" if metric.endswith(("median_ms", "p95_ms")) else _UNITS.get(metric, "")
    return Measurement(subject, case, metric, float(value), unit)


def _delays(subject: str, case: str, delays_s: NDArray[np.float64]) -> list[Measurement]:
    return [
        _row(subject, case, "delay_median_ms", 1e3 * _quantile(delays_s, 0.5)),
        _row(subject, case, "delay_p95_ms", 1e3 * _quantile(delays_s, 0.95)),
    ]


def _duty(outcomes: Sequence[Outcome]) -> float:
    return float(np.average([part.duty for part in outcomes], weights=[p.hours for p in outcomes]))


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _quantile(values: NDArray[np.float64], share: float) -> float:
    known = values[~np.isnan(values)]
    return float(np.quantile(known, share)) if len(known) else float("nan")
